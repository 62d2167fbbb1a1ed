//! Files for readers that ask for a path: in memory where the system has such a folder, since each case writes some.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

thread_local! {
    static FOLDER: TempDir = {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
    };
}

/// A path in the folder of this thread.
pub fn path(name: &str) -> PathBuf {
    FOLDER.with(|folder| folder.path().join(name))
}

/// The file `name` with these bytes.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = path(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// The folder `name`, made and filled the first time.
pub fn folder(name: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    let path = path(name);
    if !path.exists() {
        fill(&path);
    }
    path
}
