//! Vectors made elsewhere become a store.
//!
//! | source | ids | vectors |
//! |---|---|---|
//! | `.npy` | `--ids` | `[n, d]`, f16, f32, f64 or integers, C or Fortran order |
//! | `.npz` | array `ids`, or `--ids` | its one array of numbers |
//! | Parquet | column `id`, or the first text column | a list column, or all columns of numbers |
//! | CSV, TSV (also `.gz`) | first column | the others |
//! | pickled dict, `.pt` dict | keys | arrays, tensors or lists |
//! | folder of fair-esm extract `.pt` files | `label` | the highest layer |
//!
//! Which of these a source is, its first bytes say, not its name.

mod arrays;
mod columns;
mod objects;
mod sink;
mod table;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::embed::store::{Dtype, StoreSummary};
use crate::error::{Error, Result};
use crate::weights::npy::MAGIC;
use crate::weights::torch_file::TorchFile;

use sink::Sink;

/// How several rows of one record become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowPooling {
    /// Their mean.
    Mean,
    /// The first row.
    Cls,
}

/// What is said about the vectors.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Ids, one a line, for sources without ids of their own.
    pub ids: Option<PathBuf>,
    /// Name of what made the vectors; models remember it.
    pub encoder_name: String,
    /// `rna`, `protein`, `molecule`; empty where it is not said.
    pub modality: String,
    /// Type of the stored numbers.
    pub dtype: Dtype,
    /// What to do with `[rows, d]` per record; `None` refuses them.
    pub pooling: Option<RowPooling>,
    /// Replace a finished store.
    pub force: bool,
}

/// Imports `source` into the store `out`. Records whose vector is not finite, and second records of an id, are refused
/// and listed.
///
/// # Errors
/// [`Error::Format`] for a source that cannot be read, [`Error::Data`] for ids and vectors that do not fit each other
/// or widths that differ, [`Error::Usage`], [`Error::Io`]. Nothing is left of the store then.
pub fn import(source: &Path, options: &ImportOptions, out: &Path) -> Result<StoreSummary> {
    let mut sink = Sink::new(source, options, out);
    if std::fs::metadata(source).map_err(Error::io("read", source))?.is_dir() {
        refuse_ids(options, "a folder of fair-esm extract files has its ids in the files")?;
        objects::import_folder(source, &mut sink)?;
        return sink.finish();
    }
    let head = first_bytes(source)?;
    if head.starts_with(MAGIC) {
        arrays::import_npy(source, options, &mut sink)?;
    } else if head.starts_with(b"PK\x03\x04") {
        if arrays::is_torch(source)? {
            refuse_ids(options, "a PyTorch file has its ids in it")?;
            objects::import_torch(source, &mut sink)?;
        } else {
            arrays::import_npz(source, options, &mut sink)?;
        }
    } else if head.starts_with(b"PAR1") {
        refuse_ids(options, "a Parquet file has its ids in a column")?;
        columns::import(source, &mut sink)?;
    } else if TorchFile::is_legacy(&head) {
        refuse_ids(options, "a PyTorch file has its ids in it")?;
        objects::import_torch(source, &mut sink)?;
    } else if head.starts_with(&[0x80]) && head.get(1).is_some_and(|&protocol| protocol <= 5) {
        refuse_ids(options, "a pickled dict has its ids as keys")?;
        objects::import_pickle(source, &mut sink)?;
    } else if head.starts_with(b"\x89HDF") {
        return Err(Error::format(
            source,
            "is an HDF5 file, which this program does not read",
            "convert it in Python: f = h5py.File(SRC); numpy.savez('vectors.npz', ids=list(f), vectors=[f[k][()] for \
             k in f]), then import vectors.npz",
        ));
    } else {
        refuse_ids(options, "a table has its ids in the first column")?;
        table::import(source, &mut sink)?;
    }
    sink.finish()
}

fn refuse_ids(options: &ImportOptions, reason: &str) -> Result<()> {
    if options.ids.is_some() {
        Err(Error::usage(format!("--ids does not go here: {reason}"), "leave --ids out"))
    } else {
        Ok(())
    }
}

fn first_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    file.take(16).read_to_end(&mut head).map_err(Error::io("read", path))?;
    if head.is_empty() { Err(Error::format(path, "the file is empty", "name a file of vectors")) } else { Ok(head) }
}

#[cfg(test)]
mod tests;
