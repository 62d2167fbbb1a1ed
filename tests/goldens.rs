//! What the encoders compute beside what the reference implementations compute, on tiny networks with random weights.

#[path = "support/encoder_cases.rs"]
mod encoder_cases;
#[path = "support/golden.rs"]
mod golden;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use biollmnet::backend::Cpu;
use biollmnet::data::VectorSource;
use biollmnet::embed::store::{ResidueStore, Store};
use biollmnet::ops::linear::Precision;
use biollmnet::tokens::TokenBatch;
use encoder_cases::{COMMITTED, Case, Found, POOLINGS, SHARED, Tokens, open};
use golden::{Differences, Expected, PER_TOKEN, POOLED};

#[test]
fn committed_encoders_agree_in_every_intermediate() {
    for case in &COMMITTED {
        run(case, &golden::committed());
    }
}

#[test]
fn shared_encoders_agree() {
    let Some(folder) = golden::shared() else { return };
    for case in &SHARED {
        run(case, &folder);
    }
}

#[test]
fn embed_agrees_on_committed_sequences() {
    for case in &COMMITTED {
        embed(case, &golden::committed());
    }
}

#[test]
fn embed_agrees_on_shared_sequences() {
    let Some(folder) = golden::shared() else { return };
    for case in &SHARED {
        embed(case, &folder);
    }
}

/// Feeds the token ids of all entries as one batch and compares all that is expected.
#[track_caller]
fn run(case: &Case, folder: &Path) {
    let temporary = tempfile::tempdir().unwrap();
    let backbone = open(case, folder, temporary.path());
    let tokens: BTreeMap<String, Tokens> = golden::json(&folder.join(format!("{}_tokens.json", case.tokens)));
    let expected = Expected::read(folder, case.expected);

    let mut batch = TokenBatch::default();
    for entry in tokens.values() {
        batch.push(&entry.ids(case.column));
    }
    let found = Found::of::<_, f32>(&Cpu::all_threads(), &backbone, Precision::F32, &batch);
    let mut differences = Differences::of(case.checkpoint);
    for (i, name) in tokens.keys().enumerate() {
        for what in expected.kinds(name) {
            let Some(values) = found.values(what, i, &batch) else {
                assert_eq!(what, "logits", "{name}: a kind of value that this test does not know");
                continue;
            };
            let bound = if POOLINGS.contains(&what) { POOLED } else { PER_TOKEN };
            differences.compare(name, what, &values, expected.get(name, what).unwrap(), bound);
        }
    }
    differences.report();
}

/// Runs the program on the sequences that are letters only: upper case, none that the reference reads another way.
#[track_caller]
fn embed(case: &Case, folder: &Path) {
    let temporary = tempfile::tempdir().unwrap();
    let at = |name: &str| temporary.path().join(name);
    let tokens: BTreeMap<String, Tokens> = golden::json(&folder.join(format!("{}_tokens.json", case.tokens)));
    // The protein reference makes one token of a run of unknown letters.
    let merged: &[char] = if case.tokens == "protein" { &['J'] } else { &[] };
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_uppercase()) && !text.contains(merged);
    let mut fasta = String::new();
    let mut names = Vec::new();
    for (name, entry) in &tokens {
        let text = entry.columns["sequence"].as_str().unwrap();
        if plain(text) {
            let _ = writeln!(fasta, ">{name}\n{text}");
            names.push(name);
        }
    }
    fs::write(at("in.fasta"), fasta).unwrap();
    let checkpoint = folder.join(case.checkpoint);
    let encoder = if checkpoint.is_dir() { checkpoint } else { at("backbone") };
    open(case, folder, temporary.path());
    let status = Command::new(env!("CARGO_BIN_EXE_biollmnet"))
        .args([
            "embed",
            "--device",
            "cpu",
            "--dtype",
            "f32",
            "--progress",
            "none",
            "--pooling",
            "cls,mean,mean-with-special,per-residue",
        ])
        .arg(at("in.fasta"))
        .arg("--encoder")
        .arg(&encoder)
        .arg("--out")
        .arg(at("store"))
        .output()
        .unwrap();
    assert!(status.status.success(), "{}: {}", case.checkpoint, String::from_utf8_lossy(&status.stderr));

    let expected = Expected::read(folder, case.expected);
    let mut differences = Differences::of(&format!("embed, {}", case.checkpoint));
    for what in POOLINGS {
        let store = Store::open(at("store").join(what.replace('_', "-"))).unwrap();
        let mut vector = vec![0.0; store.detail().dim];
        for name in &names {
            let row = store.lookup(name).and_then(|index| store.record(index).row).expect(name);
            store.copy_row(row, &mut vector);
            differences.compare(name, what, &vector, expected.get(name, what).unwrap(), POOLED);
        }
    }
    let store = ResidueStore::open_residues(at("store").join("per-residue")).unwrap();
    let d = store.detail().dim;
    for name in names {
        let Some(hidden) = expected.get(name, "hidden") else { continue };
        let row = store.lookup(name).and_then(|index| store.record(index).row).expect(name);
        let mut states = vec![0.0; store.n_states(row) * d];
        store.copy_states(row, &mut states);
        // Without the states of the special tokens.
        differences.compare(name, "per-residue", &states, &hidden[d..hidden.len() - d], PER_TOKEN);
    }
    differences.report();
}

#[test]
#[should_panic(expected = "1 BEYOND THE BOUND")]
fn a_difference_beyond_its_bound_is_reported() {
    let mut differences = Differences::of("case");
    differences.compare("a", "mean", &[1.0, 2.0], &[1.0, 2.0], 1e-5);
    differences.compare("b", "mean", &[1.0, 2.0], &[1.0, 2.1], 1e-5);
    differences.report();
}

#[test]
#[should_panic(expected = "max |Δ| inf")]
fn a_nan_is_beyond_every_bound() {
    let mut differences = Differences::of("case");
    differences.compare("a", "mean", &[f32::NAN, 2.0], &[1.0, 2.0], 1e-5);
    differences.compare("a", "mean", &[1.0, 2.0], &[1.0, 2.0], 1e-5);
    differences.report();
}

#[test]
#[should_panic(expected = "nothing was compared")]
fn an_empty_comparison_is_a_fault() {
    Differences::of("case").report();
}

#[test]
fn expected_values_are_read_by_name() {
    let expected = Expected::read(&golden::committed(), "esm2");
    assert_eq!(expected.get("p_len2", "hidden").map(<[f64]>::len), Some(4 * 32));
    let kinds = expected.kinds("p_len2");
    assert_eq!(kinds.len(), 1 + 2 * 10 + 4, "{kinds:?}");
    assert!(kinds.contains(&"layers.1.query"));
}
