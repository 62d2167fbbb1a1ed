//! The shards of one output: which are there, and what became of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::atomic::write_file;
use super::manifest::MANIFEST;
use super::{Manifest, OutputFolder, Shard};
use crate::error::{Error, Result};

/// Missing shards that a message names.
const NAMED: usize = 8;

/// A finished shard.
#[derive(Debug)]
pub struct FinishedShard {
    /// Which one.
    pub shard: Shard,
    /// Its folder.
    pub path: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
}

/// What became of a shard.
#[derive(Debug)]
pub enum Standing {
    /// It is finished.
    Done(Manifest),
    /// It was stopped, and goes on from here.
    Stopped(Manifest),
    /// It was begun and has left nothing to go on with, or nothing of it is there.
    Missing,
    /// It ended with this message, or its manifest is damaged.
    Failed(String),
}

/// What a shard that failed leaves behind.
#[derive(Debug, Serialize, Deserialize)]
struct Failure {
    error: String,
    help: String,
}

/// The finished shards of `out`, in order: all of them.
///
/// # Errors
/// [`Error::Data`] that names the shards which are missing; [`Error::Busy`]; [`Error::Io`].
pub fn finished(out: &Path, kind: &str) -> Result<Vec<FinishedShard>> {
    let folder = Shard::folder_of(out);
    let Some(count) = counts(&folder)?.into_iter().max_by_key(|(count, n)| (n >= count, *n)).map(|(count, _)| count)
    else {
        return Err(Error::data(
            format!("{} holds no shard of {}", folder.display(), out.display()),
            "make them first: 'biollmnet embed' or 'biollmnet screen' with --shard i/n",
        ));
    };
    let mut found = Vec::with_capacity(count);
    let mut missing = Vec::new();
    for index in 0..count {
        let shard = Shard { index, count };
        let path = shard.place(out);
        OutputFolder::settle(&path)?;
        match Manifest::read_kind(&path, kind) {
            Ok(manifest) => found.push(FinishedShard { shard, path, manifest }),
            Err(_) => missing.push(shard.to_string()),
        }
    }
    if missing.is_empty() {
        return Ok(found);
    }
    let more = if missing.len() > NAMED { ", …" } else { "" };
    Err(Error::data(
        format!(
            "{} of the {count} shards of {} are not finished: {}{more}",
            missing.len(),
            out.display(),
            missing.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ")
        ),
        format!("run them again with --shard; 'biollmnet status {}' tells more of each", out.display()),
    ))
}

/// What became of each shard, for every number of shards that `out` was cut into.
///
/// # Errors
/// [`Error::Io`].
pub fn standings(out: &Path, kinds: &[&str]) -> Result<Vec<(Shard, Standing)>> {
    let counts = counts(&Shard::folder_of(out))?;
    let all = counts.into_keys().flat_map(|count| (0..count).map(move |index| Shard { index, count }));
    Ok(all.map(|shard| (shard, standing(out, shard, kinds))).collect())
}

fn standing(out: &Path, shard: Shard, kinds: &[&str]) -> Standing {
    let path = shard.place(out);
    if path.join(MANIFEST).exists() {
        return match Manifest::read(&path) {
            Ok(manifest) => Standing::Done(manifest),
            Err(error) => Standing::Failed(error.to_string()),
        };
    }
    if let Some(failure) = fs::read(failure_path(out, shard)).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
        let Failure { error, .. } = failure;
        return Standing::Failed(error);
    }
    match kinds.iter().find_map(|kind| OutputFolder::checkpoint_at(&path, kind)) {
        Some(manifest) => Standing::Stopped(manifest),
        None => Standing::Missing,
    }
}

/// Shards that are there by the number of all.
fn counts(folder: &Path) -> Result<BTreeMap<usize, usize>> {
    let mut counts = BTreeMap::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(counts),
        Err(e) => return Err(Error::io("read", folder)(e)),
    };
    for entry in entries {
        let name = entry.map_err(Error::io("read", folder))?.file_name();
        let name = name.to_string_lossy();
        let finished = folder.join(&*name).join(MANIFEST).exists();
        if let Some(shard) = Shard::from_name(name.strip_suffix(FAILED).unwrap_or(&name)) {
            *counts.entry(shard.count).or_insert(0) += usize::from(finished);
        }
    }
    Ok(counts)
}

const FAILED: &str = ".failed.json";

/// True for what a failed shard has left.
pub(super) fn is_note(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(FAILED))
}

fn failure_path(out: &Path, shard: Shard) -> PathBuf {
    Shard::folder_of(out).join(shard.name() + FAILED)
}

/// Does the work of a shard of each of `outs`, and leaves a note for `status` when it fails for good.
///
/// # Errors
/// That of the work.
pub fn recorded<T>(outs: &[PathBuf], shard: Shard, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = work();
    if shard.is_whole() {
        return done;
    }
    match &done {
        Ok(_) => outs.iter().for_each(|out| drop(fs::remove_file(failure_path(out, shard)))),
        // What passes is no failure, and nothing may be left of a command that was wrong.
        Err(error) if error.exit_code() != 3 => {}
        Err(error) => {
            let failure = Failure { error: error.to_string(), help: error.help().to_owned() };
            let text = serde_json::to_vec(&failure).unwrap_or_default();
            for out in outs {
                // The error itself is told in any case.
                let _ = fs::create_dir_all(Shard::folder_of(out)).map(|()| write_file(failure_path(out, shard), &text));
            }
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use std::slice;

    use serde_json::json;

    use super::*;

    fn finish(out: &Path, index: usize, count: usize) {
        let shard = Shard { index, count };
        OutputFolder::create(shard.place(out), "shard", false).unwrap().commit(json!({})).unwrap();
    }

    #[test]
    fn missing_stopped_failed_and_finished_shards_are_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        assert!(finished(&out, "shard").unwrap_err().help().contains("--shard"));
        assert!(standings(&out, &["shard"]).unwrap().is_empty());
        finish(&out, 0, 4);
        let mut stopped = OutputFolder::create(Shard { index: 1, count: 4 }.place(&out), "shard", false).unwrap();
        stopped.checkpoint(json!({"records": 3})).unwrap();
        drop(stopped);
        let shard = Shard { index: 3, count: 4 };
        let failed: Result<()> = recorded(slice::from_ref(&out), shard, || Err(Error::data("no letters", "add some")));
        assert!(failed.is_err());
        let names = |standings: Vec<(Shard, Standing)>| -> Vec<String> {
            let name = |standing| match standing {
                Standing::Done(_) => "done".to_owned(),
                Standing::Stopped(manifest) => format!("stopped at {}", manifest.detail["records"]),
                Standing::Missing => "missing".to_owned(),
                Standing::Failed(error) => error,
            };
            standings.into_iter().map(|(shard, standing)| format!("{shard} {}", name(standing))).collect()
        };
        let found = names(standings(&out, &["shard"]).unwrap());
        assert_eq!(found, ["0/4 done", "1/4 stopped at 3", "2/4 missing", "3/4 no letters"]);
        let error = finished(&out, "shard").unwrap_err();
        assert!(error.to_string().contains("3 of the 4 shards") && error.to_string().contains("1/4, 2/4, 3/4"));
        finish(&out, 3, 4);
        recorded(slice::from_ref(&out), shard, || Ok(())).unwrap();
        finish(&out, 1, 4);
        finish(&out, 2, 4);
        finish(&out, 0, 9);
        let all = finished(&out, "shard").unwrap();
        assert_eq!(all.iter().map(|found| found.shard.to_string()).collect::<Vec<_>>(), ["0/4", "1/4", "2/4", "3/4"]);
        assert!(finished(&out, "screen-shard").is_err());
        fs::write(shard.place(&out).join(MANIFEST), "{}").unwrap();
        let found = names(standings(&out, &["shard"]).unwrap());
        assert!(found[3].contains("damaged"), "{found:?}");
    }

    #[test]
    fn what_passes_is_no_failure() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        for error in [Error::Interrupted, Error::usage("a", "b"), Error::Busy { path: out.clone() }] {
            let shard = Shard { index: 0, count: 2 };
            assert!(recorded(slice::from_ref(&out), shard, || Err::<(), _>(error)).is_err());
        }
        assert!(!Shard::folder_of(&out).exists());
    }
}
