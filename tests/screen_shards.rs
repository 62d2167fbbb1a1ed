//! Screens made by several processes: `screen --shard`, `status`, `merge`, `verify`.

#![cfg(unix)]

mod support;

use std::fs;

use serde_json::Value;
use support::{Bench, Ran, train};

const SCREEN: [&str; 9] = ["screen", "--model", "model", "--targets", "rna", "--library", "partner", "--top-k", "4"];

fn bench() -> Bench {
    let bench = Bench::new();
    bench.run(&train(&[])).ends_with(0);
    bench.run(&[&SCREEN[..], &["--out", "whole.tsv"]].concat()).ends_with(0);
    bench
}

fn shard(bench: &Bench, shard: &str, more: &[&str]) -> Ran {
    bench.run(&[&SCREEN[..], &["--out", "hits.tsv", "--shard", shard], more].concat())
}

fn states(bench: &Bench) -> Vec<String> {
    let told: Value = bench.run(&["status", "hits.tsv", "--json"]).json();
    let state = |shard: &Value| format!("{} {}", shard["shard"].as_str().unwrap(), shard["state"].as_str().unwrap());
    told["outputs"][0]["shards"].as_array().unwrap().iter().map(state).collect()
}

#[test]
fn shards_in_any_order_become_the_table_of_one_process() {
    let bench = bench();
    assert!(bench.run(&["status", "hits.tsv"]).ends_with(2).err.contains("there is no output hits.tsv"));
    for index in [2, 0, 3] {
        let ran = shard(&bench, &format!("{index}/4"), &[]).ends_with(0);
        let told = format!("hits.tsv.shards/0000{index}-of-00004: 80 hits of 20 targets among 5 vectors");
        assert!(ran.out.starts_with(&told) && ran.err.contains("biollmnet merge hits.tsv"), "{}{}", ran.out, ran.err);
    }
    assert_eq!(states(&bench), ["0/4 done", "1/4 missing", "2/4 done", "3/4 done"]);
    let told = bench.run(&["status", "hits.tsv", "-v"]).ends_with(1).out;
    assert!(told.contains("4 shards, 3 done, 1 missing") && told.contains("0/4       done       80 hits"), "{told}");
    let refused = bench.run(&["merge", "hits.tsv"]).ends_with(3).err;
    assert!(refused.contains("1 of the 4 shards of hits.tsv are not finished: 1/4"), "{refused}");
    let ran = shard(&bench, "1/4", &["--json"]).ends_with(0).json();
    assert_eq!((&ran["shard"], &ran["hits"], &ran["up_to_date"]), (&"1/4".into(), &80.into(), &false.into()));
    assert!(shard(&bench, "1/4", &[]).ends_with(0).out.contains("hits.tsv.shards/00001-of-00004: up to date"));
    assert!(bench.run(&["verify", "hits.tsv"]).ends_with(0).out.contains("8 files"));
    let merged = bench.run(&["merge", "hits.tsv"]).ends_with(0).out;
    assert!(merged.starts_with("hits.tsv: 80 hits of 20 targets among 20 entries, of 4 shards"), "{merged}");
    assert!(bench.read("hits.tsv") == bench.read("whole.tsv"));
    assert!(bench.run(&["status", "hits.tsv"]).ends_with(0).out.contains("hits.tsv: finished"));
    assert!(bench.run(&["merge", "hits.tsv"]).ends_with(0).out.contains("merged already"));
    assert!(shard(&bench, "1/4", &[]).ends_with(0).out.contains("hits.tsv: merged already"));
    bench.run(&["verify", "hits.tsv"]).ends_with(0);
    bench.run(&["verify", "hits.tsv.shards"]).ends_with(0);
}

#[test]
fn other_tables_files_of_sequences_and_tasks_of_slurm() {
    let bench = bench();
    // FASTA with a record that is refused on the way: its list comes with the merged table.
    bench.file("more.fa", bench.read("partner.fa") + ">p0\nACDE\n");
    let screen = ["screen", "--model", "model", "--targets", "rna.fa", "--library", "more.fa", "--exhaustive"];
    bench.run(&[&screen[..], &["--out", "whole.parquet"]].concat()).ends_with(1);
    for task in [2, 1] {
        let mut program = bench.program();
        let variables = [("ID", task), ("COUNT", 2), ("MIN", 1), ("MAX", 2), ("STEP", 1)];
        program.envs(variables.map(|(name, value)| (format!("SLURM_ARRAY_TASK_{name}"), value.to_string())));
        let ran = Ran::from(program.args(screen).args(["--out", "hits.parquet"]).output().unwrap()).ends_with(1);
        assert!(ran.err.contains(&format!("shard {}/2, of the Slurm job array", task - 1)), "{}", ran.err);
        assert!(!bench.path("hits.parquet.rejects.tsv").exists());
    }
    let merged = bench.run(&["merge", "hits.parquet", "--json"]).ends_with(1).json();
    assert_eq!((&merged["outputs"][0]["hits"], &merged["outputs"][0]["rejected"]), (&400.into(), &1.into()));
    let same = |a: &str, b: &str| assert!(fs::read(bench.path(a)).unwrap() == fs::read(bench.path(b)).unwrap(), "{a}");
    same("hits.parquet", "whole.parquet");
    same("hits.parquet.rejects.tsv", "whole.parquet.rejects.tsv");
    assert!(bench.read("hits.parquet.rejects.tsv").contains("more.fa\tp0\tconflicting-id"));
}

#[test]
fn what_cannot_be_a_shard_or_has_failed_is_told() {
    let bench = bench();
    let piped = bench.run(&[&SCREEN[..], &["--out", "-", "--shard", "0/2"]].concat()).ends_with(2);
    assert!(piped.err.contains("standard output") && piped.out.is_empty(), "{}", piped.err);
    assert!(shard(&bench, "2/2", &[]).ends_with(2).err.contains("counted from 0"));
    // Of more shards than there are vectors some are empty.
    shard(&bench, "0/2", &[]).ends_with(0);
    let bytes = fs::read(bench.path("model/member-0.safetensors")).unwrap();
    bench.file("model/member-0.safetensors", &bytes[..bytes.len() - 1]);
    let error = shard(&bench, "1/2", &[]).ends_with(3).err;
    assert_eq!(states(&bench), ["0/2 done", "1/2 failed"]);
    let message = error.lines().find_map(|line| line.strip_prefix("error: ")).unwrap();
    let told = bench.run(&["status", "hits.tsv"]).ends_with(1).out;
    assert!(told.contains(message), "{told}");
    bench.file("model/member-0.safetensors", &bytes);
    shard(&bench, "1/2", &[]).ends_with(0);
    assert_eq!(states(&bench), ["0/2 done", "1/2 done"]);
    // Shards of another number are another cut of the same screen.
    for index in 0..30 {
        shard(&bench, &format!("{index}/30"), &[]).ends_with(0);
    }
    bench.run(&["merge", "hits.tsv"]).ends_with(0);
    assert!(bench.read("hits.tsv") == bench.read("whole.tsv"));
    assert_eq!(fs::read_dir(bench.path("hits.tsv.shards")).unwrap().count(), 1);
}
