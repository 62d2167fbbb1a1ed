//! Row 5: a full disk, a short write and an I/O error at every change of a file.

use anyhow::{Context as _, ensure};
use rand::RngExt as _;

use crate::injection::{self, Fault};
use crate::job::{Job, Sameness, Trial, contents};
use crate::row::Row;
use crate::support::{Ran, on_small_disk};
use crate::workshop::workshop;

const FAULT: &str = "disk full, short write, EIO at every change of a file";

#[test]
fn a_few_changes_fail() {
    matrix_row(Row::fast(5, FAULT));
}

#[test]
#[ignore = "a row of the whole matrix"]
fn every_change_fails() {
    matrix_row(Row::full(5, FAULT));
}

fn jobs() -> Vec<Job> {
    let kmer = "embed @rna.fa --encoder kmer --out out";
    let many = "embed @many.fa --encoder kmer --out out";
    let esm = "embed @proteins.fa --encoder @esm --max-tokens 64 --out out";
    let train = "train --pairs @pairs.tsv --rna @rna --partner @partner --config @few.toml --out model";
    let old_model = "train --pairs @pairs.tsv --rna @rna --partner @partner --config @few.toml --seed 5 --out model";
    let predict = "predict --model @model --pairs @pairs.tsv --rna @rna --partner @partner --out predictions.tsv";
    let screen = "screen --model @model --targets @rna --library @partner --out hits.tsv --top-k";
    let job = |name, commands: &[&str]| Job::new(name, commands, Sameness::Files);
    vec![
        job("embed", &[kmer]),
        job("embed over an old store", &["embed @many.fa --encoder kmer --out out", &format!("{kmer} --force")]),
        Job::new("embed with checkpoints", &[&format!("{esm} --checkpoint 0")], Sameness::Vectors(&["out"])),
        job("embed a shard", &[&format!("{many} --shard 1/3")]),
        job("merge", &[&format!("{many} --shard 0/2"), &format!("{many} --shard 1/2"), "merge out"]),
        job("train", &[train]),
        job("train over an old model", &[old_model, &format!("{train} --force")]),
        job("predict", &[predict]),
        job("predict over an old table", &[&predict.replace("pairs.tsv", "few.tsv"), predict]),
        job("predict, Parquet", &[&predict.replace("predictions.tsv", "p.parquet")]),
        job("screen", &[&format!("{screen} 5")]),
        job("a shard of a screen", &[&format!("{screen} 5 --shard 0/2")]),
        job(
            "merge of a screen over an old table",
            &[
                &format!("{screen} 3"),
                &format!("{screen} 5 --shard 0/2"),
                &format!("{screen} 5 --shard 1/2"),
                "merge hits.tsv",
            ],
        ),
        job("screen over an old table, folded", &[&format!("{screen} 3"), &format!("{screen} 5 --folded folded")]),
        job("export, npy", &["export @rna --format npy --out v.npy"]),
        job("export, csv", &["export @rna --format csv --out v.csv"]),
        job("export, Parquet", &["export @rna --format parquet --out v.parquet"]),
        job("import", &["import @esm --out backbone"]),
        job("import of vectors", &["import-vectors @vectors.csv --encoder-name x --out out"]),
        job(
            "evaluate",
            &[
                "evaluate --pairs @pairs.tsv --rna @rna --partner @partner --config @few.toml --out e --seeds 1 --folds 2 --fusion static",
            ],
        ),
    ]
}

fn matrix_row(mut row: Row) {
    if !injection::is_possible() {
        return;
    }
    let jobs = jobs();
    let mut points: Vec<(&Job, Fault, usize)> = Vec::new();
    for job in &jobs {
        for fault in [Fault::Io, Fault::Full, Fault::Short] {
            points.extend((1..=job.calls).map(|nth| (job, fault, nth)));
        }
    }
    let all = points.len();
    let wanted = row.count(40, all);
    let mut rng = row.rng();
    while points.len() > wanted {
        points.swap_remove(rng.random_range(0..points.len()));
    }
    let mut refused = 0;
    for (job, fault, nth) in points {
        row.trial(
            || format!("{}, {fault:?} at change {nth} of {}", job.name, job.calls),
            || {
                let trial = Trial::new(job);
                let ran = trial.run_with(fault, nth);
                ensure!(!ran.err.contains("panicked"), "{}", ran.err);
                if matches!(ran.code, Some(0 | 1)) {
                    trial.holds_the_result().context("it says that all is well")?;
                } else {
                    refused += 1;
                    ensure!(fault != Fault::Short, "half of a write is no error: {}", ran.err);
                    check_message(&trial, &ran, fault)?;
                    old_is_whole(job, &trial)?;
                }
                trial.run_again().map(drop)
            },
        );
    }
    row.note(format!("{all} points in {} jobs; {refused} refused, the others did not hurt", jobs.len()));
    row.end();
}

/// A file system that is really full: no half of an output is left on it, and the message tells what it takes and what is free.
#[test]
fn a_small_disk_is_full() {
    let bench = workshop();
    let disk = tempfile::tempdir().unwrap();
    on_small_disk(&disk.path().join("disk"), "16k,nr_inodes=100", || {
        let inputs = "--rna rna --partner partner";
        for line in [
            "embed many.fa --encoder kmer",
            &format!("train --pairs pairs.tsv {inputs} --config few.toml"),
            &format!("predict --model model --pairs pairs.tsv {inputs}"),
            "screen --model model --targets rna --library partner --exhaustive",
            "export rna --format csv",
            "export rna --format npy",
            "import esm",
        ] {
            let out = disk.path().join("disk/out");
            let mut words: Vec<&str> = line.split(' ').collect();
            words.extend(["--out", out.to_str().unwrap()]);
            let ran = bench.run(&words).ends_with(75);
            let told = ["disk/out", "takes", "are free there", "help: free some space"];
            let missing = told.iter().find(|part| !ran.err.contains(**part));
            assert_eq!(missing, None, "{line}: {}", ran.err);
            // A screen leaves where it stands, to go on from there.
            let _ = std::fs::remove_dir_all(disk.path().join("disk/out.screening"));
            assert!(contents(&disk.path().join("disk")).is_empty(), "{line} leaves something");
        }
    });
}

/// The message names a place in the folder and says what to do; that of a full disk asks to try again.
fn check_message(trial: &Trial, ran: &Ran, fault: Fault) -> anyhow::Result<()> {
    let err = &ran.err;
    ensure!(err.contains("error: "), "no message: {err}");
    let named = ["out", "model", "predictions.tsv", "p.parquet", "hits.tsv", "folded", "v.", "backbone", "e/"];
    let path = trial.path().display().to_string();
    ensure!(err.contains(&path) || named.iter().any(|name| err.contains(name)), "no place is named: {err}");
    if fault == Fault::Full {
        ensure!(ran.code == Some(75), "a full disk ends with {:?}: {err}", ran.code);
        ensure!(err.contains("free") && err.contains("help: "), "{err}");
    } else {
        ensure!(ran.code == Some(3), "an I/O error ends with {:?}: {err}", ran.code);
    }
    Ok(())
}

/// What was there before is there, or the new result is, whole; in the midst of a move what is to be moved is listed.
fn old_is_whole(job: &Job, trial: &Trial) -> anyhow::Result<()> {
    let found = contents(trial.path());
    let moves = found.keys().any(|path| path.ends_with(".partial/manifest.json"));
    let done = job.expected().iter().all(|(path, bytes)| found.get(path) == Some(bytes));
    if moves || done {
        return Ok(());
    }
    for (path, bytes) in job.before() {
        let there = found.get(path).with_context(|| format!("{} is gone", path.display()))?;
        let new = job.expected().get(path);
        ensure!(there == bytes || Some(there) == new, "{} has other bytes", path.display());
    }
    Ok(())
}
