//! Where unfinished work stands: notes that a later process of the same work goes on with.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::OutputFolder;
use super::atomic::write_file;
use super::folder_lock::make_and_lock;
use crate::error::{Error, Result};

/// A folder of notes. Each is whole or not there, and none is read by work of another key.
pub struct ProgressFolder {
    path: PathBuf,
    /// Digest of all that the work depends on.
    key: [u8; 32],
    /// The folder lies beside an output, and goes when nothing was noted in it.
    beside: bool,
    /// There is something to go on with.
    noted: AtomicBool,
    /// Held for the lock on the folder: one process at a time does the work.
    _lock: Option<File>,
}

impl ProgressFolder {
    /// The folder `OUT` + `suffix`, for an output that is a file.
    ///
    /// # Errors
    /// [`Error::Busy`] while another process writes the output; [`Error::Io`].
    pub fn beside(out: &Path, suffix: &str, key: [u8; 32]) -> Result<Self> {
        let mut name = out.as_os_str().to_owned();
        name.push(suffix);
        let path = PathBuf::from(name);
        let lock = make_and_lock(&path).map_err(|error| match error {
            Error::Busy { .. } => Error::Busy { path: out.to_path_buf() },
            other => other,
        })?;
        Ok(Self { path, key, beside: true, noted: false.into(), _lock: lock })
    }

    /// The notes of the checkpoint of an output folder, which go with it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn within(folder: &OutputFolder, key: [u8; 32]) -> Result<Self> {
        let path = folder.notes();
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        Ok(Self { path, key, beside: false, noted: false.into(), _lock: None })
    }

    /// A note of this work; `None` when it is not there, or not whole.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => {
                let content = self.content(bytes);
                self.noted.fetch_or(content.is_some(), Ordering::Relaxed);
                Ok(content)
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", path)(e)),
        }
    }

    fn content(&self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let signed = bytes.len().checked_sub(blake3::OUT_LEN)?;
        let length = signed.checked_sub(self.key.len())?;
        let sound = bytes[length..signed] == self.key && blake3::hash(&bytes[..signed]).as_bytes() == &bytes[signed..];
        bytes.truncate(length);
        sound.then_some(bytes)
    }

    /// Writes a note in place of an earlier one of this name.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, name: &str, mut content: Vec<u8>) -> Result<()> {
        content.extend(self.key);
        let digest = *blake3::hash(&content).as_bytes();
        content.extend(digest);
        write_file(self.path.join(name), &content)?;
        self.noted.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// True when nothing was noted, and nothing of an earlier process was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.noted.load(Ordering::Relaxed)
    }

    /// Removes the notes: the output is there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<()> {
        self.beside = false;
        fs::remove_dir_all(&self.path).map_err(Error::io("remove", &self.path))
    }
}

impl Drop for ProgressFolder {
    fn drop(&mut self) {
        if self.beside && self.is_empty() {
            // What another screen noted keeps the folder.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_note_is_read_back_and_a_damaged_or_foreign_one_is_not() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("hits.tsv");
        let of_key = |key: u8| ProgressFolder::beside(&out, ".screening", [key; 32]);
        let folder = of_key(1).unwrap();
        assert!(folder.read("a").unwrap().is_none());
        for content in [b"".to_vec(), b"some".to_vec()] {
            folder.write("a", content.clone()).unwrap();
            assert_eq!(folder.read("a").unwrap(), Some(content));
        }
        assert!(matches!(of_key(2), Err(Error::Busy { path }) if path == out));
        drop(folder);
        assert!(of_key(2).unwrap().read("a").unwrap().is_none());
        let folder = of_key(1).unwrap();
        let path = root.path().join("hits.tsv.screening/a");
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert!(folder.read("a").unwrap().is_none(), "byte {at}");
            fs::write(&path, &bytes[..at]).unwrap();
            assert!(folder.read("a").unwrap().is_none(), "{at} bytes");
        }
        folder.finish().unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_left_where_nothing_was_noted() {
        let root = tempfile::tempdir().unwrap();
        drop(ProgressFolder::beside(&root.path().join("hits.tsv"), ".screening", [1; 32]).unwrap());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn notes_of_a_checkpoint_stay_until_the_folder_is_finished() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let resume = || OutputFolder::resume(&out, "store", false, |detail| detail["of"] == 1).unwrap();
        let (mut folder, _) = resume();
        folder.checkpoint(json!({"of": 1})).unwrap();
        ProgressFolder::within(&folder, [1; 32]).unwrap().write("a", b"some".to_vec()).unwrap();
        folder.write("half", b"x").unwrap();
        drop(folder);
        let (folder, found) = resume();
        assert!(found.is_some());
        assert_eq!(ProgressFolder::within(&folder, [1; 32]).unwrap().read("a").unwrap(), Some(b"some".to_vec()));
        let manifest = folder.commit(json!({})).unwrap();
        assert!(manifest.files.is_empty());
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "the manifest alone");
    }
}
