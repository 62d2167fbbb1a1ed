//! What is written beside a merged table, `OUT.merged.json`: of which screen it is, so that its shards are not done again.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SHARD_KIND;
use crate::error::{Error, Result};
use crate::files::atomic::write_file;
use crate::files::digest::digest_path;
use crate::files::shard_set::{Standing, standings};

/// The record.
#[derive(Serialize, Deserialize)]
struct Record {
    /// Digest of all that the hits depend on.
    key: String,
    /// The `.b3` of the table: of another table this is no record.
    table: String,
}

fn path_of(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".merged.json");
    PathBuf::from(name)
}

/// Notes that the table `out` is that of the screen `key`.
pub(super) fn write(out: &Path, key: &str) -> Result<()> {
    let beside = digest_path(out);
    let table = fs::read_to_string(&beside).map_err(Error::io("read", &beside))?;
    let text = serde_json::to_vec(&Record { key: key.to_owned(), table }).unwrap_or_default();
    write_file(path_of(out), &text)
}

/// The screen whose shards became the table `out`; `None` where none did, or another table has its place.
pub(super) fn key(out: &Path) -> Option<String> {
    let record: Record = serde_json::from_slice(&fs::read(path_of(out)).ok()?).ok()?;
    let table = fs::read_to_string(digest_path(out)).ok()?;
    (out.is_file() && table == record.table).then_some(record.key)
}

/// True when the table `out` was merged, and every shard that is still there is of it.
///
/// # Errors
/// [`Error::Io`].
pub fn is_merged(out: &Path) -> Result<bool> {
    let Some(key) = key(out) else { return Ok(false) };
    let of_it = |standing: &Standing| match standing {
        Standing::Done(manifest) | Standing::Stopped(manifest) => manifest.detail["key"] == key.as_str(),
        Standing::Missing => true,
        Standing::Failed(_) => false,
    };
    Ok(standings(out, &[SHARD_KIND])?.iter().all(|(_, standing)| of_it(standing)))
}
