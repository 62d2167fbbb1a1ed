//! One input has one result: for one process, for shards in any order, with processes killed in their midst, for any
//! number of threads, and for one instruction set again and again.

#![cfg(unix)]

mod support;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use biollmnet::backend::Isa;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::{Bench, train};

const SHARDS: usize = 4;

/// What other tools see of a store and of the predictions made with it.
#[derive(PartialEq)]
struct Seen {
    vectors: Vec<u8>,
    records: String,
    predictions: String,
}

/// `embed partner.fa` with the backbone into `out`.
fn embed(bench: &Bench, out: &str, more: &[&str]) -> Command {
    let mut program = bench.program();
    program.args(["--device", "cpu", "embed", "partner.fa", "--encoder", "esm", "--out", out, "--checkpoint", "0"]);
    program.args(more);
    program
}

fn seen(bench: &Bench, store: &str) -> Seen {
    bench.run(&["verify", store]).ends_with(0);
    bench.run(&["export", store, "--format", "npy", "--out", "seen.npy"]).ends_with(0);
    let pairs = ["--pairs", "pairs.tsv", "--rna", "rna", "--partner", store, "--out", "seen.tsv"];
    bench.run(&[&["--device", "cpu", "predict", "--model", "model"][..], &pairs].concat()).ends_with(0);
    Seen {
        vectors: fs::read(bench.path("seen.npy")).unwrap(),
        records: bench.read("seen.ids.tsv"),
        predictions: bench.read("seen.tsv"),
    }
}

/// A folder with a backbone of true depth, the store `whole` of one process and one thread, and a model trained on it.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.run(&["init", "--config", "esm2-8m", "--out", "esm"]).ends_with(0);
    assert!(embed(&bench, "whole", &[]).output().unwrap().status.success());
    bench.run(&train(&[("--partner", "whole"), ("--device", "cpu")])).ends_with(0);
    bench
}

#[test]
fn processes_shards_threads_and_kills_do_not_change_a_byte() {
    let bench = bench();
    let whole = seen(&bench, "whole");
    let same = |store: &str| assert!(seen(&bench, store) == whole, "{store} differs");
    for (out, flags) in [("threads", ["--threads", "3"]), ("budget", ["--max-tokens", "200"])] {
        assert!(embed(&bench, out, &flags).env_remove("BIOLLMNET_THREADS").output().unwrap().status.success());
        same(out);
    }
    let shard = |out: &str, i: usize| embed(&bench, out, &["--shard", &format!("{i}/{SHARDS}")]);
    for i in 0..SHARDS {
        assert!(shard("shards", i).output().unwrap().status.success());
    }
    bench.run(&["merge", "shards"]).ends_with(0);
    same("shards");
    killed_and_finished(&bench, |i| shard("killed", i), "killed");
    same("killed");
}

/// Makes the shards in random order, each killed at random moments before it is let go to its end, and merges them likewise.
fn killed_and_finished(bench: &Bench, shard: impl Fn(usize) -> Command, out: &str) {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let mut killed = |mut program: Command| {
        let mut child: Child = program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(rng.random_range(1..150)));
        child.kill().unwrap();
        child.wait().unwrap();
    };
    let mut order: Vec<usize> = (0..SHARDS).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(7));
    for &i in &order {
        for _ in 0..3 {
            killed(shard(i));
        }
        assert!(shard(i).output().unwrap().status.success());
    }
    let merge = || {
        let mut program = bench.program();
        program.args(["merge", out]);
        program
    };
    killed(merge());
    assert!(merge().output().unwrap().status.success());
}

#[test]
fn screens_have_one_table_too() {
    let bench = Bench::new();
    bench.run(&train(&[])).ends_with(0);
    let screen = |out: &str, more: &[&str]| {
        let mut program = bench.program();
        program.args(["--device", "cpu", "screen", "--model", "model", "--targets", "rna", "--library", "partner"]);
        program.args(["--exhaustive", "--out", out]).args(more);
        program
    };
    let done = |mut program: Command| assert!(program.output().unwrap().status.success());
    done(screen("whole.tsv", &[]));
    let mut threads = screen("threads.tsv", &["--threads", "3"]);
    threads.env_remove("BIOLLMNET_THREADS");
    done(threads);
    let shard = |out: &str, i: usize| screen(out, &["--shard", &format!("{i}/{SHARDS}")]);
    (0..SHARDS).for_each(|i| done(shard("shards.tsv", i)));
    bench.run(&["merge", "shards.tsv"]).ends_with(0);
    killed_and_finished(&bench, |i| shard("killed.tsv", i), "killed.tsv");
    let whole = bench.read("whole.tsv");
    for table in ["threads.tsv", "shards.tsv", "killed.tsv"] {
        assert!(bench.read(table) == whole, "{table} differs");
    }
}

#[test]
fn an_instruction_set_repeats_itself() {
    let bench = bench();
    for isa in Isa::available().filter(|isa| *isa != Isa::Portable) {
        let isa = isa.name();
        let stores = [format!("{isa}-1"), format!("{isa}-2")];
        for (store, threads) in stores.iter().zip(["1", "2"]) {
            assert!(
                embed(&bench, store, &["--isa", isa, "--threads", threads]).output().unwrap().status.success(),
                "{isa}"
            );
        }
        assert!(seen(&bench, &stores[0]) == seen(&bench, &stores[1]), "{isa} differs");
    }
}
