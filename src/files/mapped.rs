//! Files mapped into memory: the only place that does so.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Maps a whole file for reading; nothing of it is held in memory until it is looked at.
///
/// # Errors
/// [`Error::Io`].
pub fn map(path: &Path) -> Result<Mmap> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    map_open(&file).map_err(Error::io("map", path))
}

#[allow(unsafe_code)]
fn map_open(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: this program writes files under a temporary name and renames them, and never changes one in place. A
    // file that another program cuts short while it is mapped ends this process with a signal, as for every map.
    unsafe { Mmap::map(file) }
}
