//! `manifest.json`, the last file written into every output folder: what it holds, with checksums.
//!
//! The digest of the manifest itself stands at its very end and covers every byte before it, so that
//! `head -c -68 manifest.json | b3sum` repeats it and no byte of the file can change unnoticed.

use std::fs;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::atomic::write_file;
use super::digest::digest_file;
use super::whole;
use crate::error::{Error, Result};

/// Name of the manifest in its folder.
pub const MANIFEST: &str = "manifest.json";

/// Version of the layout of the manifest.
const SCHEMA: u32 = 1;
/// A manifest of 10 000 parts is about 2 MB; more than this is none.
const MOST_BYTES: u64 = 64 << 20;
/// What follows the 64 digits of the digest.
const END: &str = "\"\n}\n";

/// What an output folder holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this layout.
    pub schema: u32,
    /// `store`, `model`, `evaluation`, `demo`, …
    pub kind: String,
    /// `biollmnet <version>`.
    pub tool: String,
    /// Every file of the folder but this one, by path.
    pub files: Vec<FileEntry>,
    /// What this kind of folder says about itself.
    pub detail: Value,
}

/// The manifest as it stands in its file.
#[derive(Serialize)]
struct Signed<'a> {
    #[serde(flatten)]
    manifest: &'a Manifest,
    digest: &'a str,
}

/// One file of an output folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path below the folder, with `/`.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// BLAKE3 digest, 64 hex digits.
    pub blake3: String,
}

impl Manifest {
    /// The manifest of a folder of this `kind`, made by this version.
    #[must_use]
    pub fn new(kind: &str, files: Vec<FileEntry>, detail: Value) -> Self {
        let tool = concat!("biollmnet ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { schema: SCHEMA, kind: kind.to_owned(), tool, files, detail }
    }

    /// Reads `folder/manifest.json` and checks its own digest (not the files: that is
    /// [`verify`](super::verify::verify)).
    ///
    /// # Errors
    /// [`Error::Format`] when there is none, when a byte of it changed, or when another version wrote it.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        if folder.is_file() {
            return Err(Error::format(
                folder,
                "is a file, not a folder made by biollmnet",
                "name an output folder; sequences become a store by 'biollmnet embed'",
            ));
        }
        if !folder.exists() {
            return Err(Error::format(folder, "there is no such folder", "check the spelling of the path"));
        }
        if folder.is_dir() && !path.exists() {
            return Err(Error::format(
                folder,
                "holds no manifest.json",
                "the folder is unfinished or not made by biollmnet; make it again",
            ));
        }
        Self::parse(&path, &whole::read(&path, MOST_BYTES)?)
    }

    /// [`read`](Self::read), and a refusal of every other kind of folder.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_kind(folder: &Path, kind: &str) -> Result<Self> {
        let manifest = Self::read(folder)?;
        if manifest.kind == kind {
            return Ok(manifest);
        }
        Err(Error::format(
            folder,
            format!("expected a folder of kind '{kind}', found one of kind '{}'", manifest.kind),
            format!("name a {kind} folder"),
        ))
    }

    /// Reads every byte of the files in `folder` and compares them with what was written; `help` says what to do otherwise.
    ///
    /// # Errors
    /// [`Error::Format`] that names the file; [`Error::Io`]; [`Error::Interrupted`].
    pub fn check_files(&self, folder: &Path, help: &str) -> Result<()> {
        // Sizes first: what was cut short is told at once.
        for file in &self.files {
            let path = folder.join(&file.path);
            let found = fs::metadata(&path).map_err(Error::io("read", &path))?.len();
            if found != file.bytes {
                return Err(Error::format(path, format!("it has {found} bytes, {} were written", file.bytes), help));
            }
        }
        for file in &self.files {
            let path = folder.join(&file.path);
            if digest_file(&path)?.1 != file.blake3 {
                return Err(Error::format(path, "its bytes have changed since it was written", help));
            }
        }
        Ok(())
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| damaged(path, "it is not text"))?;
        let (signed, hex) = text
            .strip_suffix(END)
            .and_then(|rest| rest.split_at_checked(rest.len().checked_sub(64)?))
            .ok_or_else(|| damaged(path, "its end is missing"))?;
        if blake3::hash(signed.as_bytes()).to_hex().as_str() != hex {
            return Err(damaged(path, "it does not match its own digest"));
        }
        let manifest: Self = serde_json::from_str(text).map_err(|e| damaged(path, &e.to_string()))?;
        if manifest.schema != SCHEMA {
            return Err(Error::format(
                path,
                format!("layout version {} is not known", manifest.schema),
                format!("it was written by {}; use that version or make the folder again", manifest.tool),
            ));
        }
        match manifest.files.iter().find(|file| !stays_inside(&file.path)) {
            Some(file) => Err(damaged(path, &format!("it names a file outside its folder: '{}'", file.path))),
            None => Ok(manifest),
        }
    }

    /// Writes `folder/manifest.json` atomically; returns its digest.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, folder: &Path) -> Result<String> {
        let path = folder.join(MANIFEST);
        let unsigned = Signed { manifest: self, digest: "" };
        let mut text = serde_json::to_string_pretty(&unsigned).map_err(|e| damaged(&path, &e.to_string()))?;
        text.truncate(text.len() - END.trim_end().len());
        let hex = blake3::hash(text.as_bytes()).to_hex().to_string();
        text.push_str(&hex);
        text.push_str(END);
        write_file(&path, text.as_bytes())?;
        Ok(hex)
    }

    /// The entry of one file.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.path == path)
    }
}

fn damaged(path: &Path, reason: &str) -> Error {
    Error::format(path, format!("damaged manifest: {reason}"), "restore the folder from a copy or make it again")
}

fn stays_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn example() -> Manifest {
        let file = FileEntry { path: "vec/a".into(), bytes: 3, blake3: "0".repeat(64) };
        Manifest::new("store", vec![file], json!({"dim": 4, "rate": 0.1}))
    }

    #[test]
    fn what_is_written_is_read_and_no_changed_byte_is() {
        let folder = tempfile::tempdir().unwrap();
        example().write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), example());
        let path = folder.path().join(MANIFEST);
        let good = fs::read(&path).unwrap();
        assert!(serde_json::from_slice::<Value>(&good).unwrap()["digest"].is_string());
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert!(Manifest::parse(&path, &bad).is_err(), "byte {at}, bit {bit}");
            }
        }
        for end in 0..good.len() {
            assert!(Manifest::parse(&path, &good[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_file_outside_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["../a", "/etc/passwd", "a/../../b", ""] {
            let mut manifest = example();
            manifest.files[0].path = path.to_owned();
            manifest.write(folder.path()).unwrap();
            assert!(Manifest::read(folder.path()).is_err(), "{path}");
        }
    }

    #[test]
    fn what_is_too_long_for_a_manifest_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join(MANIFEST)).unwrap();
        file.set_len(MOST_BYTES + 1).unwrap();
        let error = Manifest::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains(MANIFEST) && error.contains("67108864 bytes"), "{error}");
    }

    #[test]
    fn another_kind_is_named() {
        let folder = tempfile::tempdir().unwrap();
        example().write(folder.path()).unwrap();
        let error = Manifest::read_kind(folder.path(), "model").unwrap_err().to_string();
        assert!(error.contains("'model'") && error.contains("'store'"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let mut signed = bytes.clone();
            signed.extend(blake3::hash(&bytes).to_hex().as_bytes());
            signed.extend(END.as_bytes());
            let _ = Manifest::parse(Path::new("x"), &bytes);
            let _ = Manifest::parse(Path::new("x"), &signed);
        }

        #[test]
        fn what_is_written_comes_back(
            names in proptest::collection::vec("[a-z\"\\\\ é]{1,8}(/[a-z]{1,4})?", 0..4), bytes: u64, text: String, number: i64, kind: String,
        ) {
            let entry = |path| FileEntry { path, bytes, blake3: "0".repeat(64) };
            let detail = json!({"text": text, "list": [number, null, {"deep": [text]}]});
            let manifest = Manifest::new(&kind, names.into_iter().map(entry).collect(), detail);
            let folder = tempfile::tempdir().unwrap();
            manifest.write(folder.path()).unwrap();
            assert_eq!(Manifest::read(folder.path()).unwrap(), manifest);
        }
    }
}
