//! The list of refused records beside a table: `OUT.rejects.tsv`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::atomic::write_with_digest;
use crate::files::digest::digest_path;

/// Writes the list of the table `out`; `None` removes that of an earlier run.
///
/// # Errors
/// [`Error::Io`].
pub fn write_rejects(out: &Path, rejects: Option<&[u8]>) -> Result<()> {
    let mut name = out.as_os_str().to_owned();
    name.push(".rejects.tsv");
    let path = PathBuf::from(name);
    if let Some(rejects) = rejects {
        return write_with_digest(&path, rejects);
    }
    for stale in [digest_path(&path), path] {
        match fs::remove_file(&stale) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("remove", &stale)(e)),
            _ => {}
        }
    }
    Ok(())
}
