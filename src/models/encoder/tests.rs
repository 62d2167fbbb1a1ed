//! The whole encoder on small random weights. What it computes is held by the golden cases.

use std::path::Path;

use safetensors::tensor::TensorView;

use super::*;
use crate::backend::Cpu;
use crate::ops::linear::Precision;
use crate::tokens::TokenBatch;
use crate::weights::{Checkpoint, Scope};

/// The two families at a small size; head widths that fill no vector.
fn configs() -> [EncoderConfig; 2] {
    let esm2 = EncoderConfig {
        n_layers: 2,
        d_model: 48,
        n_heads: 2,
        d_ff: 72,
        vocab_size: 9,
        mask_id: 8,
        layer_norm_eps: 1e-5,
        rope_theta: 1e4,
        token_dropout: true,
        attention_residual: AttentionResidual::Input,
        attention_bias: true,
        feed_forward: FeedForward::Gelu,
    };
    let rinalmo = EncoderConfig {
        d_ff: 37,
        attention_residual: AttentionResidual::Normalised,
        attention_bias: false,
        feed_forward: FeedForward::SwiGlu,
        ..esm2.clone()
    };
    [esm2, rinalmo]
}

/// Every tensor that `config` asks for, random, in a file.
fn scope(config: &EncoderConfig, folder: &Path) -> Scope {
    let (d, d_ff) = (config.d_model, config.d_ff);
    let mut shapes = vec![("embed_tokens.weight".to_owned(), vec![config.vocab_size, d])];
    let mut add = |name: String, shape: &[usize]| shapes.push((name, shape.to_vec()));
    for l in 0..config.n_layers {
        for norm in ["attention_norm", "ffn_norm"] {
            add(format!("layers.{l}.{norm}.weight"), &[d]);
            add(format!("layers.{l}.{norm}.bias"), &[d]);
        }
        let sizes =
            [("query", d, d), ("key", d, d), ("value", d, d), ("output", d, d), ("up", d_ff, d), ("gate", d_ff, d)];
        for (part, rows, columns) in sizes.into_iter().chain([("down", d, d_ff)]) {
            add(format!("layers.{l}.{part}.weight"), &[rows, columns]);
            add(format!("layers.{l}.{part}.bias"), &[rows]);
        }
        add(format!("layers.{l}.beta"), &[1]);
    }
    add("final_norm.weight".to_owned(), &[d]);
    add("final_norm.bias".to_owned(), &[d]);
    let mut state = 17u64;
    let mut numbers = |shape: &[usize]| -> Vec<u8> {
        let n = shape.iter().product();
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            0.4 * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
        };
        (0..n).flat_map(|_| draw().to_le_bytes()).collect()
    };
    let bytes: Vec<_> = shapes.iter().map(|(_, shape)| numbers(shape)).collect();
    let views = shapes.iter().zip(&bytes).map(|((name, shape), bytes)| {
        (name.as_str(), TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    let path = folder.join("model.safetensors");
    safetensors::serialize_to_file(views, None, &path).unwrap();
    Scope::new(Checkpoint::open(&path).unwrap())
}

fn states(encoder: &Encoder<Cpu>, backend: Cpu, batch: &TokenBatch) -> Vec<f32> {
    let mut work = encoder.workspace::<f32>(&backend).unwrap();
    encoder.forward(&backend, batch, &mut work).unwrap();
    work.hidden(&backend, encoder.config(), batch.n_tokens()).view.to_vec()
}

fn sequence(length: usize, seed: usize) -> Vec<u32> {
    (0..length).map(|t| ((t * 7 + t * t * seed + seed) % 9) as u32).collect()
}

#[test]
fn a_sequence_has_the_same_bits_alone_in_a_batch_and_on_more_threads() {
    for config in configs() {
        let folder = tempfile::tempdir().unwrap();
        for precision in [Precision::F32, Precision::Int8] {
            let scope = scope(&config, folder.path());
            let encoder = Encoder::load(&Cpu::single(), &config, &scope, precision).unwrap();
            let lengths = [3, 40, 1, 2, 130, 17, 3];
            let mut batch = TokenBatch::default();
            for (seed, &length) in lengths.iter().enumerate() {
                batch.push(&sequence(length, seed));
            }
            let whole = states(&encoder, Cpu::single(), &batch);
            assert!(whole.iter().all(|x| x.is_finite()));
            assert_eq!(whole, states(&encoder, Cpu::with_threads(3), &batch));
            for (seed, rows) in batch.sequences().enumerate() {
                let mut alone = TokenBatch::default();
                alone.push(&sequence(rows.len(), seed));
                let expected = &whole[rows.start * config.d_model..rows.end * config.d_model];
                assert_eq!(states(&encoder, Cpu::with_threads(2), &alone), expected, "length {}", rows.len());
            }
        }
    }
}

#[test]
fn a_workspace_is_used_again_and_an_empty_batch_is_nothing() {
    let [config, _] = configs();
    let folder = tempfile::tempdir().unwrap();
    let backend = Cpu::single();
    let encoder = Encoder::load(&backend, &config, &scope(&config, folder.path()), Precision::F32).unwrap();
    let mut work = encoder.workspace::<f32>(&backend).unwrap();
    let mut first = Vec::new();
    for length in [5, 90, 0, 5] {
        let mut batch = TokenBatch::default();
        batch.push(&sequence(length, 1));
        encoder.forward(&backend, &batch, &mut work).unwrap();
        let hidden = work.hidden(&backend, &config, length).view;
        if length == 5 && first.is_empty() {
            first = hidden.to_vec();
            let means = encoder.means(&backend, 5, &[[1, 4]], &work).unwrap();
            let expected = (1..4).map(|t| f64::from(first[t * config.d_model])).sum::<f64>() / 3.0;
            assert!((f64::from(means[0]) - expected).abs() < 1e-6);
        } else if length == 5 {
            assert_eq!(hidden, first);
        }
    }
}

#[test]
fn ids_and_tensors_that_do_not_fit_are_refused_by_name() {
    let [config, rinalmo] = configs();
    let folder = tempfile::tempdir().unwrap();
    let backend = Cpu::single();
    let scope = scope(&config, folder.path());
    let encoder = Encoder::load(&backend, &config, &scope, Precision::F32).unwrap();
    let mut batch = TokenBatch::default();
    batch.push(&[0, 9]);
    let mut work = encoder.workspace::<f32>(&backend).unwrap();
    let error = encoder.forward(&backend, &batch, &mut work).unwrap_err();
    assert!(error.to_string().contains("token id 9 is outside"), "{error}");
    let error = Encoder::load(&backend, &rinalmo, &scope, Precision::F32).err().unwrap();
    assert!(error.to_string().contains("layers.0.up.weight"), "{error}");
}

#[test]
fn masks_are_zeroed_and_the_rest_is_scaled() {
    let [config, _] = configs();
    let folder = tempfile::tempdir().unwrap();
    let backend = Cpu::single();
    let scope = scope(&config, folder.path());
    let table = scope.take("embed_tokens.weight", &[9, 48]).unwrap().to_f32();
    let encoder = Encoder::load(&backend, &config, &scope, Precision::F32).unwrap();
    let mut batch = TokenBatch::default();
    batch.push(&[0, 8, 3, 2]);
    batch.push(&[5, 2]);
    let mut work = encoder.workspace::<f32>(&backend).unwrap();
    let mut embedding = Vec::new();
    encoder
        .forward_traced(&backend, &batch, &mut work, &mut |stage, values| {
            if stage.to_string() == "embedding" {
                embedding = values.view.to_vec();
            }
            Ok(())
        })
        .unwrap();
    let row = |id: usize, scale: f32| table[id * 48..(id + 1) * 48].iter().map(move |x| scale * x);
    let masked = 0.88 / 0.75;
    let expected: Vec<f32> = row(0, masked as f32)
        .chain(row(8, 0.0))
        .chain(row(3, masked as f32))
        .chain(row(2, masked as f32))
        .chain(row(5, 0.88))
        .chain(row(2, 0.88))
        .collect();
    assert_eq!(embedding, expected);
}
