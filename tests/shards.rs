//! Stores made by several processes: `--shard`, `status`, `merge`, `verify`.

#![cfg(unix)]

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{Bench, Ran, files};

const EMBED: [&str; 6] = ["embed", "rna.fa", "--encoder", "kmer", "--out", "store"];

fn shard(bench: &Bench, shard: &str, more: &[&str]) -> Ran {
    bench.run(&[&EMBED[..], &["--shard", shard], more].concat())
}

/// The bytes that other tools see: vectors, and the table of records.
fn exported(bench: &Bench, store: &str) -> (Vec<u8>, String) {
    bench.run(&["export", store, "--format", "npy", "--out", "exported.npy"]).ends_with(0);
    (fs::read(bench.path("exported.npy")).unwrap(), bench.read("exported.ids.tsv"))
}

fn states(bench: &Bench) -> Vec<String> {
    let told: Value = bench.run(&["status", "store", "--json"]).json();
    let state = |shard: &Value| format!("{} {}", shard["shard"].as_str().unwrap(), shard["state"].as_str().unwrap());
    told["outputs"][0]["shards"].as_array().unwrap().iter().map(state).collect()
}

#[test]
fn shards_in_any_order_become_the_store_of_one_process() {
    let bench = Bench::new();
    let status = || bench.run(&["status", "store"]);
    assert!(status().ends_with(2).err.contains("there is no output store"));
    for (index, left) in [(2, 3), (0, 2), (3, 1)] {
        let ran = shard(&bench, &format!("{index}/4"), &[]).ends_with(0);
        assert!(ran.out.starts_with(&format!("store.shards/0000{index}-of-00004: 5 records")), "{}", ran.out);
        assert!(ran.err.contains("biollmnet merge store"), "{}", ran.err);
        let told = status().ends_with(1).out;
        assert!(told.contains(&format!("4 shards, {} done, {left} missing", 4 - left)), "{told}");
    }
    let refused = bench.run(&["merge", "store"]).ends_with(3);
    assert!(refused.err.contains("1 of the 4 shards of store are not finished: 1/4"), "{}", refused.err);
    assert!(!bench.path("store").exists());
    shard(&bench, "1/4", &[]).ends_with(0);
    assert!(shard(&bench, "1/4", &[]).ends_with(0).out.contains("store.shards/00001-of-00004: up to date"));
    assert!(status().ends_with(0).out.contains("4 shards, 4 done; next: biollmnet merge store"));
    let checked = bench.run(&["verify", "store"]).ends_with(0).out;
    assert!(checked.contains("store: 12 files") && checked.contains("every byte"), "{checked}");
    assert!(bench.run(&["merge", "store"]).ends_with(0).out.starts_with("store: 20 records, 20 distinct vectors"));
    assert_eq!(exported(&bench, "store"), exported(&bench, "rna"));
    assert!(bench.run(&["verify", "store"]).ends_with(0).err.is_empty());
    assert!(bench.run(&["merge", "store"]).ends_with(0).out.contains("merged already (20 records)"));
    assert!(status().ends_with(0).out.contains("store: finished"));
    assert!(shard(&bench, "1/4", &[]).ends_with(0).out.contains("store: up to date"));
    assert!(!bench.path("store.shards").exists());
}

#[test]
fn a_task_of_a_slurm_array_takes_its_shard() {
    let bench = Bench::new();
    for task in 1..=3 {
        let mut program = bench.program();
        let variables = [("ID", task), ("COUNT", 3), ("MIN", 1), ("MAX", 3), ("STEP", 1)];
        program.envs(variables.map(|(name, value)| (format!("SLURM_ARRAY_TASK_{name}"), value.to_string())));
        let ran = Ran::from(program.args(EMBED).output().unwrap()).ends_with(0);
        assert!(ran.err.contains(&format!("shard {}/3, of the Slurm job array", task - 1)), "{}", ran.err);
    }
    bench.run(&["merge", "store"]).ends_with(0);
    assert_eq!(exported(&bench, "store"), exported(&bench, "rna"));
}

#[test]
fn what_is_no_shard_is_refused() {
    let bench = Bench::new();
    for (text, part) in [("4/4", "counted from 0"), ("1", "write i/n"), ("a/b", "write i/n"), ("0/0", "no shard")] {
        let ran = shard(&bench, text, &[]).ends_with(2);
        assert!(ran.err.contains(part), "{}", ran.err);
    }
    let mut program = bench.program();
    let ran: Ran =
        program.args(["embed", "-", "--encoder", "kmer", "--out", "s", "--shard", "0/2"]).output().unwrap().into();
    assert!(ran.ends_with(2).err.contains("cannot be read by shards"));
    assert!(!bench.path("store.shards").exists() && !bench.path("s.shards").exists());
}

#[test]
fn a_failed_shard_is_told_until_it_is_done() {
    let bench = Bench::new();
    let good = bench.read("rna.fa");
    bench.file("rna.fa", good.clone() + ">broken");
    shard(&bench, "0/2", &[]).ends_with(0);
    // The second half of a damaged archive cannot be read.
    bench.file("rna.fa.gz", [0x1f, 0x8b, 8, 0, 1, 2, 3]);
    let gz = ["embed", "rna.fa.gz", "--encoder", "kmer", "--out", "store", "--shard", "1/2"];
    let error = bench.run(&gz).ends_with(3).err;
    assert_eq!(states(&bench), ["0/2 done", "1/2 failed"]);
    let told = bench.run(&["status", "store"]).ends_with(1).out;
    let message = error.lines().next().unwrap().trim_start_matches("error: ");
    assert!(told.contains(&format!("1/2       failed     {message}")), "{told}");
    shard(&bench, "1/2", &[]).ends_with(1);
    assert_eq!(states(&bench), ["0/2 done", "1/2 done"]);
    let merged = bench.run(&["merge", "store", "--json"]).ends_with(1).json();
    assert_eq!(merged["outputs"][0]["refused"], json!({"no-sequence": 1}));
    assert!(!files(&bench.path("")).iter().any(|path| path.to_str().unwrap().contains("failed")));
}

#[test]
fn shards_of_another_input_or_encoder_are_not_joined() {
    let bench = Bench::new();
    shard(&bench, "0/2", &[]).ends_with(0);
    bench.file("rna.fa", bench.read("rna.fa") + ">more\nACGU\n");
    shard(&bench, "1/2", &[]).ends_with(0);
    let ran = bench.run(&["merge", "store"]).ends_with(3);
    assert!(ran.err.contains("00001-of-00002: is of another input, encoder or setting"), "{}", ran.err);
    // The first one says so, too, and is replaced where that is asked for.
    let ran = shard(&bench, "0/2", &[]).ends_with(2);
    assert!(ran.err.contains("--force"), "{}", ran.err);
    shard(&bench, "0/2", &["--force"]).ends_with(0);
    bench.run(&["merge", "store"]).ends_with(0);
    assert_eq!(bench.run(&["status", "store", "--json"]).ends_with(0).json()["outputs"][0]["finished"], true);
}

#[test]
fn a_damaged_shard_is_found_by_verify_and_by_merge() {
    let bench = Bench::new();
    shard(&bench, "0/2", &[]).ends_with(0);
    shard(&bench, "1/2", &[]).ends_with(0);
    let path = bench.path("store.shards/00001-of-00002/vec/part-00000.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    for target in ["store", "store.shards", "store.shards/00001-of-00002"] {
        let told = bench.run(&["verify", target]).ends_with(1).out;
        assert!(told.contains("FAULT  store.shards/00001-of-00002/vec/part-00000.safetensors"), "{told}");
    }
    let ran = bench.run(&["merge", "store"]).ends_with(3);
    assert!(ran.err.contains("vec/part-00001.safetensors") && ran.err.contains("verify"), "{}", ran.err);
    assert!(!bench.path("store").exists());
}
