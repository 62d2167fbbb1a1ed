//! The golden cases of the encoders, and what an encoder on any backend makes of one.

// Every test file is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::Path;

use biollmnet::backend::Activation;
use biollmnet::models::backbone::{Backbone, ImportOptions, import};
use biollmnet::models::encoder::{Encoder, EncoderConfig};
use biollmnet::ops::Backend;
use biollmnet::ops::linear::Precision;
use biollmnet::progress::Silent;
use biollmnet::tokens::TokenBatch;
use serde::Deserialize;

/// One checkpoint, and what is expected of it.
pub struct Case {
    /// A file, which is imported, or a folder, which is used in place.
    pub checkpoint: &'static str,
    pub expected: &'static str,
    pub tokens: &'static str,
    /// The token ids that belong to the checkpoint's vocabulary.
    pub column: &'static str,
    /// Where the file does not say it.
    pub heads: Option<usize>,
}

pub const COMMITTED: [Case; 4] = [
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

pub const SHARED: [Case; 6] = [
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

/// A line of a token file: the sequence, and its ids in each vocabulary.
#[derive(Deserialize)]
pub struct Tokens {
    #[serde(flatten)]
    pub columns: BTreeMap<String, serde_json::Value>,
}

impl Tokens {
    #[track_caller]
    pub fn ids(&self, column: &str) -> Vec<u32> {
        serde_json::from_value(self.columns[column].clone()).unwrap()
    }
}

#[track_caller]
pub fn open(case: &Case, folder: &Path, temporary: &Path) -> Backbone {
    let checkpoint = folder.join(case.checkpoint);
    if checkpoint.is_dir() {
        return Backbone::open(&checkpoint).unwrap();
    }
    let out = temporary.join("backbone");
    let options = ImportOptions { heads: case.heads, ..ImportOptions::default() };
    import(&checkpoint, &options, &out, &Silent).unwrap();
    Backbone::open(&out).unwrap()
}

pub const POOLINGS: [&str; 3] = ["cls", "mean", "mean_with_special"];

/// Everything that an encoder made of a batch.
pub struct Found {
    config: EncoderConfig,
    /// `[n_tokens, width]` by stage.
    stages: BTreeMap<String, Vec<f32>>,
    /// `[n_sequences, d_model]` without and with the special tokens.
    means: [Vec<f32>; 2],
}

impl Found {
    /// What the encoder makes of `batch` on `backend`, weights in `precision`, states in `A`.
    pub fn of<B: Backend, A: Activation>(
        backend: &B,
        backbone: &Backbone,
        precision: Precision,
        batch: &TokenBatch,
    ) -> Self {
        let config = &backbone.config.network.sequence().unwrap().encoder;
        let encoder = Encoder::load(backend, config, backbone.scope(), precision).unwrap();
        let mut work = encoder.workspace::<A>(backend).unwrap();
        let mut stages = BTreeMap::new();
        let n = batch.n_tokens();
        encoder
            .forward_traced(backend, batch, &mut work, &mut |stage, values| {
                let mut host = vec![A::default(); values.rows * values.cols];
                backend.download(values.view, &mut host)?;
                let rows = A::widened(&host[..n * values.cols]).into_owned();
                // The padding of a device is zero and belongs to nobody.
                let width = if stage.name == "inner" { config.d_ff } else { values.cols };
                let cut = |row: &[f32]| {
                    assert!(row[width..].iter().all(|x| *x == 0.0), "{stage}: the padding is not zero");
                    row[..width].to_vec()
                };
                stages.insert(stage.to_string(), rows.chunks(values.cols).flat_map(cut).collect());
                Ok(())
            })
            .unwrap();
        let means = [1, 0].map(|special| {
            let ends = |rows: &[u32]| [rows[0] + special, rows[1] - special];
            let segments: Vec<[u32; 2]> = batch.cu_seqlens().windows(2).map(ends).collect();
            encoder.means(backend, batch.n_tokens(), &segments, &work).unwrap()
        });
        Self { config: config.clone(), stages, means }
    }

    /// Values of one kind for sequence `i`; `None` for a kind that the encoder does not make.
    pub fn values(&self, what: &str, i: usize, batch: &TokenBatch) -> Option<Vec<f32>> {
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
