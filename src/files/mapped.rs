//! Files mapped into memory, and given back: the only place that does so.

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

/// Maps an open file for reading.
#[allow(unsafe_code)]
pub(super) fn map_open(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: this program writes files under a temporary name and renames them, and never changes one in place. A
    // file that another program cuts short while it is mapped ends this process with a signal, as for every map.
    unsafe { Mmap::map(file) }
}

/// Gives back the memory of a map whose pages have been looked at. They are read again when they are looked at again.
#[cfg(unix)]
#[allow(unsafe_code)]
pub fn release(map: &Mmap) {
    // SAFETY: the map is of a file and for reading only, so that no page of it holds anything which the file does not;
    // pages that are gone are read from the file again at the next look, with the same bytes.
    // The advice may be refused: then the memory stays, and nothing else happens.
    let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
}

/// Not needed on this system.
#[cfg(not(unix))]
pub fn release(_map: &Mmap) {}
