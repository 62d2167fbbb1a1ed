//! Rows 1 and 2: a process that is killed at any moment, and the same command afterwards.

use std::time::Duration;

use anyhow::ensure;
use rand::RngExt as _;

use crate::injection::{self, Fault};
use crate::job::{Job, Sameness, Trial};
use crate::row::Row;

#[test]
fn embed_killed_a_few_times() {
    embed(Row::fast(1, EMBED));
}

#[test]
#[ignore = "a row of the whole matrix"]
fn embed_killed() {
    embed(Row::full(1, EMBED));
}

#[test]
fn screen_and_train_killed_a_few_times() {
    screen_and_train(Row::fast(2, OTHERS));
}

#[test]
#[ignore = "a row of the whole matrix"]
fn screen_and_train_killed() {
    screen_and_train(Row::full(2, OTHERS));
}

const EMBED: &str = "SIGKILL in embed, then run again";
const OTHERS: &str = "SIGKILL in screen and train, then run again";

/// Whole stores and shards; without weights and by a backbone; with no checkpoint and with one after every chunk.
fn embed(mut row: Row) {
    let esm = "embed @proteins.fa --encoder @esm --out out";
    let kmer = "embed @many.fa --encoder kmer --out out";
    let jobs = [
        Job::new("kmer", &[kmer], Sameness::Files),
        Job::new("kmer, checkpoints", &[&format!("{kmer} --checkpoint 0")], Sameness::Vectors(&["out"])),
        Job::new("kmer, a shard", &[&format!("{kmer} --shard 1/3")], Sameness::Files),
        Job::new(
            "kmer, a shard, checkpoints",
            &[&format!("{kmer} --shard 0/2"), &format!("{kmer} --shard 1/2 --checkpoint 0")],
            Sameness::Vectors(&["out"]),
        ),
        Job::new(
            "kmer, over an old store",
            &["embed @rna.fa --encoder kmer --out out", &format!("{kmer} --force")],
            Sameness::Files,
        ),
        Job::new("backbone", &[esm], Sameness::Files),
        Job::new(
            "backbone, checkpoints, two poolings",
            &[&format!("{esm} --max-tokens 64 --checkpoint 0 --pooling mean,cls")],
            Sameness::Vectors(&["out/mean", "out/cls"]),
        ),
        Job::new(
            "merge",
            &[&format!("{kmer} --shard 0/2"), &format!("{kmer} --shard 1/2"), "merge out"],
            Sameness::Files,
        ),
    ];
    let n = row.count(24, 1000);
    kill(&mut row, &jobs, n);
    row.end();
}

fn screen_and_train(mut row: Row) {
    let screen = "screen --model @model --targets @rna --library @partner --top-k 5 --out hits.tsv";
    let train = "train --pairs @pairs.tsv --rna @rna --partner @partner --config @small.toml --out model";
    let shard = |i: usize| format!("{screen} --folded folded --shard {i}/2");
    let jobs = [
        Job::new("screen", &[screen], Sameness::Files),
        Job::new("screen, a folded library", &[&format!("{screen} --folded folded")], Sameness::Files),
        Job::new("screen, a shard", &[&shard(1)], Sameness::Files),
        Job::new("merge of a screen", &[&shard(0), &shard(1), "merge hits.tsv"], Sameness::Files),
        Job::new("train", &[train], Sameness::Files),
        Job::new("train, two members", &[&format!("{train} --members 2")], Sameness::Files),
        Job::new(
            "train, noted after each epoch",
            &[&format!("{train} --stop default --checkpoint 0")],
            Sameness::Files,
        ),
        Job::new("train, two members, noted", &[&format!("{train} --members 2 --checkpoint 0")], Sameness::Files),
    ];
    let n = row.count(12, 600);
    kill(&mut row, &jobs, n);
    row.end();
}

/// Kills by turns each of the jobs: at a change of a file, then after a time.
fn kill(row: &mut Row, jobs: &[Job], n: usize) {
    let mut rng = row.rng();
    let calls: usize = jobs.iter().map(|job| job.calls).sum();
    let (mut killed, mut nth) = (0, vec![0; jobs.len()]);
    for i in 0..n {
        let which = i % jobs.len();
        let job = &jobs[which];
        let by_call = injection::is_possible() && i / jobs.len() % 3 != 2;
        // Every call in turn where there are trials enough, else a random one.
        nth[which] = if n >= 2 * calls { nth[which] % job.calls + 1 } else { rng.random_range(1..=job.calls) };
        let after = Duration::from_secs_f64(job.seconds * rng.random_range(0.0..1.1));
        let moment = if by_call { format!("at change {} of a file", nth[which]) } else { format!("after {after:?}") };
        let what = || format!("{}, killed {moment}", job.name);
        row.trial(what, || {
            let trial = Trial::new(job);
            let ran =
                if by_call { trial.run_with(Fault::Kill, nth[which]) } else { trial.run_signalled("-KILL", after) };
            ensure!(!by_call || ran.code.is_none(), "it was not killed: {:?} {}", ran.code, ran.err);
            killed += usize::from(ran.code.is_none());
            trial.run_again().map(drop)
        });
    }
    row.note(format!("{killed} were killed before they had ended; {calls} changes of files in {} jobs", jobs.len()));
}
