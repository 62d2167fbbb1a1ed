//! One writer a folder: the lock that a living process holds on it, and that goes with the process.

use std::fs::{self, File};
use std::path::Path;

use crate::error::{Error, Result};

/// Makes the folder and locks it. `None` where the file system has no locks.
///
/// # Errors
/// [`Error::Busy`] while another process holds it; [`Error::Io`].
pub fn make_and_lock(path: &Path) -> Result<Option<File>> {
    loop {
        fs::create_dir_all(path).map_err(Error::io("create", path))?;
        let lock = lock(path)?;
        // Another process may have removed the folder that it had made before it was locked here.
        if lock.as_ref().is_none_or(|lock| is_at(lock, path)) {
            return Ok(lock);
        }
    }
}

/// Locks a folder that is there. `None` where the file system has no locks.
///
/// # Errors
/// [`Error::Busy`] while another process holds it.
pub fn lock(path: &Path) -> Result<Option<File>> {
    let Ok(folder) = File::open(path) else { return Ok(None) };
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Busy { path: path.to_path_buf() }),
        Err(fs::TryLockError::Error(_)) => Ok(None),
    }
}

/// True when `path` still names the open `folder`.
#[cfg(unix)]
fn is_at(folder: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |found: fs::Metadata| (found.dev(), found.ino());
    matches!((folder.metadata(), fs::metadata(path)), (Ok(open), Ok(named)) if place(open.clone()) == place(named.clone()))
}

/// Not known on this system.
#[cfg(not(unix))]
fn is_at(_folder: &File, _path: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let held = make_and_lock(&path).unwrap();
        assert!(held.is_some() && path.is_dir());
        assert!(matches!(make_and_lock(&path), Err(Error::Busy { .. })));
        drop(held);
        assert!(lock(&path).unwrap().is_some());
    }
}
