//! The golden cases of the encoders on a CUDA device: the stand-in driver where there is a C++ compiler.
//!
//! In f32 the bounds are those of the CPU. In f16 the rule of flash-attention holds: the device may err at most twice
//! what the plain computation in f16 errs, one op after the other, each rounded (the CPU in f16).

#[path = "support/encoder_cases.rs"]
mod encoder_cases;
#[path = "support/golden.rs"]
mod golden;
#[path = "support/standin.rs"]
mod standin;

use std::collections::BTreeMap;
use std::path::Path;

use biollmnet::backend::cuda::TensorCores;
use biollmnet::backend::{Activation, Cpu, Cuda, Memory};
use biollmnet::models::backbone::Backbone;
use biollmnet::models::encoder::{Encoder, Workspace};
use biollmnet::ops::Backend;
use biollmnet::ops::linear::Precision;
use biollmnet::tokens::TokenBatch;
use encoder_cases::{COMMITTED, Case, Found, POOLINGS, SHARED, Tokens, open};
use golden::{Differences, Expected, PER_TOKEN, POOLED};
use half::f16;

#[test]
fn committed_encoders_agree_in_every_intermediate() {
    for cuda in devices() {
        for case in &COMMITTED {
            run(case, &golden::committed(), &cuda);
        }
    }
}

#[test]
fn shared_encoders_agree() {
    let Some(folder) = golden::shared() else { return };
    for cuda in devices() {
        for case in &SHARED {
            run(case, &folder, &cuda);
        }
    }
}

/// The device with either tensor cores; none where there is no stand-in.
fn devices() -> Vec<Cuda> {
    let paths = standin::load().map(|_| [TensorCores::Wgmma, TensorCores::Mma]);
    paths.into_iter().flatten().map(|path| Cuda::open_with(0, path).unwrap()).collect()
}

#[track_caller]
fn run(case: &Case, folder: &Path, cuda: &Cuda) {
    let temporary = tempfile::tempdir().unwrap();
    let backbone = open(case, folder, temporary.path());
    let tokens: BTreeMap<String, Tokens> = golden::json(&folder.join(format!("{}_tokens.json", case.tokens)));
    let mut batch = TokenBatch::default();
    for entry in tokens.values() {
        batch.push(&entry.ids(case.column));
    }
    let job = Job { case, backbone, names: tokens.keys().map(String::as_str).collect(), batch };
    let expected = Expected::read(folder, case.expected);

    let mut single = Differences::of(&format!("{} in f32 on {cuda:?}", case.checkpoint));
    job.each::<_, f32>(cuda, Precision::F32, &expected, |name, what, found, expected| {
        single.compare(name, what, found, expected, if POOLINGS.contains(&what) { POOLED } else { PER_TOKEN });
    });
    single.report();

    // The largest error of the plain computation, by kind.
    let mut plain: BTreeMap<String, f64> = BTreeMap::new();
    job.each::<_, f16>(&Cpu::all_threads(), Precision::F16, &expected, |_, what, found, expected| {
        let error = found.iter().zip(expected).map(|(&f, e)| (f64::from(f) - e).abs()).fold(0.0, f64::max);
        let worst = plain.entry(what.to_owned()).or_default();
        *worst = worst.max(error);
    });
    let mut half = Differences::of(&format!("{} in f16 on {cuda:?}, beside twice the plain error", case.checkpoint));
    job.each::<_, f16>(cuda, Precision::F16, &expected, |name, what, found, expected| {
        half.compare(name, what, found, expected, 2.0 * plain[what]);
    });
    half.report();
}

struct Job<'a> {
    case: &'a Case,
    backbone: Backbone,
    names: Vec<&'a str>,
    batch: TokenBatch,
}

impl Job<'_> {
    /// Computes the batch and hands over each kind of value of each sequence, with what is expected.
    fn each<B: Backend, A: Activation>(
        &self,
        backend: &B,
        precision: Precision,
        expected: &Expected,
        mut take: impl FnMut(&str, &str, &[f32], &[f64]),
    ) {
        let found = Found::of::<B, A>(backend, &self.backbone, precision, &self.batch);
        for (i, name) in self.names.iter().enumerate() {
            for what in expected.kinds(name) {
                if let Some(values) = found.values(what, i, &self.batch) {
                    take(name, what, &values, expected.get(name, what).unwrap());
                } else {
                    assert_eq!(what, "logits", "{}: {name}", self.case.checkpoint);
                }
            }
        }
    }
}

#[test]
fn short_batches_are_recorded_and_the_recording_gives_the_same_bits() {
    let Some(driver) = standin::load() else { return };
    let cuda = Cuda::open(0).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let backbone = open(&COMMITTED[3], &golden::committed(), temporary.path());
    let config = &backbone.config.network.sequence().unwrap().encoder;
    let encoder = Encoder::load(&cuda, config, backbone.scope(), Precision::F16).unwrap();
    let batch = |lengths: &[usize]| {
        let mut batch = TokenBatch::default();
        for &length in lengths {
            batch.push(&(0..length).map(|t| 3 + (t * t % 7) as u32).collect::<Vec<_>>());
        }
        batch
    };
    let batches = [batch(&[40, 9]), batch(&[130]), batch(&[48, 1])];
    let alone: Vec<Vec<f16>> = batches
        .iter()
        .map(|batch| {
            let mut work = encoder.workspace(&cuda).unwrap();
            states(&cuda, &encoder, batch, &mut work)
        })
        .collect();
    let before = driver.counters().graph_launches;
    let mut work = encoder.workspace(&cuda).unwrap();
    for _ in 0..4 {
        for (batch, alone) in batches.iter().zip(&alone) {
            assert!(states(&cuda, &encoder, batch, &mut work) == *alone, "a recorded pass has other bits");
        }
    }
    // The first and the last batch are of one shape: 64 rows, the same tiles. In the first round all buffers are made anew
    // for the second batch, those of its tiles of short sequences for the third: that ends what was begun. In the second
    // round the second batch comes again for the first time; every other pass of three rounds is a recording.
    assert_eq!(driver.counters().graph_launches - before, 8);
}

fn states(cuda: &Cuda, encoder: &Encoder<Cuda>, batch: &TokenBatch, work: &mut Workspace<Cuda, f16>) -> Vec<f16> {
    encoder.forward(cuda, batch, work).unwrap();
    let mut host = vec![f16::ZERO; batch.n_tokens() * encoder.config().d_model];
    cuda.download(work.hidden(cuda, encoder.config(), batch.n_tokens()).view, &mut host).unwrap();
    host
}
