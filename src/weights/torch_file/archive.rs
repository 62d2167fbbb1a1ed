//! Where the parts of a zip archive lie.

use std::fmt::Display;
use std::io::{Cursor, Read, copy, sink};
use std::path::Path;

use rayon::prelude::*;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::{Contents, damaged};
use crate::error::{Error, Result};
use crate::progress::check_interrupt;

fn open<'a>(path: &Path, bytes: &'a [u8]) -> Result<ZipArchive<Cursor<&'a [u8]>>> {
    ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(path, &e.to_string()))
}

/// Finds every part. PyTorch stores uncompressed; anything else could be a zip bomb.
pub(super) fn find(path: &Path, bytes: &[u8]) -> Result<Contents> {
    let mut archive = open(path, bytes)?;
    let prefix = archive
        .file_names()
        .find_map(|name| name.strip_suffix("data.pkl"))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('/'))
        .ok_or_else(|| damaged(path, "it has no data.pkl"))?
        .to_owned();
    let mut contents = Contents::default();
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(|e| damaged(path, &format!("file {i} of the archive: {e}")))?;
        let name = entry.name().to_owned();
        let Some(part) = name.strip_prefix(&prefix) else { continue };
        if entry.compression() != CompressionMethod::Stored
            || entry.encrypted()
            || entry.size() != entry.compressed_size()
        {
            return Err(damaged(path, &format!("'{name}' is compressed or encrypted")));
        }
        let end = entry.data_start().checked_add(entry.size()).filter(|&end| end <= bytes.len() as u64);
        let end = end.ok_or_else(|| damaged(path, &format!("'{name}' is cut short")))? as usize;
        let range = entry.data_start() as usize..end;
        match (part, part.strip_prefix("data/")) {
            ("data.pkl", _) => contents.object = range,
            ("byteorder", _) => contents.big_endian = bytes[range].starts_with(b"big"),
            (_, Some(key)) => {
                contents.storages.insert(key.to_owned(), range);
            }
            _ => {}
        }
    }
    Ok(contents)
}

/// Compares the checksum of every part.
pub(super) fn check_sums(path: &Path, bytes: &[u8], tensor_of: &(dyn Fn(&str) -> Option<String> + Sync)) -> Result<()> {
    let archive = open(path, bytes)?;
    (0..archive.len()).into_par_iter().try_for_each_init(
        || archive.clone(),
        |archive, i| -> Result<()> {
            check_interrupt()?;
            let name = archive.name_for_index(i).unwrap_or_default().to_owned();
            let wrong = |e: &dyn Display| -> Error {
                let tensor = name.rsplit_once("/data/").and_then(|(_, key)| tensor_of(key));
                let tensor = tensor.map_or(String::new(), |tensor| format!(" (the tensor '{tensor}')"));
                damaged(path, &format!("'{name}'{tensor}: {e}"))
            };
            let mut entry = archive.by_index(i).map_err(|e: ZipError| wrong(&e))?;
            let size = entry.size();
            copy(&mut entry.by_ref().take(size), &mut sink()).map_err(|e| wrong(&e))?;
            // The reader compares the sum where nothing is left.
            entry.read(&mut [0]).map(|_| ()).map_err(|e| wrong(&e))
        },
    )
}
