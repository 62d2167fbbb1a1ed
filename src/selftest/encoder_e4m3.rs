//! Encoders of both families with products of eight bits, beside the same in half precision: means of sequences, batches,
//! recorded passes.

use half::f16;

use super::Subject;
use super::bench::Bench;
use super::checkpoint;
use super::encoder::{LENGTHS, Network, alone, batch, esm2, recorded};
use super::numbers::wide;
use super::reference;
use crate::backend::Cpu;
use crate::error::Result;
use crate::models::encoder::{AttentionResidual, EncoderConfig, FeedForward};
use crate::ops::linear::Precision;

/// Least cosine of the mean of a sequence to that in half precision, for these networks, each of whose blocks adds as much as it
/// is given. Measured: 0.9976 and 0.9986, both of the sequence of one token. Weights of `init` at true depth and width are
/// at 0.9994 and more (docs/PERFORMANCE.md).
const LEAST: f64 = 0.995;
/// The same to the CPU, which rounds other numbers near an edge to other eight bits: measured 0.99978 and 0.99983.
const LEAST_TO_TWIN: f64 = 0.9995;

fn networks(precision: Precision) -> [Network; 2] {
    let esm2 = EncoderConfig { n_layers: 3, d_model: 128, n_heads: 2, d_ff: 272, ..esm2() };
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
    let d = network.config.d_model;
    let found = reference::segment_means(&wide(&network.states::<B, f16>(device, &batch)?), &segments, d);
    let halves = reference::segment_means(&wide(&half.states::<B, f16>(device, &batch)?), &segments, d);
    let twin = reference::segment_means(&wide(&network.states::<Cpu, f16>(&Cpu::single(), &batch)?), &segments, d);
    if found == halves {
        return Ok(Some("nothing was rounded to eight bits".to_owned()));
    }
    let cosines = [(&halves, LEAST, "to f16"), (&twin, LEAST_TO_TWIN, "to the CPU")]
        .map(|(expected, least, what)| (least_cosine(&found, expected, d), least, what));
    let wrong = cosines.into_iter().find(|(cosine, least, _)| cosine.is_nan() || cosine < least);
    Ok(wrong.map(|(cosine, least, what)| format!("a cosine of {cosine:.6} {what}, at least {least} is due")))
}

/// Of the rows of two matrices; NaN where one is.
fn least_cosine(a: &[f64], b: &[f64], width: usize) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = |(a, b): (&[f64], &[f64])| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let rows = a.chunks_exact(width).zip(b.chunks_exact(width));
    rows.map(cosine).fold(1.0, |least, x| if x < least || x.is_nan() { x } else { least })
}
