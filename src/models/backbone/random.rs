//! Random weights of true shape, for work on throughput without a download.

use std::path::Path;

use half::f16;
use half::slice::HalfFloatSliceExt;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::config::{BackboneConfig, SourceNote};
use super::layout::{Role, tensors};
use super::published::Preset;
use super::write::{Plan, create};
use crate::error::Result;
use crate::progress::Progress;
use crate::weights::elements::Element;

/// Numbers of a block: each is made of a counter of its own, by any thread.
const BLOCK: usize = 1 << 20;
/// Blocks that are made side by side before they are written.
const BATCH: usize = 16;
/// SD of a uniform number in [−1, 1).
const UNIFORM_SD: f64 = 0.577_350_269_189_625_8;
/// How far norms and biases lie from 1 and 0.
const SPREAD: f32 = 0.1;

/// Writes a backbone folder with random weights: numbers of one seed are the same on every machine, and states keep
/// an SD near 1 through all layers.
///
/// # Errors
/// [`Error::Io`](crate::error::Error::Io), also beforehand when the disk has no room for it;
/// [`Error::Interrupted`](crate::error::Error::Interrupted).
pub fn init(
    preset: Preset,
    seed: u64,
    element: Element,
    force: bool,
    out: &Path,
    progress: &dyn Progress,
) -> Result<BackboneConfig> {
    let network = preset.network();
    let written = tensors(&network).into_iter().filter(|expected| !expected.is_optional());
    let plan = Plan {
        tensors: written.map(|expected| (expected, element)).collect(),
        network,
        source: SourceNote { format: "random".to_owned(), name: format!("seed {seed}") },
        beside: Vec::new(),
    };
    let folder = create(out, force)?;
    plan.write(folder, progress, |i, sink| {
        let (expected, element) = &plan.tensors[i];
        let (centre, reach) = spread(expected.role, expected.shape.last().copied().unwrap_or(1));
        let n = expected.n_elements();
        let blocks: Vec<usize> = (0..n.div_ceil(BLOCK)).collect();
        for batch in blocks.chunks(BATCH) {
            let made: Vec<Vec<u8>> = batch
                .par_iter()
                .map(|&b| block(seed, i as u64, b, BLOCK.min(n - b * BLOCK), centre, reach, *element))
                .collect();
            made.iter().try_for_each(|bytes| sink(bytes))?;
        }
        Ok(())
    })
}

/// Middle and half width of the interval that a tensor's numbers are drawn from.
fn spread(role: Role, fan_in: usize) -> (f32, f32) {
    match role {
        Role::Embedding => (0.0, (1.0 / UNIFORM_SD) as f32),
        Role::Gain => (1.0, SPREAD),
        Role::Bias | Role::Frequencies => (0.0, SPREAD),
        Role::Weight { gain } => (0.0, (gain / UNIFORM_SD / (fan_in as f64).sqrt()) as f32),
    }
}

/// Block `b` of tensor `stream`: 16 random bits a number.
fn block(seed: u64, stream: u64, b: usize, n: usize, centre: f32, reach: f32, element: Element) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
    random.set_word_pos((b * BLOCK / 2) as u128);
    let mut bits = vec![0u8; n * 2];
    random.fill_bytes(&mut bits);
    let unit = |pair: &[u8; 2]| f32::from(i16::from_le_bytes(*pair)) * (1.0 / 32768.0);
    let numbers: Vec<f32> = bits.as_chunks().0.iter().map(|pair| centre + reach * unit(pair)).collect();
    if element == Element::F32 {
        return bytemuck::cast_slice(&numbers).to_vec();
    }
    let mut halves = vec![f16::ZERO; n];
    halves.convert_from_f32_slice(&numbers);
    bytemuck::cast_slice(&halves).to_vec()
}
