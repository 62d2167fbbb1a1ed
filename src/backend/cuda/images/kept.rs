//! Kernels that were compiled before, one file each. A folder that cannot be read or written costs time, nothing else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::files::atomic;

/// Where compiled kernels are kept: `BIOLLMNET_CACHE`, or `biollmnet/kernels` in the user's folder for such things.
pub(super) fn folder() -> Option<PathBuf> {
    folder_from(|variable| env::var_os(variable).filter(|value| !value.is_empty()))
}

fn folder_from(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let of_user = || {
        let xdg = variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
        xdg.or_else(|| Some(Path::new(&variable("HOME")?).join(".cache")))
    };
    variable("BIOLLMNET_CACHE").map(PathBuf::from).or_else(|| Some(of_user()?.join("biollmnet").join("kernels")))
}

/// The place of one compiled kernel, named by a digest of all that it was made from.
pub(super) struct Key {
    file: Option<PathBuf>,
}

impl Key {
    pub(super) fn new(kernel: &str, architecture: &str, made_from: &[&str]) -> Self {
        Self::within(folder(), kernel, architecture, made_from)
    }

    pub(super) fn within(folder: Option<PathBuf>, kernel: &str, architecture: &str, made_from: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in made_from {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let digest = hasher.finalize().to_hex();
        Self { file: folder.map(|folder| folder.join(format!("{kernel}-{architecture}-{}", &digest[..32]))) }
    }

    /// The image, if it is there and whole.
    pub(super) fn read(&self) -> Option<Vec<u8>> {
        let mut bytes = fs::read(self.file.as_ref()?).ok()?;
        let (image, digest) = bytes.split_last_chunk::<{ blake3::OUT_LEN }>()?;
        let whole = blake3::hash(image) == *digest;
        bytes.truncate(image.len());
        whole.then_some(bytes)
    }

    /// Keeps the image, with its digest behind it.
    pub(super) fn write(&self, image: &[u8]) {
        let Some((file, folder)) = self.file.as_ref().and_then(|file| Some((file, file.parent()?))) else { return };
        let bytes = [image, blake3::hash(image).as_bytes()].concat();
        let _ = fs::create_dir_all(folder).is_ok_and(|()| atomic::write_file(file, &bytes).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_follows_the_environment() {
        let from = |set: &[(&str, &str)]| {
            folder_from(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
        };
        assert_eq!(from(&[("BIOLLMNET_CACHE", "/a"), ("HOME", "/h")]), Some("/a".into()));
        assert_eq!(from(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]), Some("/x/biollmnet/kernels".into()));
        assert_eq!(from(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")]), Some("/h/.cache/biollmnet/kernels".into()));
        assert_eq!(from(&[("HOME", "/h")]), Some("/h/.cache/biollmnet/kernels".into()));
        assert_eq!(from(&[]), None);
    }

    #[test]
    fn the_name_depends_on_every_part() {
        let name = |kernel, architecture, parts: &[&str]| {
            Key::within(Some("/f".into()), kernel, architecture, parts).file.unwrap().display().to_string()
        };
        let first = name("layer_norm", "sm_90a", &["header", "source", "options"]);
        assert_eq!(first, "/f/layer_norm-sm_90a-869a279a814a369ba689b83ef60c6535");
        for other in [
            name("layer_norm", "sm_80", &["header", "source", "options"]),
            name("layer_norm", "sm_90a", &["header", "source", "option"]),
            name("layer_norm", "sm_90a", &["headers", "ource", "options"]),
            name("layer_norm", "sm_90a", &["header", "source"]),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn what_was_written_is_read_unless_it_was_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let deeper = folder.path().join("not/there/yet");
        let key = |part| Key::within(Some(deeper.clone()), "gemm", "sm_80", &[part]);
        assert_eq!(key("a").read(), None);
        key("a").write(b"image");
        assert_eq!(key("a").read().as_deref(), Some(&b"image"[..]));
        assert_eq!(key("b").read(), None);

        let file = key("a").file.unwrap();
        let whole = fs::read(&file).unwrap();
        for damaged in [&b""[..], &whole[..10], &whole[1..], &[&whole[..], b"x"].concat()] {
            fs::write(&file, damaged).unwrap();
            assert_eq!(key("a").read(), None, "{} bytes", damaged.len());
        }
        key("a").write(b"image");
        assert_eq!(key("a").read().as_deref(), Some(&b"image"[..]));
    }

    #[test]
    fn no_folder_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "in the way").unwrap();
        for place in [None, Some(file.join("below"))] {
            let key = Key::within(place, "gemm", "sm_80", &["a"]);
            key.write(b"image");
            assert_eq!(key.read(), None);
        }
    }
}
