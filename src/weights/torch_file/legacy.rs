//! Where the parts of a file lie that was written before version 1.6: five pickles and then the storages, each after
//! its number of elements.

use std::path::Path;

use rustc_hash::FxHashMap;

use super::{Contents, damaged};
use crate::error::Result;
use crate::weights::pickle::{Pickle, View};

/// The first pickle: a number that stands for nothing else.
pub(super) const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// The second pickle.
const VERSION: i64 = 1001;

pub(super) fn find(path: &Path, bytes: &[u8]) -> Result<Contents> {
    let mut at = MAGIC.len();
    let mut next = || -> Result<(Pickle<'_>, usize)> {
        let start = at;
        let (pickle, len) = Pickle::read_first(path, bytes.get(at..).unwrap_or_default())?;
        at += len;
        Ok((pickle, start))
    };
    if next()?.0.root().as_int() != Some(VERSION) {
        return Err(damaged(path, "its version is not known"));
    }
    let (system, _) = next()?;
    let big_endian = system.root().get("little_endian").and_then(View::as_bool) == Some(false);
    let (object, start) = next()?;
    let (keys, end) = next()?;
    let sizes: FxHashMap<&str, usize> = object.storages().map(|(key, element)| (key, element.size())).collect();
    let mut contents = Contents { object: start..end, big_endian, ..Contents::default() };
    for key in keys.root().items().into_iter().flatten() {
        let key = key.as_str().ok_or_else(|| damaged(path, "a storage has no name"))?;
        // A storage that no tensor names has no known size; what follows it cannot be found.
        let size = sizes.get(key).ok_or_else(|| damaged(path, &format!("no tensor has the storage '{key}'")))?;
        let cut = || damaged(path, &format!("the storage '{key}' is cut short"));
        let head: [u8; 8] = bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or_else(cut)?;
        let n = if big_endian { u64::from_be_bytes(head) } else { u64::from_le_bytes(head) };
        let len = usize::try_from(n).ok().and_then(|n| n.checked_mul(*size)).ok_or_else(cut)?;
        let start = at + head.len();
        at = start.checked_add(len).filter(|&end| end <= bytes.len()).ok_or_else(cut)?;
        contents.storages.insert(key.to_owned(), start..at);
    }
    Ok(contents)
}
