//! Files that are read as a whole because they are short: configurations, indices, manifests.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// The bytes of `path`, at most `most`.
///
/// # Errors
/// [`Error::Format`] for a longer file, of which no more is read; [`Error::Io`].
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 <= most {
        return Ok(bytes);
    }
    Err(Error::format(
        path,
        format!("is longer than the {most} bytes that a file of this kind has at most"),
        "check that this is the right file",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_at_the_limit_is_read_and_a_longer_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, b"{\"a\":1}").unwrap();
        assert_eq!(read(&path, 7).unwrap(), b"{\"a\":1}");
        let error = read(&path, 6).unwrap_err();
        assert!(error.to_string().contains("config.json") && error.to_string().contains("the 6 bytes"), "{error}");
        assert!(read(&folder.path().join("none"), 6).unwrap_err().to_string().contains("none"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_without_an_end_is_refused() {
        assert!(read(Path::new("/dev/zero"), 1 << 20).unwrap_err().to_string().contains("1048576"));
    }
}
