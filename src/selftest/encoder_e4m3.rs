//! Encoders of both families with products of eight bits, beside the same in half precision: means of sequences, batches,
//! recorded passes.

use half::f16;

use super::Subject;
use super::bench::Bench;
use super::checkpoint;
use super::encoder::{LENGTHS, Network, alone, batch, recorded};
use super::numbers::wide;
use super::reference;
use crate::error::Result;
use crate::models::encoder::{AttentionResidual, EncoderConfig, FeedForward};
use crate::ops::linear::Precision;

/// Least cosine of the mean of a sequence to that in half precision. Measured: 0.9994 of one token, 0.9998 of more.
const LEAST: f64 = 0.999;

fn networks(precision: Precision) -> [Network; 2] {
    let esm2 = EncoderConfig {
        n_layers: 3,
        d_model: 128,
        n_heads: 2,
        d_ff: 272,
        vocab_size: 33,
        mask_id: 32,
        layer_norm_eps: 1e-5,
        rope_theta: 1e4,
        token_dropout: true,
        attention_residual: AttentionResidual::Input,
        attention_bias: true,
        feed_forward: FeedForward::Gelu,
    };
    let rinalmo = EncoderConfig {
        n_heads: 1,
        d_ff: 176,
        attention_residual: AttentionResidual::Normalised,
        attention_bias: false,
        feed_forward: FeedForward::SwiGlu,
        ..esm2.clone()
    };
    [("encoder_esm2_e4m3", esm2), ("encoder_rinalmo_e4m3", rinalmo)].map(|(name, config)| Network {
        name,
        scope: checkpoint::of_encoder(&config),
        config,
        precision: Some(precision),
    })
}

pub(super) fn check<B: Subject>(bench: &mut Bench<'_, B>) {
    for (network, half) in networks(Precision::Fp8).iter().zip(&networks(Precision::F16)) {
        bench.holds::<f16>(network.name, "means beside those in f16", |device| beside_halves(network, half, device));
        bench.holds::<f16>(network.name, "sequences alone", |device| alone::<B, f16>(network, device));
        bench.holds::<f16>(network.name, "recorded passes", |device| recorded::<B, f16>(network, device));
    }
}

fn beside_halves<B: Subject>(network: &Network, half: &Network, device: &B) -> Result<Option<String>> {
    let batch = batch(&LENGTHS, 1);
    let segments: Vec<[u32; 2]> = batch.sequences().map(|rows| [rows.start as u32, rows.end as u32]).collect();
    let means = |network: &Network| -> Result<Vec<f64>> {
        let states = wide(&network.states::<B, f16>(device, &batch)?);
        Ok(reference::segment_means(&states, &segments, network.config.d_model))
    };
    let (found, expected) = (means(network)?, means(half)?);
    let rows = found.chunks_exact(network.config.d_model).zip(expected.chunks_exact(network.config.d_model));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = |(a, b): (&[f64], &[f64])| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let least = rows.map(cosine).fold(1.0, |least, x| if x < least || x.is_nan() { x } else { least });
    let differs = found != expected;
    Ok(match (least >= LEAST, differs) {
        (true, true) => None,
        (true, false) => Some("nothing was rounded to eight bits".to_owned()),
        _ => Some(format!("a cosine of {least:.6}, at least {LEAST} is due")),
    })
}
