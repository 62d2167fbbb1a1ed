//! BLAKE3 digests of files, and the `.b3` file that stands beside a single output file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::progress::check_interrupt;

/// Bytes read between two looks at the interrupt flag.
const BLOCK: usize = 1 << 20;

/// Size and BLAKE3 digest (64 hex digits) of a file.
///
/// # Errors
/// [`Error::Io`] when it cannot be read, [`Error::Interrupted`] after a signal.
pub fn digest_file(path: &Path) -> Result<(u64, String)> {
    digest(path, check_interrupt)
}

/// The same for what is written down when a signal has come.
///
/// # Errors
/// [`Error::Io`] when it cannot be read.
pub fn digest_to_the_end(path: &Path) -> Result<(u64, String)> {
    digest(path, || Ok(()))
}

fn digest(path: &Path, check: impl Fn() -> Result<()>) -> Result<(u64, String)> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut hasher = blake3::Hasher::new();
    let size = file.metadata().map_or(BLOCK as u64, |found| found.len());
    let mut block = vec![0; size.clamp(1, BLOCK as u64) as usize];
    let mut bytes = 0;
    loop {
        check()?;
        let n = file.read(&mut block).map_err(Error::io("read", path))?;
        if n == 0 {
            return Ok((bytes, hasher.finalize().to_hex().to_string()));
        }
        hasher.update(&block[..n]);
        bytes += n as u64;
    }
}

/// `<file>.b3`.
#[must_use]
pub fn digest_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".b3");
    PathBuf::from(name)
}

/// The content of `<file>.b3`, as `b3sum` writes it: digest, two blanks, file name.
#[must_use]
pub fn digest_line(path: &Path, hex: &str) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("{hex}  {name}\n")
}
