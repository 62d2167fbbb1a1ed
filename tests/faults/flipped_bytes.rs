//! Row 14: one byte changed in whatever this program writes, and `verify`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use biollmnet::files::digest::digest_path;
use biollmnet::files::verify::verify;
use biollmnet::progress::Silent;
use rand::RngExt as _;

use crate::row::Row;
use crate::support::{Bench, files};
use crate::workshop::workshop;

const FAULT: &str = "one bit flipped in any output";

#[test]
fn flips_are_found_a_few_times() {
    matrix_row(Row::fast(14, FAULT));
}

#[test]
#[ignore = "a row of the whole matrix"]
fn flips_are_found() {
    matrix_row(Row::full(14, FAULT));
}

/// Everything that the program writes, in one folder of the workshop.
fn outputs(bench: &Bench) -> PathBuf {
    let mut some = bench.read("pairs.tsv");
    some.push_str("nobody\tp1\t1\n");
    bench.file("some.tsv", some);
    let inputs = "--rna rna --partner partner";
    for (line, code) in [
        ("embed many.fa --encoder kmer --out made/store", 1),
        ("embed proteins.fa --encoder esm --pooling mean,cls,per-residue --out made/poolings", 1),
        ("embed many.fa --encoder kmer --shard 0/3 --out made/sharded", 1),
        ("embed many.fa --encoder kmer --shard 2/3 --out made/sharded", 1),
        (&format!("train --pairs some.tsv {inputs} --config few.toml --members 2 --out made/model"), 1),
        (&format!("predict --model model --pairs some.tsv {inputs} --out made/predictions.tsv"), 1),
        (&format!("predict --model model --pairs pairs.tsv {inputs} --out made/predictions.parquet"), 0),
        (
            "screen --model model --targets rna.fa --library partner --top-k 3 --folded made/folded --out made/hits.csv",
            0,
        ),
        ("screen --model model --targets rna --library partner --top-k 3 --shard 0/2 --out made/open.tsv", 0),
        ("screen --model model --targets rna --library partner --top-k 3 --shard 0/2 --out made/merged.tsv", 0),
        ("screen --model model --targets rna --library partner --top-k 3 --shard 1/2 --out made/merged.tsv", 0),
        ("merge made/merged.tsv", 0),
        (&format!("evaluate --pairs some.tsv {inputs} --config few.toml --seeds 1 --folds 2 --out made/evaluation"), 1),
        ("export rna --format npy --out made/v.npy", 0),
        ("export rna --format csv --out made/v.csv", 0),
        ("export rna --format parquet --out made/v.parquet", 0),
        ("import esm --out made/backbone", 0),
        ("import-vectors vectors.csv --encoder-name x --out made/imported", 0),
    ] {
        fs::create_dir_all(bench.path("made")).unwrap();
        bench.run(&line.split_whitespace().collect::<Vec<_>>()).ends_with(code);
    }
    bench.path("made")
}

/// What `verify` is asked for, to check the file: the output folder that holds it, or the file with a `.b3`.
fn target(file: &Path, made: &Path) -> anyhow::Result<PathBuf> {
    let above = file.ancestors().skip(1).take_while(|folder| *folder != made);
    if let Some(folder) = above.filter(|folder| folder.join("manifest.json").exists()).last() {
        return Ok(folder.to_path_buf());
    }
    let single =
        if file.extension().is_some_and(|ending| ending == "b3") { file.with_extension("") } else { file.into() };
    ensure!(digest_path(&single).exists(), "{} has no digest", file.display());
    Ok(single)
}

fn matrix_row(mut row: Row) {
    let made = outputs(workshop());
    let all = files(&made);
    let mut targets = BTreeMap::new();
    for file in &all {
        row.trial(
            || file.display().to_string(),
            || target(file, &made).map(|target| drop(targets.insert(file, target))),
        );
    }
    let mut rng = row.rng();
    let n = row.count(2 * all.len(), 1000).max(all.len());
    for i in 0..n {
        // Every file once, then any.
        let file = if i < all.len() { &all[i] } else { &all[rng.random_range(0..all.len())] };
        let Some(target) = targets.get(file) else { continue };
        let good = fs::read(file).unwrap();
        // An empty file has no bit to flip: it gets a byte.
        let (at, bit) = (rng.random_range(0..good.len().max(1)), rng.random_range(0..8));
        let mut bad = good.clone();
        match bad.get_mut(at) {
            Some(byte) => *byte ^= 1 << bit,
            None => bad.push(0),
        }
        fs::write(file, bad).unwrap();
        row.trial(
            || format!("{}, bit {bit} of byte {at}", file.display()),
            || {
                let Ok(found) = verify(target, &Silent) else { return Ok(()) };
                ensure!(!found.faults.is_empty(), "verify finds nothing in {}", target.display());
                Ok(())
            },
        );
        fs::write(file, good).unwrap();
    }
    for target in targets.values() {
        row.trial(
            || format!("{} as it was", target.display()),
            || {
                let found = verify(target, &Silent)?;
                ensure!(found.faults.is_empty() && found.unlisted.is_empty(), "{found:?}");
                Ok(())
            },
        );
    }
    let outputs: BTreeSet<&PathBuf> = targets.values().collect();
    row.note(format!("{n} flips in {} files of {} outputs", all.len(), outputs.len()));
    row.end();
}
