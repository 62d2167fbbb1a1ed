//! An output folder that appears whole or not at all, and that never clobbers what it did not make.
//!
//! Files are written to `OUT/.partial/`. The commit puts the finished manifest there as a journal, moves every file to
//! its place and the manifest last. A process killed before the commit leaves only `.partial`, which the next run
//! sweeps; one killed in its midst leaves the journal, with which the next run ends the move.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::atomic::sync_folder;
use super::digest::digest_file;
use super::manifest::{FileEntry, MANIFEST, Manifest};
use crate::error::{Error, Result};

const STAGING: &str = ".partial";

/// A folder being written by this process alone.
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
    kind: String,
    /// The folder was made by this process: it goes when the work fails.
    fresh: bool,
    /// From here on only the next run may clean up, by going on.
    publishing: bool,
    /// Held for the lock on the folder.
    _lock: Option<File>,
}

impl OutputFolder {
    /// Begins to write a folder of this `kind`. A folder that is absent or empty is taken. One that holds a finished
    /// folder of the same kind is replaced when `force` is set, and keeps its content until the commit.
    ///
    /// # Errors
    /// [`Error::Usage`] for every other place that is not empty, and while another process writes there;
    /// [`Error::Io`].
    pub fn create(path: impl AsRef<Path>, kind: &str, force: bool) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        if path.exists() && !path.is_dir() {
            return Err(Error::usage(
                format!("cannot write the folder {}: it is a file", path.display()),
                "choose another --out",
            ));
        }
        let fresh = !path.exists();
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        let lock = lock(&path)?;
        let folder = Self { path, kind: kind.to_owned(), fresh, publishing: false, _lock: lock };
        recover(&folder.path)?;
        folder.refuse_foreign(force)?;
        let staging = folder.staging();
        fs::create_dir(&staging).map_err(Error::io("create", &staging))?;
        Ok(folder)
    }

    /// Puts a folder in order that a killed process left behind: a move that it had begun is ended, what it had not
    /// finished is removed. To be called before a folder is asked whether it is finished.
    ///
    /// # Errors
    /// [`Error::Usage`] while another process writes there; [`Error::Io`].
    pub fn settle(path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if !path.join(STAGING).is_dir() {
            return Ok(());
        }
        let _lock = lock(path)?;
        recover(path)
    }

    /// Where the folder will be.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.path
    }

    /// The place to write the file `relative` to until the commit; its folders are made.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn place(&self, relative: &str) -> Result<PathBuf> {
        let path = self.staging().join(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        Ok(path)
    }

    /// Writes a small file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, relative: &str, bytes: &[u8]) -> Result<()> {
        let path = self.place(relative)?;
        fs::write(&path, bytes).map_err(Error::io("write", self.path.join(relative)))
    }

    /// Digests every file, moves all to their places and writes the manifest last.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Interrupted`] after a signal, and nothing is moved then.
    pub fn commit(mut self, detail: Value) -> Result<Manifest> {
        let staging = self.staging();
        let mut paths = Vec::new();
        list_files(&staging, "", &mut paths)?;
        paths.sort_unstable();
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let place = staging.join(&path);
            let (bytes, blake3) = digest_file(&place)?;
            File::open(&place).and_then(|f| f.sync_all()).map_err(Error::io("write", self.path.join(&path)))?;
            files.push(FileEntry { path, bytes, blake3 });
        }
        let manifest = Manifest::new(&self.kind, files, detail);
        manifest.write(&staging)?;
        self.publishing = true;
        publish(&self.path, &manifest)?;
        Ok(manifest)
    }

    fn staging(&self) -> PathBuf {
        self.path.join(STAGING)
    }

    fn refuse_foreign(&self, force: bool) -> Result<()> {
        let mut entries = fs::read_dir(&self.path).map_err(Error::io("read", &self.path))?;
        if entries.next().is_none() {
            return Ok(());
        }
        let shown = self.path.display();
        match Manifest::read(&self.path) {
            Ok(found) if found.kind == self.kind && force => Ok(()),
            Ok(found) if found.kind == self.kind => Err(Error::usage(
                format!("{shown} already holds a finished {}", self.kind),
                "choose another --out, or replace it with --force",
            )),
            Ok(found) => Err(Error::usage(
                format!("{shown} holds a {}, not a {}", found.kind, self.kind),
                "choose another --out; nothing is overwritten",
            )),
            Err(_) => Err(Error::usage(
                format!("{shown} is not empty and holds no valid manifest.json"),
                "choose another --out or an empty folder; nothing is overwritten",
            )),
        }
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        if !self.publishing {
            // Nothing can be reported here; what stays is swept by the next run.
            let _ = remove_folder(&self.staging());
            if self.fresh {
                let _ = fs::remove_dir(&self.path);
            }
        }
    }
}

/// Ends the move that a killed process began, or removes what it had written so far.
fn recover(path: &Path) -> Result<()> {
    let staging = path.join(STAGING);
    match Manifest::read(&staging) {
        Ok(journal) => publish(path, &journal),
        Err(_) => remove_folder(&staging),
    }
}

/// Moves what the journal lists. Each step can be repeated after a kill.
fn publish(path: &Path, manifest: &Manifest) -> Result<()> {
    if let Ok(old) = Manifest::read(path) {
        for file in old.files.iter().filter(|file| manifest.file(&file.path).is_none()) {
            remove_file(&path.join(&file.path))?;
        }
    }
    remove_file(&path.join(MANIFEST))?;
    let staging = path.join(STAGING);
    for name in manifest.files.iter().map(|file| file.path.as_str()).chain([MANIFEST]) {
        let (from, to) = (staging.join(name), path.join(name));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        match fs::rename(&from, &to) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && to.exists() => {}
            done => done.map_err(Error::io("write", &to))?,
        }
        sync_folder(to.parent().unwrap_or(path))?;
    }
    remove_folder(&staging)
}

/// One writer a folder. `None` where the file system has no locks.
fn lock(path: &Path) -> Result<Option<File>> {
    let Ok(folder) = File::open(path) else { return Ok(None) };
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(fs::TryLockError::WouldBlock) => Err(Error::usage(
            format!("{} is being written by another process", path.display()),
            "wait for it to end, or choose another --out",
        )),
        Err(fs::TryLockError::Error(_)) => Ok(None),
    }
}

/// Every file below `folder`, as paths relative to the first call's folder.
pub(crate) fn list_files(folder: &Path, prefix: &str, paths: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let entry = entry.map_err(Error::io("read", folder))?;
        let name = entry.file_name();
        let relative = format!("{prefix}{}", name.to_string_lossy());
        if entry.path().is_dir() {
            if !(prefix.is_empty() && name == STAGING) {
                list_files(&entry.path(), &format!("{relative}/"), paths)?;
            }
        } else {
            paths.push(relative);
        }
    }
    Ok(())
}

fn remove_folder(path: &Path) -> Result<()> {
    absent_is_fine(fs::remove_dir_all(path)).map_err(Error::io("remove", path))
}

fn remove_file(path: &Path) -> Result<()> {
    absent_is_fine(fs::remove_file(path)).map_err(Error::io("remove", path))
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn make(path: &Path, files: &[(&str, &str)], force: bool) -> Result<Manifest> {
        let folder = OutputFolder::create(path, "store", force)?;
        for (name, content) in files {
            folder.write(name, content.as_bytes())?;
        }
        folder.commit(json!({}))
    }

    fn listing(path: &Path) -> Vec<String> {
        let mut paths = Vec::new();
        list_files(path, "", &mut paths).unwrap();
        paths.sort();
        paths
    }

    #[test]
    fn it_appears_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let folder = OutputFolder::create(&out, "store", false).unwrap();
        folder.write("a/b", b"x").unwrap();
        drop(folder);
        assert!(!out.exists());
        make(&out, &[("a/b", "x"), ("c", "y")], false).unwrap();
        assert_eq!(listing(&out), ["a/b", "c", MANIFEST]);
        assert!(!out.join(STAGING).exists());
    }

    #[test]
    fn what_it_did_not_make_is_never_touched() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.doc"), "x").unwrap();
        for force in [false, true] {
            assert!(make(root.path(), &[], force).unwrap_err().to_string().contains("not empty"));
        }
        assert_eq!(listing(root.path()), ["thesis.doc"]);
        let model = root.path().join("model");
        OutputFolder::create(&model, "model", false).unwrap().commit(json!({})).unwrap();
        assert!(make(&model, &[], true).unwrap_err().to_string().contains("holds a model"));
        assert!(make(&root.path().join("thesis.doc"), &[], true).is_err());
    }

    #[test]
    fn force_replaces_file_by_file_and_only_at_the_commit() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        make(&out, &[("a", "1"), ("old", "1")], false).unwrap();
        assert!(make(&out, &[("a", "2")], false).unwrap_err().help().contains("--force"));
        let folder = OutputFolder::create(&out, "store", true).unwrap();
        folder.write("a", b"2").unwrap();
        assert_eq!(fs::read(out.join("a")).unwrap(), b"1");
        drop(folder);
        assert_eq!(listing(&out), ["a", MANIFEST, "old"]);
        make(&out, &[("a", "2")], true).unwrap();
        assert_eq!(listing(&out), ["a", MANIFEST]);
        assert_eq!(fs::read(out.join("a")).unwrap(), b"2");
    }

    #[test]
    fn two_writers_do_not_meet() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let first = OutputFolder::create(&out, "store", false).unwrap();
        let error = OutputFolder::create(&out, "store", true).unwrap_err();
        assert!(error.to_string().contains("another process"), "{error}");
        drop(first);
        make(&out, &[], false).unwrap();
    }

    #[test]
    fn a_kill_before_the_commit_is_swept_and_one_in_its_midst_is_ended() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let staging = out.join(STAGING);
        fs::create_dir_all(&staging).unwrap();
        fs::write(staging.join("half"), "x").unwrap();
        let made = make(&out, &[("a", "1"), ("b", "2")], false).unwrap();
        assert_eq!(listing(&out), ["a", "b", MANIFEST]);
        // As after a kill when `a` had been moved and `b` had not.
        fs::create_dir(&staging).unwrap();
        fs::rename(out.join("b"), staging.join("b")).unwrap();
        fs::rename(out.join(MANIFEST), staging.join(MANIFEST)).unwrap();
        assert!(make(&out, &[], false).unwrap_err().to_string().contains("finished"));
        assert_eq!(Manifest::read(&out).unwrap(), made);
        assert_eq!(fs::read(out.join("b")).unwrap(), b"2");
    }
}
