//! What is left in `OUT.shards` when the shards have become the table: of which screen it is, so that none is done again.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::SHARD_KIND;
use crate::error::{Error, Result};
use crate::files::digest::digest_path;
use crate::files::manifest::MANIFEST;
use crate::files::shard_set::{Standing, standings};
use crate::files::{Manifest, Shard};

/// Kind of the manifest.
const KIND: &str = "merged-screen";

/// Notes that the table `out` is that of the screen `key`, and removes its shards.
pub(super) fn write(out: &Path, key: &str) -> Result<()> {
    let table = digest_path(out);
    // Of another table this is no record.
    let table = fs::read_to_string(&table).map_err(Error::io("read", &table))?;
    Manifest::new(KIND, Vec::new(), json!({ "key": key, "table": table })).write(&Shard::folder_of(out))?;
    sweep(out)
}

/// Removes what the record stands for.
pub(super) fn sweep(out: &Path) -> Result<()> {
    let folder = Shard::folder_of(out);
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))? {
        let path = entry.map_err(Error::io("read", &folder))?.path();
        let removed = match path.file_name() {
            Some(name) if name == MANIFEST => Ok(()),
            _ if path.is_dir() => fs::remove_dir_all(&path),
            _ => fs::remove_file(&path),
        };
        removed.map_err(Error::io("remove", &path))?;
    }
    Ok(())
}

/// The screen whose shards became the table `out`; `None` where none did, or another table has its place.
pub(super) fn key(out: &Path) -> Option<String> {
    let record = Manifest::read_kind(&Shard::folder_of(out), KIND).ok()?;
    let table = fs::read_to_string(digest_path(out)).ok()?;
    let key = record.detail["key"].as_str()?.to_owned();
    (out.is_file() && record.detail["table"] == table.as_str()).then_some(key)
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
