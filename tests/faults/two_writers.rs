//! Row 4: several processes that write the same output at the same time.

use std::process::{Child, Stdio};

use anyhow::ensure;

use crate::job::{Job, Sameness, Trial};
use crate::row::Row;
use crate::support::Ran;

const FAULT: &str = "two and four writers on one output";

#[test]
fn writers_meet_a_few_times() {
    matrix_row(Row::fast(4, FAULT));
}

#[test]
#[ignore = "a row of the whole matrix"]
fn writers_meet() {
    matrix_row(Row::full(4, FAULT));
}

fn matrix_row(mut row: Row) {
    let kmer = "embed @rna.fa --encoder kmer --out out";
    let many = "embed @many.fa --encoder kmer --out out";
    let esm = "embed @proteins.fa --encoder @esm --max-tokens 64 --out out";
    let jobs = [
        Job::new("a store", &[kmer], Sameness::Files),
        Job::new(
            "a shard",
            &[&format!("{many} --shard 0/2"), &format!("{many} --shard 1/2 --checkpoint 0")],
            Sameness::Vectors(&["out"]),
        ),
        Job::new("a store of a backbone", &[&format!("{esm} --checkpoint 0")], Sameness::Vectors(&["out"])),
        Job::new(
            "merge",
            &[&format!("{many} --shard 0/2"), &format!("{many} --shard 1/2"), "merge out"],
            Sameness::Files,
        ),
        Job::new(
            "screen",
            &["screen --model @model --targets @rna --library @partner --top-k 5 --out hits.tsv"],
            Sameness::Files,
        ),
        Job::new(
            "a shard of a screen",
            &["screen --model @model --targets @rna --library @partner --top-k 5 --out hits.tsv --shard 1/2"],
            Sameness::Files,
        ),
        Job::new(
            "merge of a screen",
            &[
                "screen --model @model --targets @rna --library @partner --top-k 5 --out hits.tsv --shard 0/2",
                "screen --model @model --targets @rna --library @partner --top-k 5 --out hits.tsv --shard 1/2",
                "merge hits.tsv",
            ],
            Sameness::Files,
        ),
        Job::new(
            "train",
            &["train --pairs @pairs.tsv --rna @rna --partner @partner --config @few.toml --out model"],
            Sameness::Files,
        ),
    ];
    let (mut alone, mut busy) = (0, 0);
    for i in 0..row.count(8, 200) {
        let job = &jobs[i % jobs.len()];
        let writers = if i % 2 == 0 { 2 } else { 4 };
        row.trial(
            || format!("{}, {writers} writers", job.name),
            || {
                let trial = Trial::new(job);
                let start = || trial.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
                let children: Vec<Child> = (0..writers).map(|_| start()).collect::<Result<_, _>>()?;
                let ran: Vec<Ran> = children
                    .into_iter()
                    .map(|child| child.wait_with_output().map(Ran::from))
                    .collect::<Result<_, _>>()?;
                for ran in &ran {
                    let refused = ran.code == Some(75) && ran.err.contains("is being written by another process");
                    let late = ran.code == Some(2) && ran.err.contains("already holds a finished");
                    ensure!(
                        refused || late || matches!(ran.code, Some(0 | 1)),
                        "one ends with {:?}: {}",
                        ran.code,
                        ran.err
                    );
                    busy += usize::from(refused);
                }
                let done = ran.iter().filter(|ran| matches!(ran.code, Some(0 | 1))).count();
                ensure!(done > 0, "none has done the work: {}", ran[0].err);
                alone += usize::from(done == 1);
                trial.holds_the_result()
            },
        );
    }
    row.note(format!("one writer did the work alone in {alone}; {busy} were told to wait"));
    row.end();
}
