//! Work on a folder that a later process goes on with: what is finished of it, signed, in `OUT/.partial/checkpoint/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{OutputFolder, STAGING, list_files, remove_file, remove_folder};
use crate::error::{Error, Result};
use crate::files::Manifest;
use crate::files::atomic::sync_folder;
use crate::files::digest::{digest_file, digest_to_the_end};
use crate::files::manifest::MANIFEST;

/// Where the manifest of a checkpoint lies, below the staging folder.
const FOLDER: &str = "checkpoint";

impl OutputFolder {
    /// As [`create`](Self::create), but goes on with the checkpoint that an earlier process left there, when its detail
    /// `fits` what is wanted; returns that detail. Files that the checkpoint does not list are removed, those that have
    /// grown since are cut back.
    ///
    /// # Errors
    /// Those of [`create`](Self::create); [`Error::Interrupted`].
    pub fn resume(
        path: impl AsRef<Path>,
        kind: &str,
        force: bool,
        fits: impl FnOnce(&Value) -> bool,
    ) -> Result<(Self, Option<Value>)> {
        let mut folder = Self::open(path.as_ref(), kind, force)?;
        let staging = folder.staging();
        if let Some(kept) = Self::checkpoint_at(&folder.path, kind).filter(|kept| fits(&kept.detail))
            && cut_back(&staging, &kept)?
            && is_whole(&staging, &kept)?
        {
            let detail = kept.detail.clone();
            folder.kept = Some(kept);
            return Ok((folder, Some(detail)));
        }
        folder.begin_anew()?;
        Ok((folder, None))
    }

    /// The checkpoint of unfinished work on the folder `path`.
    #[must_use]
    pub fn checkpoint_at(path: &Path, kind: &str) -> Option<Manifest> {
        Manifest::read_kind(&path.join(STAGING).join(FOLDER), kind).ok()
    }

    /// Where a checkpoint has files of its own, which go with it: no manifest lists them.
    #[must_use]
    pub fn notes(&self) -> PathBuf {
        self.staging().join(FOLDER)
    }

    /// Forgets the checkpoint: work that cannot succeed leaves nothing to go on with.
    pub fn forget(&mut self) {
        self.kept = None;
    }

    /// Makes all that was written so far durable and lists it, with `detail`: from here a later process can
    /// [go on](Self::resume). Also after a signal.
    ///
    /// # Errors
    /// [`Error::Io`]; an earlier checkpoint stays as it was then.
    pub fn checkpoint(&mut self, detail: Value) -> Result<()> {
        let staging = self.staging();
        let manifest = Manifest::new(&self.kind, self.entries(digest_to_the_end)?, detail);
        for entry in fs::read_dir(&staging).map_err(Error::io("read", &staging))?.flatten() {
            if entry.path().is_dir() {
                sync_folder(&entry.path())?;
            }
        }
        let folder = self.notes();
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        sync_folder(&staging)?;
        manifest.write(&folder)?;
        sync_folder(&self.path)?;
        self.kept = Some(manifest);
        Ok(())
    }
}

/// True for what belongs to the checkpoint itself.
pub(super) fn is_part_of(path: &str) -> bool {
    path.strip_prefix(FOLDER).is_some_and(|rest| rest.starts_with('/'))
}

/// True where a checkpoint lies below the staging folder.
pub(super) fn is_in(staging: &Path) -> bool {
    staging.join(FOLDER).join(MANIFEST).exists()
}

/// Removes the checkpoint, but not what it lists.
pub(super) fn remove(staging: &Path) -> Result<()> {
    remove_folder(&staging.join(FOLDER))
}

/// Brings the staging folder back to where the checkpoint `kept` was written; false when a byte of it is lost.
pub(super) fn cut_back(staging: &Path, kept: &Manifest) -> Result<bool> {
    let mut paths = Vec::new();
    list_files(staging, "", &mut paths)?;
    for path in paths.iter().filter(|path| kept.file(path).is_none() && !is_part_of(path)) {
        remove_file(&staging.join(path))?;
    }
    for file in &kept.files {
        let path = staging.join(&file.path);
        let Ok(found) = fs::metadata(&path) else { return Ok(false) };
        if found.len() > file.bytes {
            let cut = File::options().write(true).open(&path).and_then(|open| open.set_len(file.bytes));
            cut.map_err(Error::io("write", &path))?;
        }
    }
    Ok(true)
}

/// True when every byte is as the checkpoint says.
fn is_whole(staging: &Path, kept: &Manifest) -> Result<bool> {
    for file in &kept.files {
        if digest_file(&staging.join(&file.path))? != (file.bytes, file.blake3.clone()) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listing(path: &Path) -> Vec<String> {
        let mut paths = Vec::new();
        list_files(path, "", &mut paths).unwrap();
        paths.sort();
        paths
    }

    /// A folder with a checkpoint of `a` and `log`, and more than that, dropped.
    fn stopped(out: &Path) {
        let mut folder = OutputFolder::create(out, "store", false).unwrap();
        folder.write("a", b"1").unwrap();
        folder.write("log", b"one\n").unwrap();
        folder.checkpoint(json!({"done": 1})).unwrap();
        folder.write("b/half", b"2").unwrap();
        folder.write("log", b"one\ntwo\n").unwrap();
    }

    #[test]
    fn later_work_goes_on_where_the_checkpoint_was() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        stopped(&out);
        // As a process that was killed leaves it.
        fs::write(out.join(".partial/c"), "3").unwrap();
        let (mut folder, detail) = OutputFolder::resume(&out, "store", false, |detail| detail["done"] == 1).unwrap();
        assert_eq!(detail, Some(json!({"done": 1})));
        let names = ["a", "checkpoint/manifest.json", "log"];
        assert_eq!(listing(&out.join(".partial")), names);
        assert_eq!(fs::read(out.join(".partial/log")).unwrap(), b"one\n");
        folder.write("d", b"2").unwrap();
        folder.checkpoint(json!({"done": 2})).unwrap();
        drop(folder);
        let (folder, detail) = OutputFolder::resume(&out, "store", false, |_| true).unwrap();
        assert_eq!(detail, Some(json!({"done": 2})));
        let manifest = folder.commit(json!({})).unwrap();
        assert_eq!(listing(&out), ["a", "d", "log", MANIFEST]);
        assert_eq!(manifest.files.len(), 3);
        assert!(crate::files::verify::verify(&out, &crate::progress::Silent).unwrap().faults.is_empty());
    }

    #[test]
    fn a_checkpoint_that_does_not_fit_or_is_damaged_is_swept() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let gone = |folder: &Path, kind: &str, fits: bool| {
            let (folder, detail) = OutputFolder::resume(folder, kind, false, |_| fits).unwrap();
            assert!(detail.is_none());
            drop(folder);
        };
        stopped(&out);
        gone(&out, "store", false);
        assert!(out.exists() && listing(&out).is_empty());
        stopped(&out);
        gone(&out, "model", true);
        for name in ["a", "log", "checkpoint/manifest.json"] {
            stopped(&out);
            let path = out.join(".partial").join(name);
            let mut bytes = fs::read(&path).unwrap();
            bytes[0] ^= 1;
            fs::write(&path, bytes).unwrap();
            gone(&out, "store", true);
            stopped(&out);
            fs::remove_file(&path).unwrap();
            gone(&out, "store", true);
        }
        stopped(&out);
        OutputFolder::create(&out, "store", false).unwrap().commit(json!({})).unwrap();
        assert_eq!(listing(&out), [MANIFEST]);
    }
}
