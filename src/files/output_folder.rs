//! An output folder that appears whole or not at all, and that never clobbers what it did not make.
//!
//! Files are written to `OUT/.partial/`. The commit puts the finished manifest there as a journal, moves every file to
//! its place and the manifest last. A process killed before the commit leaves only `.partial`, which the next run
//! sweeps, or goes on with where there is a checkpoint; one killed in its midst leaves the journal, with which the next
//! run ends the move.

mod checkpoint;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::atomic::{sized, sync_folder};
use super::digest::digest_file;
use super::folder_lock::{lock, make_and_lock};
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
    /// What the last checkpoint lists: it is there to go on with.
    kept: Option<Manifest>,
    /// Files that were taken over from elsewhere, and what they must be.
    taken: BTreeMap<String, FileEntry>,
    /// Held for the lock on the folder.
    _lock: Option<File>,
}

impl OutputFolder {
    /// Begins to write a folder of this `kind`. A folder that is absent or empty is taken. One that holds a finished
    /// folder of the same kind is replaced when `force` is set, and keeps its content until the commit.
    ///
    /// # Errors
    /// [`Error::Usage`] for every other place that is not empty; [`Error::Busy`] while another process writes there;
    /// [`Error::Io`].
    pub fn create(path: impl AsRef<Path>, kind: &str, force: bool) -> Result<Self> {
        let folder = Self::open(path.as_ref(), kind, force)?;
        folder.begin_anew()?;
        Ok(folder)
    }

    /// Locks the folder and ends the move that a killed process began. What lies in the staging folder stays.
    fn open(path: &Path, kind: &str, force: bool) -> Result<Self> {
        let path = path.to_path_buf();
        if path.exists() && !path.is_dir() {
            return Err(Error::usage(
                format!("cannot write the folder {}: it is a file", path.display()),
                "choose another --out",
            ));
        }
        let fresh = !path.exists();
        let lock = make_and_lock(&path)?;
        let (kind, taken) = (kind.to_owned(), BTreeMap::new());
        let folder = Self { path, kind, fresh, publishing: false, kept: None, taken, _lock: lock };
        end_move(&folder.path)?;
        folder.refuse_foreign(force)?;
        Ok(folder)
    }

    fn begin_anew(&self) -> Result<()> {
        let staging = self.staging();
        remove_folder(&staging)?;
        fs::create_dir(&staging).map_err(Error::io("create", &staging))
    }

    /// Ends the move that a killed process had begun, and sweeps what is left of one that it had ended. To be called before
    /// a folder is asked whether it is finished.
    ///
    /// # Errors
    /// [`Error::Busy`] while another process writes there; [`Error::Io`].
    pub fn settle(path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let staging = path.join(STAGING);
        if !staging.exists() {
            return Ok(());
        }
        let lock = match lock(path) {
            Err(Error::Busy { .. }) if Manifest::read(&staging).is_err() => return Ok(()),
            lock => lock?,
        };
        end_move(path)?;
        // A checkpoint is work to go on with, also where it is to replace what is finished.
        if lock.is_some() && path.join(MANIFEST).exists() && !checkpoint::is_in(&staging) {
            return remove_folder(&staging);
        }
        Ok(())
    }

    /// Removes `remains`, what is of no use now that the folder `path` is finished: gone at once for whoever looks, also
    /// when this process is killed in its midst.
    ///
    /// # Errors
    /// [`Error::Busy`] while another process writes there; [`Error::Io`].
    pub fn discard(path: &Path, remains: &Path) -> Result<()> {
        let _lock = lock(path)?;
        let staging = path.join(STAGING);
        remove_folder(&staging)?;
        // The next run sweeps the staging folder. On another file system it can only be removed where it is.
        let gone = if fs::rename(remains, &staging).is_ok() { &staging } else { remains };
        remove_folder(gone)
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
        let failed = |e| Error::io("write", self.path.join(relative))(sized(e, bytes.len() as u64, "it takes"));
        fs::write(&path, bytes).map_err(failed)
    }

    /// Takes over a file of another finished folder without copying it, where both lie on one file system. Its bytes are
    /// checked at the commit.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn take_over(&mut self, from: &Path, entry: &FileEntry, relative: &str) -> Result<()> {
        let (from, to) = (from.join(&entry.path), self.place(relative)?);
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to).map_err(Error::io("copy", &from))?;
        }
        self.taken.insert(relative.to_owned(), entry.clone());
        Ok(())
    }

    /// Digests every file, moves all to their places and writes the manifest last.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that was [taken over](Self::take_over) and is not what it was;
    /// [`Error::Interrupted`] after a signal. Nothing is moved then.
    pub fn commit(mut self, detail: Value) -> Result<Manifest> {
        let staging = self.staging();
        let files = self.entries(digest_file)?;
        let changed = files.iter().find(|file| {
            let taken = self.taken.get(&file.path);
            taken.is_some_and(|taken| (taken.bytes, &taken.blake3) != (file.bytes, &file.blake3))
        });
        if let Some(file) = changed {
            return Err(Error::format(
                self.path.join(&file.path),
                "the bytes that it was to take over have changed since they were written",
                "find the damage with 'biollmnet verify', and make that part again",
            ));
        }
        let manifest = Manifest::new(&self.kind, files, detail);
        manifest.write(&staging)?;
        self.publishing = true;
        publish(&self.path, &manifest)?;
        Ok(manifest)
    }

    /// Every file in the staging folder, made durable.
    fn entries(&self, digest: impl Fn(&Path) -> Result<(u64, String)>) -> Result<Vec<FileEntry>> {
        let staging = self.staging();
        let mut paths = Vec::new();
        list_files(&staging, "", &mut paths)?;
        paths.retain(|path| !checkpoint::is_part_of(path));
        paths.sort_unstable();
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let place = staging.join(&path);
            let shown = self.path.join(&path);
            let known = self.kept.as_ref().and_then(|kept| kept.file(&path));
            let size = fs::metadata(&place).map_err(Error::io("read", &shown))?.len();
            // What the last checkpoint has seen is not read again, unless it has grown since.
            if let Some(entry) = known.filter(|entry| entry.bytes == size) {
                files.push(entry.clone());
                continue;
            }
            let (bytes, blake3) = digest(&place)?;
            File::open(&place).and_then(|f| f.sync_all()).map_err(Error::io("write", shown))?;
            files.push(FileEntry { path, bytes, blake3 });
        }
        Ok(files)
    }

    /// Where files are until the commit; what has no name there may come and go.
    pub(crate) fn staging(&self) -> PathBuf {
        self.path.join(STAGING)
    }

    fn refuse_foreign(&self, force: bool) -> Result<()> {
        let entries = fs::read_dir(&self.path).map_err(Error::io("read", &self.path))?;
        if entries.flatten().all(|entry| entry.file_name() == STAGING) {
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
        // Nothing can be reported here; what stays is swept by the next run.
        match &self.kept {
            _ if self.publishing => {}
            Some(kept) => drop(checkpoint::cut_back(&self.staging(), kept)),
            None => {
                let _ = remove_folder(&self.staging());
                if self.fresh {
                    let _ = fs::remove_dir(&self.path);
                }
            }
        }
    }
}

/// Ends the move that a killed process began, where its journal is whole.
fn end_move(path: &Path) -> Result<()> {
    match Manifest::read(&path.join(STAGING)) {
        Ok(journal) => publish(path, &journal),
        Err(_) => Ok(()),
    }
}

/// Moves what the journal lists. Each step can be repeated after a kill.
fn publish(path: &Path, manifest: &Manifest) -> Result<()> {
    let staging = path.join(STAGING);
    // The journal is what to go on with from here.
    checkpoint::remove(&staging)?;
    if let Ok(old) = Manifest::read(path) {
        for file in old.files.iter().filter(|file| manifest.file(&file.path).is_none()) {
            remove_file(&path.join(&file.path))?;
        }
    }
    remove_file(&path.join(MANIFEST))?;
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
    fn what_is_left_of_a_move_that_was_ended_is_swept_and_a_checkpoint_stays() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        make(&out, &[("a/b", "1")], false).unwrap();
        fs::create_dir_all(out.join(STAGING).join("a")).unwrap();
        OutputFolder::settle(&out).unwrap();
        assert_eq!(listing(&out), ["a/b", MANIFEST]);
        assert!(!out.join(STAGING).exists());
        let mut folder = OutputFolder::create(&out, "store", true).unwrap();
        folder.write("a/b", b"2").unwrap();
        OutputFolder::settle(&out).unwrap();
        assert!(out.join(STAGING).exists(), "another process writes there");
        folder.checkpoint(json!({})).unwrap();
        drop(folder);
        OutputFolder::settle(&out).unwrap();
        assert!(OutputFolder::checkpoint_at(&out, "store").is_some());
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
