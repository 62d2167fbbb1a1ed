//! What the encoders compute beside what the reference implementations compute, on tiny networks with random weights.

#[path = "support/golden.rs"]
mod golden;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use biollmnet::backend::{Cpu, Memory};
use biollmnet::data::VectorSource;
use biollmnet::embed::store::{ResidueStore, Store};
use biollmnet::models::backbone::{Backbone, ImportOptions, import};
use biollmnet::models::encoder::{Encoder, EncoderConfig};
use biollmnet::ops::linear::Precision;
use biollmnet::progress::Silent;
use biollmnet::tokens::TokenBatch;
use golden::{Differences, Expected, PER_TOKEN, POOLED};
use serde::Deserialize;

/// One checkpoint, and what is expected of it.
struct Case {
    /// A file, which is imported, or a folder, which is used in place.
    checkpoint: &'static str,
    expected: &'static str,
    tokens: &'static str,
    /// The token ids that belong to the checkpoint's vocabulary.
    column: &'static str,
    /// Where the file does not say it.
    heads: Option<usize>,
}

const COMMITTED: [Case; 4] = [
    Case { checkpoint: "esm2_hf_tiny", expected: "esm2", tokens: "protein", column: "hf_esm", heads: None },
    Case { checkpoint: "esm2_t2_fair_f16.pt", expected: "esm2", tokens: "protein", column: "fair_esm", heads: None },
    Case { checkpoint: "rinalmo_mm_tiny", expected: "rinalmo", tokens: "rna", column: "multimolecule", heads: None },
    Case {
        checkpoint: "rinalmo_tiny_official.pt",
        expected: "rinalmo",
        tokens: "rna",
        column: "official",
        heads: Some(2),
    },
];

const SHARED: [Case; 6] = [
    Case { checkpoint: "esm2_hf_tiny", expected: "esm2_hf_tiny", tokens: "protein", column: "hf_esm", heads: None },
    Case {
        checkpoint: "esm2_t2_hd64_fair_fp16.pt",
        expected: "esm2_t2_hd64_fair_fp16",
        tokens: "protein",
        column: "hf_esm",
        heads: None,
    },
    Case {
        checkpoint: "rinalmo_tiny_official.pt",
        expected: "rinalmo_tiny_official",
        tokens: "rna",
        column: "official",
        heads: Some(4),
    },
    Case {
        checkpoint: "rinalmo_small_embed_official.pt",
        expected: "rinalmo_small_embed_official",
        tokens: "rna",
        column: "official",
        heads: Some(4),
    },
    Case {
        checkpoint: "rinalmo_mm_tiny",
        expected: "rinalmo_mm_tiny",
        tokens: "rna",
        column: "multimolecule",
        heads: None,
    },
    Case {
        checkpoint: "rinalmo_mm_from_official_tiny",
        expected: "rinalmo_mm_from_official_tiny",
        tokens: "rna",
        column: "multimolecule",
        heads: None,
    },
];

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

/// A line of a token file: the sequence, and its ids in each vocabulary.
#[derive(Deserialize)]
struct Tokens {
    #[serde(flatten)]
    columns: BTreeMap<String, serde_json::Value>,
}

impl Tokens {
    #[track_caller]
    fn ids(&self, column: &str) -> Vec<u32> {
        serde_json::from_value(self.columns[column].clone()).unwrap()
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
    let found = Found::of(&backbone, &batch);
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

#[track_caller]
fn open(case: &Case, folder: &Path, temporary: &Path) -> Backbone {
    let checkpoint = folder.join(case.checkpoint);
    if checkpoint.is_dir() {
        return Backbone::open(&checkpoint).unwrap();
    }
    let out = temporary.join("backbone");
    let options = ImportOptions { heads: case.heads, ..ImportOptions::default() };
    import(&checkpoint, &options, &out, &Silent).unwrap();
    Backbone::open(&out).unwrap()
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
        .args(["embed", "--dtype", "f32", "--progress", "none", "--pooling", "cls,mean,mean-with-special,per-residue"])
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

const POOLINGS: [&str; 3] = ["cls", "mean", "mean_with_special"];

/// Everything that an encoder made of a batch.
struct Found {
    config: EncoderConfig,
    /// `[n_tokens, width]` by stage.
    stages: BTreeMap<String, Vec<f32>>,
    /// `[n_sequences, d_model]` without and with the special tokens.
    means: [Vec<f32>; 2],
}

impl Found {
    fn of(backbone: &Backbone, batch: &TokenBatch) -> Self {
        let cpu = Cpu::all_threads();
        let config = &backbone.config.network.sequence().unwrap().encoder;
        let encoder = Encoder::load(&cpu, config, backbone.scope(), Precision::F32).unwrap();
        let mut work = encoder.workspace::<f32>(&cpu).unwrap();
        let mut stages = BTreeMap::new();
        encoder
            .forward_traced(&cpu, batch, &mut work, &mut |stage, values| {
                let mut host = vec![0.0; values.rows * values.cols];
                cpu.download(values.view, &mut host)?;
                stages.insert(stage.to_string(), host);
                Ok(())
            })
            .unwrap();
        let means = [1, 0].map(|special| {
            let ends = |rows: &[u32]| [rows[0] + special, rows[1] - special];
            let segments: Vec<[u32; 2]> = batch.cu_seqlens().windows(2).map(ends).collect();
            encoder.means(&cpu, batch.n_tokens(), &segments, &work).unwrap()
        });
        Self { config: config.clone(), stages, means }
    }

    /// Values of one kind for sequence `i`; `None` for a kind that the encoder does not make.
    fn values(&self, what: &str, i: usize, batch: &TokenBatch) -> Option<Vec<f32>> {
        let d = self.config.d_model;
        match what {
            "cls" => return Some(self.stage("final_norm", i, batch)?[..d].to_vec()),
            "mean" => return Some(self.means[0][i * d..][..d].to_vec()),
            "mean_with_special" => return Some(self.means[1][i * d..][..d].to_vec()),
            "hidden" => return Some(self.stage("final_norm", i, batch)?.to_vec()),
            _ => {}
        }
        let (block, part) = what.rsplit_once('.').unwrap_or(("", what));
        let of_qkv = |column: usize, scale: f32| {
            let rows = self.stage(&format!("{block}.qkv"), i, batch)?.chunks(3 * d);
            Some(rows.flat_map(|row| row[column * d..][..d].iter().map(|x| x * scale)).collect())
        };
        match part {
            // The encoder divides queries before the logits; the expected ones are not divided yet.
            "query" => of_qkv(0, (self.config.d_head() as f32).sqrt()),
            "key" => of_qkv(1, 1.0),
            "value" => of_qkv(2, 1.0),
            // Added to the state as it is made: the difference of the states around it.
            "ffn" => {
                let before = self.stage(&format!("{block}.attention_residual"), i, batch)?;
                let after = self.stage(&format!("{block}.output"), i, batch)?;
                Some(after.iter().zip(before).map(|(after, before)| after - before).collect())
            }
            _ => self.stage(what, i, batch).map(<[f32]>::to_vec),
        }
    }

    /// Rows of sequence `i` of a stage.
    fn stage(&self, name: &str, i: usize, batch: &TokenBatch) -> Option<&[f32]> {
        let values = self.stages.get(name)?;
        let width = values.len() / batch.n_tokens();
        let rows = batch.rows(i);
        Some(&values[rows.start * width..rows.end * width])
    }
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
