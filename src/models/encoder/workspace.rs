//! Memory that a forward pass works in.

use std::ops::Range;

use super::config::EncoderConfig;
use super::rotary::angles;
use crate::backend::{Matrix, Memory};
use crate::error::Result;
use crate::tokens::TokenBatch;

/// Buffers of one pass, as large as the largest batch so far; reused from batch to batch.
pub struct Workspace<B: Memory> {
    n_tokens: usize,
    pub(super) inputs: Inputs<B>,
    /// `[n_tokens, d_model]`: the state that runs through the blocks.
    pub(super) state: B::Buffer<f32>,
    /// `[n_tokens, d_model]`: normalised states; the final ones at the end.
    pub(super) normed: B::Buffer<f32>,
    /// `[n_tokens, max(3·d_model, d_ff)]`: queries, keys and values, later the inner states of the feed-forward part.
    pub(super) wide: B::Buffer<f32>,
    pub(super) rotary: Rotary<B>,
}

/// What of a batch lies on the device.
pub(super) struct Inputs<B: Memory> {
    pub ids: B::Buffer<u32>,
    pub positions: B::Buffer<u32>,
    pub scales: B::Buffer<f32>,
    pub cu_seqlens: B::Buffer<u32>,
}

/// Cosines and sines of the positions so far.
pub(super) struct Rotary<B: Memory> {
    pub n_positions: usize,
    pub cos: B::Buffer<f32>,
    pub sin: B::Buffer<f32>,
}

impl<B: Memory> Workspace<B> {
    /// Buffers for no token: the first batch makes them.
    pub(super) fn new(backend: &B) -> Result<Self> {
        Ok(Self {
            n_tokens: 0,
            inputs: Inputs {
                ids: backend.zeros(0)?,
                positions: backend.zeros(0)?,
                scales: backend.zeros(0)?,
                cu_seqlens: backend.zeros(0)?,
            },
            state: backend.zeros(0)?,
            normed: backend.zeros(0)?,
            wide: backend.zeros(0)?,
            rotary: Rotary { n_positions: 0, cos: backend.zeros(0)?, sin: backend.zeros(0)? },
        })
    }

    /// Bytes that a batch of `n_tokens` needs beside the weights.
    #[must_use]
    pub fn bytes(config: &EncoderConfig, n_tokens: usize) -> usize {
        let per_token = 2 * config.d_model + wide(config) + config.d_head() + 4;
        n_tokens.saturating_mul(per_token).saturating_mul(size_of::<f32>())
    }

    /// Takes a batch in: makes room, uploads ids, positions and the scale of each token.
    pub(super) fn admit(
        &mut self,
        backend: &B,
        config: &EncoderConfig,
        frequencies: &[f32],
        batch: &TokenBatch,
    ) -> Result<()> {
        let n = batch.n_tokens();
        if n > self.n_tokens {
            self.inputs.ids = backend.zeros(n)?;
            self.inputs.positions = backend.zeros(n)?;
            self.inputs.scales = backend.zeros(n)?;
            self.state = backend.zeros(n * config.d_model)?;
            self.normed = backend.zeros(n * config.d_model)?;
            self.wide = backend.zeros(n * wide(config))?;
            self.n_tokens = n;
        }
        if batch.longest() > self.rotary.n_positions {
            let n_positions = batch.longest().next_power_of_two().max(64);
            let (cos, sin) = angles(n_positions, frequencies);
            self.rotary.cos = backend.uploaded(&cos)?;
            self.rotary.sin = backend.uploaded(&sin)?;
            self.rotary.n_positions = n_positions;
        }
        let positions: Vec<u32> = batch.sequences().flat_map(|rows| 0..rows.len() as u32).collect();
        let scales: Vec<f32> = batch.sequences().flat_map(|rows| scales(config, &batch.ids()[rows])).collect();
        backend.upload(batch.ids(), backend.view_mut(&mut self.inputs.ids, 0..n))?;
        backend.upload(&positions, backend.view_mut(&mut self.inputs.positions, 0..n))?;
        backend.upload(&scales, backend.view_mut(&mut self.inputs.scales, 0..n))?;
        self.inputs.cu_seqlens = backend.uploaded(batch.cu_seqlens())?;
        Ok(())
    }

    /// The final states of a batch of `n_tokens`, `[n_tokens, d_model]`, after [`Encoder::forward`](super::Encoder::forward).
    pub fn hidden(&self, backend: &B, config: &EncoderConfig, n_tokens: usize) -> Matrix<'_, B, f32> {
        Matrix::of(backend, &self.normed, n_tokens, config.d_model)
    }

    /// The final states of a range of the batch's tokens, `[tokens.len(), d_model]`.
    pub fn states(&self, backend: &B, config: &EncoderConfig, tokens: Range<usize>) -> Matrix<'_, B, f32> {
        let d = config.d_model;
        Matrix::at(backend, &self.normed, tokens.start * d, tokens.len(), d)
    }
}

fn wide(config: &EncoderConfig) -> usize {
    config.d_ff.max(3 * config.d_model)
}

/// Share of tokens that training masked, times the share of those that it replaced by the mask token.
const TRAINED_MASK_RATIO: f64 = 0.15 * 0.8;

/// What multiplies the embedding of each token of one sequence: 0 of a mask, `0.88 / (1 − masked share)` of others.
fn scales(config: &EncoderConfig, ids: &[u32]) -> impl Iterator<Item = f32> {
    let n_masked = ids.iter().filter(|&&id| id == config.mask_id).count();
    let kept = 1.0 - n_masked as f64 / ids.len() as f64;
    let scale = ((1.0 - TRAINED_MASK_RATIO) / kept) as f32;
    ids.iter().map(move |&id| match (config.token_dropout, id == config.mask_id) {
        (false, _) => 1.0,
        (true, true) => 0.0,
        (true, false) => scale,
    })
}
