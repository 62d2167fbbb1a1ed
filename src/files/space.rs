//! Room on a disk.

use std::path::Path;

use serde::Serialize;

/// Total and free bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What can still be taken.
    pub free: u64,
}

/// The folder itself, or the nearest one above it that is there.
#[must_use]
pub fn nearest(path: &Path) -> Option<&Path> {
    let there = path.ancestors().find(|folder| folder.is_dir());
    there.or_else(|| path.is_relative().then_some(Path::new(".")))
}

/// Space of the file system that holds `folder`, as far as this user may fill it.
#[cfg(unix)]
#[must_use]
pub fn space_of(folder: &Path) -> Option<Space> {
    let found = rustix::fs::statvfs(folder).ok()?;
    let space =
        Space { total: found.f_blocks.checked_mul(found.f_frsize)?, free: found.f_bavail.checked_mul(found.f_frsize)? };
    // File systems that are no storage say nothing of room.
    (space.total > 0).then_some(space)
}

/// Not known on this system.
#[cfg(not(unix))]
#[must_use]
pub fn space_of(_folder: &Path) -> Option<Space> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_known_where_a_folder_is() {
        let space = space_of(&std::env::temp_dir()).unwrap();
        assert!(space.free <= space.total && space.total > 0);
        assert_eq!(space_of(Path::new("/no/such/folder")), None);
        assert_eq!(space_of(Path::new("/proc")), None);
    }
}
