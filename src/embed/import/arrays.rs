//! NumPy files: `.npy` with a file of ids, `.npz` with or without one.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use super::ImportOptions;
use super::sink::Sink;
use crate::error::{Error, Result};
use crate::files::input::{EXPANSION_GRACE, Input, MAX_EXPANSION};
use crate::files::mapped::map;
use crate::weights::elements::ArrayView;
use crate::weights::npy::{self, Npy};

pub(super) fn import_npy(source: &Path, options: &ImportOptions, sink: &mut Sink) -> Result<()> {
    let bytes = map(source)?;
    match npy::parse(source, &bytes)? {
        Npy::Numbers(array) => push_all(source, &array, &ids_of(source, options)?, sink),
        Npy::Strings(_) => Err(Error::format(source, "it holds text, not numbers", "name the file of the vectors")),
    }
}

/// True for a zip archive that PyTorch wrote.
pub(super) fn is_torch(source: &Path) -> Result<bool> {
    Ok(open(source)?.file_names().any(|name| name == "data.pkl" || name.ends_with("/data.pkl")))
}

/// Memory: the largest array of the archive.
pub(super) fn import_npz(source: &Path, options: &ImportOptions, sink: &mut Sink) -> Result<()> {
    let mut archive = open(source)?;
    let names: Vec<String> =
        archive.file_names().filter_map(|name| name.strip_suffix(".npy")).map(str::to_owned).collect();
    let vectors: Vec<_> = names.iter().filter(|name| *name != "ids").collect();
    let [vectors] = vectors.as_slice() else {
        return Err(Error::format(
            source,
            format!("it holds {} arrays besides 'ids': {names:?}", vectors.len()),
            "write one array: numpy.savez(FILE, ids=IDS, vectors=VECTORS)",
        ));
    };
    let ids = if options.ids.is_some() || !names.iter().any(|name| name == "ids") {
        ids_of(source, options)?
    } else {
        let bytes = entry(source, &mut archive, "ids")?;
        match npy::parse(source, &bytes)? {
            Npy::Strings(ids) => ids,
            Npy::Numbers(_) => {
                let help = "write text: numpy.savez(FILE, ids=numpy.array(IDS, dtype=str), vectors=VECTORS)";
                return Err(Error::format(source, "its 'ids' are numbers, not text", help));
            }
        }
    };
    let bytes = entry(source, &mut archive, vectors)?;
    match npy::parse(source, &bytes)? {
        Npy::Numbers(array) => push_all(source, &array, &ids, sink),
        Npy::Strings(_) => Err(Error::format(source, format!("'{vectors}' holds text"), "write numbers")),
    }
}

fn push_all(source: &Path, array: &ArrayView, ids: &[String], sink: &mut Sink) -> Result<()> {
    let &[rows, columns] = array.shape.as_slice() else {
        return Err(Error::data(
            format!("{}: its shape is {:?}, not [vectors, width]", source.display(), array.shape),
            "write one array of two axes: one row per id",
        ));
    };
    if rows != ids.len() {
        return Err(Error::data(
            format!("{}: {rows} vectors, but {} ids", source.display(), ids.len()),
            "give one id per vector, in the same order",
        ));
    }
    // Columns are not more than bytes, or there is no row to read them from.
    let mut vector = vec![0.0; if rows == 0 { 0 } else { columns }];
    for (row, id) in ids.iter().enumerate() {
        array.copy_row(row, &mut vector);
        sink.push(id, 0, &vector)?;
    }
    Ok(())
}

/// The ids of the `--ids` file, one a line.
fn ids_of(source: &Path, options: &ImportOptions) -> Result<Vec<String>> {
    let Some(path) = &options.ids else {
        return Err(Error::usage(
            format!("{} holds no ids", source.display()),
            "give them with --ids FILE, one a line, in the order of the vectors",
        ));
    };
    let mut input = Input::open(path)?;
    let (mut ids, mut line) = (Vec::new(), Vec::new());
    while input.next_line(&mut line, ids.len() as u64 + 1)? {
        let id = std::str::from_utf8(line.trim_ascii()).unwrap_or_default();
        if id.is_empty() {
            let help = "write one id a line, without blank lines";
            return Err(Error::record(path, ids.len() as u64 + 1, "", "no id, or not UTF-8 text", help));
        }
        ids.push(id.to_owned());
    }
    Ok(ids)
}

fn open(source: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let file = File::open(source).map_err(Error::io("read", source))?;
    ZipArchive::new(BufReader::new(file)).map_err(|e| damaged(source, &e.to_string()))
}

fn entry(source: &Path, archive: &mut ZipArchive<BufReader<File>>, name: &str) -> Result<Vec<u8>> {
    let in_all = std::fs::metadata(source).map_err(Error::io("read", source))?.len();
    let entry = archive.by_name(&format!("{name}.npy")).map_err(|e| damaged(source, &format!("'{name}': {e}")))?;
    let (size, packed) = (entry.size(), entry.compressed_size().min(in_all));
    if size > EXPANSION_GRACE.max(packed.saturating_mul(MAX_EXPANSION)) {
        return Err(Error::format(
            source,
            format!("'{name}': {packed} bytes expand to {size} (limit {MAX_EXPANSION}-fold)"),
            "if that is right, write it with numpy.savez, which does not compress",
        ));
    }
    let mut bytes = Vec::new();
    // The sum of the entry is compared at its end, which is one byte beyond the last.
    let read = entry.take(size.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|e| damaged(source, &format!("'{name}': {e}")))?;
    if bytes.len() as u64 > size {
        return Err(damaged(source, &format!("'{name}' is longer than it says")));
    }
    Ok(bytes)
}

fn damaged(source: &Path, reason: &str) -> Error {
    Error::format(source, format!("is not a whole archive: {reason}"), "write it again with numpy.savez")
}
