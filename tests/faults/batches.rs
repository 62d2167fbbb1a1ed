//! Row 10: the order of the sequences, the batches that they are computed in and the threads change no bit of a vector.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::ensure;
use biollmnet::embed::store::Store;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;

use crate::job::bits;
use crate::row::Row;
use crate::workshop::{fasta, workshop};

const FAULT: &str = "order and batches of the sequences";

#[test]
fn batches_change_nothing_a_few_times() {
    matrix_row(Row::fast(10, FAULT), 300, 3);
}

#[test]
#[ignore = "a row of the whole matrix"]
fn batches_change_nothing() {
    matrix_row(Row::full(10, FAULT), 10_000, 20);
}

/// `n` sequences; the vector of each is compared in every trial.
fn matrix_row(mut row: Row, n: usize, trials: usize) {
    let bench = workshop();
    let text = fasta(n, b"ACDEFGHIKLMNPQRSTVWY", 1..150);
    let mut records: Vec<&str> = text.split_inclusive('>').map(|record| record.trim_end_matches('>')).collect();
    records.retain(|record| !record.is_empty());
    let embed = |name: &str, records: &[&str], flags: &[&str]| -> anyhow::Result<BTreeMap<[u8; 16], Vec<u32>>> {
        let mut input = String::new();
        for (i, record) in records.iter().enumerate() {
            // Ids that cannot clash: it is the sequence that is followed.
            let sequence = record.split_once('\n').map_or("", |(_, sequence)| sequence);
            let _ = write!(input, ">q{i}\n{sequence}");
        }
        bench.file(&format!("{name}.fa"), input);
        let file = format!("{name}.fa");
        let ran = bench
            .run(&[&["embed", &file, "--encoder", "esm", "--dtype", "f32", "--force", "--out", name], flags].concat());
        ensure!(matches!(ran.code, Some(0 | 1)), "{}", ran.err);
        let store = Store::open(bench.path(name))?;
        let records = store.records().filter_map(|record| Some((record.digest, record.row?)));
        Ok(records.map(|(digest, row)| (digest, bits(&store, row))).collect())
    };
    let plain = embed("in-order", &records, &[]).unwrap();
    assert!(plain.len() > n / 2);
    let mut rng = row.rng();
    for i in 0..row.count(trials, trials) {
        records.shuffle(&mut rng);
        let budget = [1, 100, 2048, 1 << 20, rng.random_range(1..5000)][i % 5].to_string();
        let threads = ["1", "2"][i % 2];
        row.trial(
            || format!("--max-tokens {budget} --threads {threads}"),
            || {
                let found = embed("shuffled", &records, &["--max-tokens", &budget, "--threads", threads])?;
                let other = plain.iter().filter(|(digest, vector)| found.get(*digest) != Some(*vector)).count();
                ensure!(found.len() == plain.len() && other == 0, "{other} of {} vectors differ", plain.len());
                Ok(())
            },
        );
    }
    row.note(format!("{} distinct sequences", plain.len()));
    row.end();
}
