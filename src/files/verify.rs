//! Checking every byte of an output against the digests written with it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::digest::{digest_file, digest_line, digest_path};
use super::manifest::{MANIFEST, Manifest};
use super::output_folder::list_files;
use super::shard::Shard;
use super::shard_set::is_note;
use crate::error::{Error, Result};
use crate::progress::Progress;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Kind of the folder, `file` for a single file, `outputs` for several folders, empty where the manifest itself is damaged.
    pub kind: String,
    /// Files checked.
    pub files: usize,
    /// Bytes checked.
    pub bytes: u64,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// Files of the folder that its manifest does not list: not checked, and no fault.
    pub unlisted: Vec<String>,
}

/// One file that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Checks every byte of a folder with a manifest, of a file with a `.b3` beside it, or of all outputs in a folder: the
/// stores of several poolings, the shards of a store. Shards of `path` that is not there itself are checked in its place.
///
/// # Errors
/// [`Error::Format`] when there is nothing to check against, [`Error::Io`] when `path` itself cannot be read. What is
/// wrong with the content is no error but a [`Fault`].
pub fn verify(path: &Path, progress: &dyn Progress) -> Result<Verification> {
    let shards = Shard::folder_of(path);
    let path = if !path.exists() && shards.is_dir() { &shards } else { path };
    let found = fs::metadata(path).map_err(Error::io("read", path))?;
    if !found.is_dir() {
        return verify_file(path);
    }
    let outputs = if path.join(MANIFEST).exists() { Vec::new() } else { outputs_in(path)? };
    if outputs.is_empty() { verify_folder(path, progress) } else { verify_outputs(&outputs, progress) }
}

/// The folders in `folder`, where it holds nothing else (but for notes of shards that failed) and one of them is an output.
fn outputs_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut folders, mut any) = (Vec::new(), false);
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        if path.is_dir() {
            any |= path.join(MANIFEST).exists();
            folders.push(path);
        } else if !is_note(&path) {
            return Ok(Vec::new());
        }
    }
    folders.sort_unstable();
    Ok(if any { folders } else { Vec::new() })
}

/// Checks each of `outputs`; what is unfinished is told among what is not checked.
fn verify_outputs(outputs: &[PathBuf], progress: &dyn Progress) -> Result<Verification> {
    let mut all = Verification { kind: "outputs".into(), files: 0, bytes: 0, faults: vec![], unlisted: vec![] };
    for path in outputs {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut files = Vec::new();
        list_files(path, "", &mut files)?;
        if !path.join(MANIFEST).exists() && files.is_empty() {
            all.unlisted.push(format!("{name}, which is unfinished,"));
            continue;
        }
        let found = match verify(path, progress) {
            Ok(found) => found,
            Err(Error::Format { path, reason, .. }) => {
                all.faults.push(Fault { path, reason });
                continue;
            }
            Err(error) => return Err(error),
        };
        all.files += found.files;
        all.bytes += found.bytes;
        all.faults.extend(found.faults);
        all.unlisted.extend(found.unlisted.into_iter().map(|file| format!("{name}/{file}")));
    }
    Ok(all)
}

fn verify_folder(folder: &Path, progress: &dyn Progress) -> Result<Verification> {
    let mut report = Verification { kind: String::new(), files: 1, bytes: 0, faults: vec![], unlisted: vec![] };
    let manifest_path = folder.join(MANIFEST);
    let manifest = match Manifest::read(folder) {
        Ok(manifest) => manifest,
        Err(error) if !manifest_path.exists() => return Err(error),
        Err(error) => {
            let reason = format!("{}; the other files cannot be checked without it", reason_of(error));
            report.faults.push(Fault { path: manifest_path, reason });
            return Ok(report);
        }
    };
    report.kind.clone_from(&manifest.kind);
    report.files += manifest.files.len();
    progress.begin("verify", "files", Some(manifest.files.len() as u64));
    for file in &manifest.files {
        let path = folder.join(&file.path);
        match digest_file(&path) {
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => report.faults.push(Fault { path, reason: error.to_string() }),
            Ok((bytes, _)) if bytes != file.bytes => {
                let reason = format!("{bytes} bytes where {} were written", file.bytes);
                report.faults.push(Fault { path, reason });
            }
            Ok((bytes, blake3)) => {
                report.bytes += bytes;
                if blake3 != file.blake3 {
                    report.faults.push(Fault { path, reason: "its bytes have changed since it was written".into() });
                }
            }
        }
        progress.advance(1);
    }
    progress.finish();
    let mut present = Vec::new();
    list_files(folder, "", &mut present)?;
    present.retain(|path| path != MANIFEST && manifest.file(path).is_none());
    present.sort_unstable();
    report.unlisted = present;
    Ok(report)
}

fn verify_file(path: &Path) -> Result<Verification> {
    let beside = digest_path(path);
    if !beside.exists() {
        return Err(Error::format(
            path,
            format!("there is no {} to check it against", beside.display()),
            "name an output folder of biollmnet, or an output file with its .b3 beside it",
        ));
    }
    let (bytes, hex) = digest_file(path)?;
    let written = fs::read(&beside).map_err(Error::io("read", &beside))?;
    let mut report = Verification { kind: "file".into(), files: 2, bytes, faults: vec![], unlisted: vec![] };
    if written != digest_line(path, &hex).into_bytes() {
        let reason = format!("it does not match {}: one of the two has changed", beside.display());
        report.faults.push(Fault { path: path.to_path_buf(), reason });
    }
    Ok(report)
}

fn reason_of(error: Error) -> String {
    match error {
        Error::Format { reason, .. } => reason,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::OutputFolder;
    use crate::files::atomic::write_with_digest;
    use crate::progress::Silent;
    use serde_json::json;

    #[test]
    fn every_flipped_byte_of_a_folder_is_found_and_named() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let folder = OutputFolder::create(&out, "model", false).unwrap();
        folder.write("a.txt", b"some content").unwrap();
        folder.write("sub/b.bin", &[0; 40]).unwrap();
        folder.commit(json!({"x": 1})).unwrap();
        assert!(verify(&out, &Silent).unwrap().faults.is_empty());
        for name in ["a.txt", "sub/b.bin", MANIFEST] {
            let path = out.join(name);
            let good = fs::read(&path).unwrap();
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 1 << (at % 8);
                fs::write(&path, &bad).unwrap();
                let faults = verify(&out, &Silent).unwrap().faults;
                assert_eq!(faults.len(), 1, "{name} byte {at}");
                assert_eq!(faults[0].path, path);
            }
            fs::write(&path, &good[..good.len() - 1]).unwrap();
            assert_eq!(verify(&out, &Silent).unwrap().faults.len(), 1);
            fs::write(&path, &good).unwrap();
        }
        fs::remove_file(out.join("a.txt")).unwrap();
        fs::write(out.join("notes.txt"), "mine").unwrap();
        let report = verify(&out, &Silent).unwrap();
        assert_eq!((report.faults.len(), report.unlisted), (1, vec!["notes.txt".to_owned()]));
    }

    #[test]
    fn every_output_of_a_folder_is_checked() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let shards = Shard::folder_of(&out);
        for index in 0..2 {
            let folder = OutputFolder::create(shards.join(format!("0000{index}-of-00003")), "shard", false).unwrap();
            folder.write("a", b"content").unwrap();
            folder.commit(json!({})).unwrap();
        }
        fs::create_dir_all(shards.join("00002-of-00003/.partial")).unwrap();
        let report = verify(&out, &Silent).unwrap();
        assert_eq!((report.kind.as_str(), report.files, report.faults.len()), ("outputs", 4, 0));
        assert!(report.unlisted.len() == 1 && report.unlisted[0].contains("unfinished"));
        fs::write(shards.join("00001-of-00003/a"), "Content").unwrap();
        fs::remove_file(shards.join("00000-of-00003").join(MANIFEST)).unwrap();
        let faults = verify(&shards, &Silent).unwrap().faults;
        assert_eq!(faults.len(), 2);
        assert_eq!(faults[1].path, shards.join("00001-of-00003/a"));
    }

    #[test]
    fn every_flipped_byte_of_a_single_file_and_its_digest_is_found() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("predictions.tsv");
        write_with_digest(&path, b"rna\tprotein\t0.5\n").unwrap();
        assert!(verify(&path, &Silent).unwrap().faults.is_empty());
        for changed in [path.clone(), digest_path(&path)] {
            let good = fs::read(&changed).unwrap();
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 0x20;
                fs::write(&changed, &bad).unwrap();
                assert_eq!(verify(&path, &Silent).unwrap().faults.len(), 1, "{} {at}", changed.display());
            }
            fs::write(&changed, &good).unwrap();
        }
        fs::remove_file(digest_path(&path)).unwrap();
        assert!(verify(&path, &Silent).unwrap_err().to_string().contains(".b3"));
    }
}
