//! Where the parts of a zip archive lie.

use std::io::{Cursor, Read, sink};
use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;
use zip::{CompressionMethod, ZipArchive};

use super::{Contents, damaged};
use crate::error::Result;
use crate::progress::check_interrupt;

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

pub(super) fn find(path: &Path, bytes: &[u8]) -> Result<Contents> {
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(path, &e.to_string()))?;
    let prefix = archive
        .file_names()
        .find_map(|name| name.strip_suffix("data.pkl"))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('/'))
        .ok_or_else(|| damaged(path, "it has no data.pkl"))?
        .to_owned();
    let entries: Result<Vec<(String, Range<usize>)>> =
        (0..archive.len()).into_par_iter().map_init(|| archive.clone(), |archive, i| entry(path, archive, i)).collect();
    let mut contents = Contents::default();
    for (name, range) in entries? {
        let Some(name) = name.strip_prefix(&prefix) else { continue };
        match (name, name.strip_prefix("data/")) {
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

/// Name and place of one file of the archive, after its checksum was compared. PyTorch stores uncompressed; anything
/// else could be a zip bomb.
fn entry(path: &Path, archive: &mut Archive, i: usize) -> Result<(String, Range<usize>)> {
    check_interrupt()?;
    let wrong = |e: zip::result::ZipError| damaged(path, &format!("file {i} of the archive: {e}"));
    let raw = archive.by_index_raw(i).map_err(wrong)?;
    let name = raw.name().to_owned();
    if raw.compression() != CompressionMethod::Stored || raw.encrypted() || raw.size() != raw.compressed_size() {
        return Err(damaged(path, &format!("'{name}' is compressed or encrypted")));
    }
    let (start, len) = (raw.data_start() as usize, raw.size());
    drop(raw);
    let mut stored = archive.by_index(i).map_err(wrong)?;
    let read = std::io::copy(&mut stored.by_ref().take(len), &mut sink()).and_then(|n| {
        // One more read at the end makes the reader compare the checksum.
        stored.read(&mut [0]).map(|_| n)
    });
    match read {
        Ok(n) if n == len => Ok((name, start..start + len as usize)),
        Ok(_) => Err(damaged(path, &format!("'{name}' is cut short"))),
        Err(e) => Err(damaged(path, &format!("'{name}': {e}"))),
    }
}
