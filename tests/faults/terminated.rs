//! Row 3: a signal that asks the program to stop, as a batch system sends it at the time limit.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use biollmnet::embed::store::{Detail, KIND, SHARD_KIND};
use biollmnet::files::OutputFolder;
use rand::RngExt as _;

use crate::job::{Job, Sameness, Trial, contents};
use crate::row::Row;
use crate::workshop::workshop;

const FAULT: &str = "SIGTERM, then run again";

#[test]
fn terminated_a_few_times() {
    matrix_row(Row::fast(3, FAULT));
}

#[test]
#[ignore = "a row of the whole matrix"]
fn terminated() {
    matrix_row(Row::full(3, FAULT));
}

fn matrix_row(mut row: Row) {
    let kmer = "embed @many.fa --encoder kmer --out out --json";
    let esm = "embed @more.fa --encoder @esm --max-tokens 64 --out out --json";
    let train = "train --pairs @pairs.tsv --rna @rna --partner @partner --config @long.toml --out model --json";
    let screen = "screen --model @model --targets @rna --library @partner --top-k 5 --out hits.tsv";
    let jobs = [
        Job::new("kmer", &[kmer], Sameness::Vectors(&["out"])),
        Job::new(
            "kmer, a shard",
            &[&format!("{kmer} --shard 0/2"), &format!("{kmer} --shard 1/2")],
            Sameness::Vectors(&["out"]),
        ),
        Job::new("backbone", &[esm], Sameness::Vectors(&["out"])),
        Job::new("backbone, checkpoints", &[&format!("{esm} --checkpoint 0")], Sameness::Vectors(&["out"])),
        Job::new("screen", &[screen], Sameness::Files),
        Job::new("screen, a shard", &[&format!("{screen} --shard 1/2")], Sameness::Files),
        Job::new("train", &[train], Sameness::Files),
        Job::new("train, two networks", &[&format!("{train} --members 2 --checkpoint 0")], Sameness::Files),
    ];
    let mut rng = row.rng();
    let (mut stopped, mut kept, mut epochs) = (0, 0, 0);
    for i in 0..row.count(12, 100) {
        let job = &jobs[i % jobs.len()];
        let after = Duration::from_secs_f64(job.seconds * rng.random_range(0.0..1.0));
        row.trial(
            || format!("{}, asked to stop after {after:?}", job.name),
            || {
                let trial = Trial::new(job);
                let ran = trial.run_signalled("-TERM", after);
                // Before the program has said that it takes signals, it ends as any other.
                ensure!(matches!(ran.code, None | Some(0 | 1 | 75)), "it ends with {:?}: {}", ran.code, ran.err);
                if ran.code == Some(75) {
                    stopped += 1;
                    ensure!(ran.err.contains("interrupted") && ran.err.contains("help: "), "{}", ran.err);
                }
                let found = checkpoint(&trial)?;
                kept += usize::from(found.is_some());
                let again = trial.run_again()?;
                if job.name.starts_with("train") {
                    epochs += resumed_epochs(&again.out);
                }
                let Some(records) = found else { return Ok(()) };
                let input = if job.name.starts_with("kmer") { "many.fa" } else { "more.fa" };
                let before: usize = lengths(input)[records].iter().sum();
                let letters = |out: &str| -> anyhow::Result<u64> {
                    let value: serde_json::Value = serde_json::from_str(out)?;
                    value["letters"].as_u64().context("letters")
                };
                let (done, all) = (letters(&again.out)?, letters(&job.out)?);
                let redone = (done + before as u64).checked_sub(all);
                ensure!(redone == Some(0), "{done} letters of {all} were encoded again, {before} were kept");
                Ok(())
            },
        );
    }
    row.note(format!(
        "{stopped} were stopped on their way, {kept} of them with a checkpoint of a store to go on with; trainings went on after \
         {epochs} epochs in all"
    ));
    row.end();
}

/// Epochs that a training did not do again; 0 of one that was finished before.
fn resumed_epochs(out: &str) -> u64 {
    let told: Result<serde_json::Value, _> = serde_json::from_str(out);
    told.ok().and_then(|told| told["resumed_epochs"].as_u64()).unwrap_or(0)
}

/// The records of the input that the checkpoint of an embedding in this folder holds, where there is one.
fn checkpoint(trial: &Trial) -> anyhow::Result<Option<Range<usize>>> {
    let manifests = contents(trial.path());
    let Some(manifest) = manifests.keys().find(|path| path.ends_with(".partial/checkpoint/manifest.json")) else {
        return Ok(None);
    };
    let out = trial.path().join(manifest.ancestors().nth(3).context("a folder above the checkpoint")?);
    let mut kinds = [KIND, SHARD_KIND].into_iter();
    let Some(kept) = kinds.find_map(|kind| OutputFolder::checkpoint_at(&out, kind)) else {
        let mut others = ["model", biollmnet::screen::SHARD_KIND].into_iter();
        let other = others.find_map(|kind| OutputFolder::checkpoint_at(&out, kind));
        return other.context("a checkpoint that can be read").map(|_| None);
    };
    let Detail { records, shard, .. } = serde_json::from_value(kept.detail)?;
    let first = shard.map_or(0, |shard| shard.first_record as usize);
    Ok(Some(first..first + records))
}

/// Letters of each record of a FASTA file of the workshop.
fn lengths(name: &str) -> Vec<usize> {
    let text = workshop().read(name);
    text.split('>').skip(1).map(|record| record.lines().skip(1).map(str::len).sum()).collect()
}
