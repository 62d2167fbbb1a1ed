//! NumPy files, and the table of records that goes with them.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::embed::store::{Dtype, StoredRecord};
use crate::error::{Error, Result};
use crate::files::AtomicFile;

/// NumPy's name of a type.
pub(super) fn code(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F16 => "<f2",
        Dtype::F32 => "<f4",
    }
}

/// Writes what stands before the numbers of an array.
pub(super) fn write_header(file: &mut AtomicFile, code: &str, shape: &[usize], out: &Path) -> Result<()> {
    // As Python writes a tuple: one axis keeps its comma.
    let axes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let shape = if let [one] = axes.as_slice() { format!("{one},") } else { axes.join(", ") };
    let header = format!("{{'descr': '{code}', 'fortran_order': False, 'shape': ({shape}), }}");
    // Magic, version, length and header fill whole lines of 64 bytes, the last of them a line end.
    let width = (10 + header.len() + 1).next_multiple_of(64) - 11;
    let mut head = b"\x93NUMPY\x01\x00".to_vec();
    head.extend((width as u16 + 1).to_le_bytes());
    head.extend(format!("{header:<width$}\n").as_bytes());
    file.write_all(&head).map_err(Error::io("write", out))
}

/// Writes `<name>.ids.tsv`: id, row, digest, length and status of every record in input order. The file waits for its
/// commit.
pub(super) fn write_ids<'a>(
    records: impl Iterator<Item = StoredRecord<'a>>,
    out: &Path,
) -> Result<(AtomicFile, PathBuf)> {
    let path = out.with_extension("ids.tsv");
    let mut table = AtomicFile::create(&path)?;
    let mut line = |text: String| writeln!(table, "{text}").map_err(Error::io("write", &path));
    line("id\trow\tdigest\tlength\tstatus".to_owned())?;
    for record in records {
        let id = record.id.replace(['\t', '\n', '\r'], " ");
        let row = record.row.map_or(String::new(), |row| row.to_string());
        line(format!("{id}\t{row}\t{}\t{}\t{}", record.digest_hex(), record.length, record.status.name()))?;
    }
    Ok((table, path))
}
