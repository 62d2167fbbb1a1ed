//! Memory that a forward pass works in.

use std::ops::Range;

use super::config::EncoderConfig;
use super::rotary::angles;
use crate::backend::{Activation, E4m3, Matrix};
use crate::error::Result;
use crate::ops::Backend;
use crate::tokens::TokenBatch;

/// Buffers of one pass, as large as the largest batch so far; reused from batch to batch.
pub struct Workspace<B: Backend, A: Activation = f32> {
    /// Rows that the buffers have.
    capacity: usize,
    /// Rows that the ops work on: the tokens of the batch, and what rounds them up to a size that comes again.
    pub(super) n_rows: usize,
    pub(super) inputs: Inputs<B>,
    /// `[n_rows, d_model]`: the state that runs through the blocks.
    pub(super) state: B::Buffer<A>,
    /// `[n_rows, d_model]`: normalised states; the final ones at the end.
    pub(super) normed: B::Buffer<A>,
    /// `[n_rows, max(3·d_model, d_ff)]`: queries, keys and values, later the inner states of the feed-forward part.
    pub(super) wide: B::Buffer<A>,
    /// What layers in eight bits read; of an encoder that has none, none.
    pub(super) e4m3: Option<E4m3Buffers<B>>,
    /// Whether `state` and `normed` stand in each other's place: a block may exchange them.
    pub(super) exchanged: bool,
    pub(super) rotary: Rotary<B>,
    pub(super) recordings: B::Recordings,
}

/// What linear layers in e4m3 read.
pub(super) struct E4m3Buffers<B: Backend> {
    /// Normalised states.
    pub normed: ScaledBuffers<B>,
    /// `[n_rows, d_ff]`: inner states of the feed-forward part.
    pub inner: B::Buffer<E4m3>,
}

/// Numbers `[n_rows, d_model]` and the scale of each row.
pub(super) struct ScaledBuffers<B: Backend> {
    pub values: B::Buffer<E4m3>,
    pub scales: B::Buffer<f32>,
}

impl<B: Backend> E4m3Buffers<B> {
    fn of(backend: &B, config: &EncoderConfig, n: usize) -> Result<Self> {
        let inner = backend.padded(config.d_ff);
        Ok(Self {
            normed: ScaledBuffers { values: backend.zeros(n * config.d_model)?, scales: backend.zeros(n)? },
            inner: backend.zeros(n * inner)?,
        })
    }

    fn bytes(backend: &B, config: &EncoderConfig) -> usize {
        config.d_model + size_of::<f32>() + backend.padded(config.d_ff)
    }
}

/// What of a batch lies on the device.
pub(super) struct Inputs<B: Backend> {
    pub ids: B::Buffer<u32>,
    pub positions: B::Buffer<u32>,
    pub scales: B::Buffer<f32>,
    pub sequences: B::Sequences,
}

/// Cosines and sines of the positions so far.
pub(super) struct Rotary<B: Backend> {
    pub n_positions: usize,
    pub cos: B::Buffer<f32>,
    pub sin: B::Buffer<f32>,
}

/// Rows that a batch is rounded up to: launches that are recorded are found again.
const ROWS_STEP: usize = 64;

impl<B: Backend, A: Activation> Workspace<B, A> {
    /// Buffers for no token: the first batch makes them. `with_e4m3` where the encoder has layers in e4m3.
    pub(super) fn new(backend: &B, config: &EncoderConfig, with_e4m3: bool) -> Result<Self> {
        Ok(Self {
            capacity: 0,
            n_rows: 0,
            inputs: Inputs {
                ids: backend.zeros(0)?,
                positions: backend.zeros(0)?,
                scales: backend.zeros(0)?,
                sequences: backend.no_sequences()?,
            },
            state: backend.zeros(0)?,
            normed: backend.zeros(0)?,
            wide: backend.zeros(0)?,
            e4m3: with_e4m3.then(|| E4m3Buffers::of(backend, config, 0)).transpose()?,
            exchanged: false,
            rotary: Rotary { n_positions: 0, cos: backend.zeros(0)?, sin: backend.zeros(0)? },
            recordings: B::Recordings::default(),
        })
    }

    /// Bytes that a batch of `n_tokens` needs beside the weights.
    #[must_use]
    pub fn bytes(&self, backend: &B, config: &EncoderConfig, n_tokens: usize) -> usize {
        let states = (2 * config.d_model + self.width(backend, config)) * size_of::<A>();
        let inputs = (config.d_head() + 4) * size_of::<f32>();
        let e4m3 = self.e4m3.as_ref().map_or(0, |_| E4m3Buffers::bytes(backend, config));
        n_tokens.saturating_mul(states + inputs + e4m3)
    }

    /// Width of `wide`: inner states in eight bits lie elsewhere.
    fn width(&self, backend: &B, config: &EncoderConfig) -> usize {
        let inner = if self.e4m3.is_some() { 0 } else { backend.padded(config.d_ff) };
        inner.max(3 * config.d_model)
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
        self.settle(false);
        self.n_rows = if backend.records_launches(n) { n.next_multiple_of(ROWS_STEP) } else { n };
        if self.n_rows > self.capacity {
            self.grow(backend, config, self.n_rows)?;
        }
        if batch.longest() > self.rotary.n_positions {
            let n_positions = batch.longest().next_power_of_two().max(64);
            let (cos, sin) = angles(n_positions, frequencies);
            self.recordings = B::Recordings::default();
            self.rotary.cos = backend.uploaded(&cos)?;
            self.rotary.sin = backend.uploaded(&sin)?;
            self.rotary.n_positions = n_positions;
        }
        let mut positions: Vec<u32> = batch.sequences().flat_map(|rows| 0..rows.len() as u32).collect();
        let mut scales: Vec<f32> = batch.sequences().flat_map(|rows| scales(config, &batch.ids()[rows])).collect();
        // Rows behind the last token are computed and never read: the first token's row, times 0.
        let mut ids = batch.ids().to_vec();
        ids.resize(self.n_rows, 0);
        positions.resize(self.n_rows, 0);
        scales.resize(self.n_rows, 0.0);
        backend.upload(&ids, backend.view_mut(&mut self.inputs.ids, 0..self.n_rows))?;
        backend.upload(&positions, backend.view_mut(&mut self.inputs.positions, 0..self.n_rows))?;
        backend.upload(&scales, backend.view_mut(&mut self.inputs.scales, 0..self.n_rows))?;
        backend.admit_sequences::<A>(&mut self.inputs.sequences, batch.cu_seqlens(), config.heads())
    }

    /// Puts `state` and `normed` where they stand after an even number of exchanges, or an odd one. A recorded pass ends
    /// as the one that was recorded, though no block ran on the host.
    pub(super) fn settle(&mut self, exchanged: bool) {
        if self.exchanged != exchanged {
            std::mem::swap(&mut self.state, &mut self.normed);
            self.exchanged = exchanged;
        }
    }

    /// Makes room for `n` rows. What was there is given back first, so that a device that is nearly full can do it.
    fn grow(&mut self, backend: &B, config: &EncoderConfig, n: usize) -> Result<()> {
        let rotary = Rotary { n_positions: 0, cos: backend.zeros(0)?, sin: backend.zeros(0)? };
        let rotary = std::mem::replace(&mut self.rotary, rotary);
        let (n_rows, with_e4m3) = (self.n_rows, self.e4m3.is_some());
        *self = Self { n_rows, rotary, ..Self::new(backend, config, with_e4m3)? };
        self.inputs.ids = backend.zeros(n)?;
        self.inputs.positions = backend.zeros(n)?;
        self.inputs.scales = backend.zeros(n)?;
        self.state = backend.zeros(n * config.d_model)?;
        self.normed = backend.zeros(n * config.d_model)?;
        self.wide = backend.zeros(n * self.width(backend, config))?;
        self.e4m3 = with_e4m3.then(|| E4m3Buffers::of(backend, config, n)).transpose()?;
        self.capacity = n;
        Ok(())
    }

    /// The final states of a batch of `n_tokens`, `[n_tokens, d_model]`, after [`Encoder::forward`](super::Encoder::forward).
    pub fn hidden(&self, backend: &B, config: &EncoderConfig, n_tokens: usize) -> Matrix<'_, B, A> {
        Matrix::of(backend, &self.normed, n_tokens, config.d_model)
    }

    /// The final states of a range of the batch's tokens, `[tokens.len(), d_model]`.
    pub fn states(&self, backend: &B, config: &EncoderConfig, tokens: Range<usize>) -> Matrix<'_, B, A> {
        let d = config.d_model;
        Matrix::at(backend, &self.normed, tokens.start * d, tokens.len(), d)
    }
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
