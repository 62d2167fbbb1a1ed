//! Memory of the activations and their gradients, allocated once per batch size.

use super::config::{Fusion, FusionConfig, Projection};
use crate::backend::{Memory, Real, Stack, StackMut};
use crate::error::Result;
use crate::ops::gather_pairs::PairBatch;

/// Activations of one batch of at most `capacity` pairs of each run of a cohort.
///
/// The caller gathers `partner [runs, n, d_a]` and `rna [runs, n, d_b]`, runs the network and reads
/// `logits [runs, n, n_outputs]`.
pub struct Workspace<B: Memory, T: Real> {
    /// Runs.
    pub runs: usize,
    /// Most pairs of a batch.
    pub capacity: usize,
    /// Partner vectors `[runs, capacity, d_a]`.
    pub partner: B::Buffer<T>,
    /// RNA vectors `[runs, capacity, d_b]`.
    pub rna: B::Buffer<T>,
    /// Labels `[runs, capacity, n_outputs]`, training only.
    pub labels: B::Buffer<T>,
    /// Sum of the loss over known labels, and their number, `[runs, 2]`, training only: batches are added to it.
    pub totals: B::Buffer<f64>,
    /// Projected operands where there is a projection, and their gradients.
    pub(super) projected: [B::Buffer<T>; 2],
    pub(super) projected_gradient: [B::Buffer<T>; 2],
    /// `[p|r]` for the input-dependent gate, and its gradient.
    pub(super) joined: B::Buffer<T>,
    pub(super) joined_gradient: B::Buffer<T>,
    /// Logits of the input-dependent gate; for the average zeros.
    pub(super) gate: B::Buffer<T>,
    /// Gradient of the gate's logits, per pair for the static gate too.
    pub(super) gate_gradient: B::Buffer<T>,
    /// What the head reads, then the output of each of its layers; the last one is the logits.
    pub(super) layers: Vec<B::Buffer<T>>,
    pub(super) layer_gradients: Vec<B::Buffer<T>>,
}

impl<B: Memory, T: Real> Workspace<B, T> {
    /// Memory for `runs` batches of at most `capacity` pairs; the gradients only where `training`.
    ///
    /// # Errors
    /// When the device has no memory left.
    pub fn new(backend: &B, config: &FusionConfig, runs: usize, capacity: usize, training: bool) -> Result<Self> {
        let zeros = |width: usize| backend.zeros::<T>(runs * capacity * width);
        let gradient = |width: usize| zeros(if training { width } else { 0 });
        let (p, r) = (config.partner_width(), config.rna_width());
        let stored = |stored: bool, width: usize| if stored { width } else { 0 };
        let partner_stored = stored(matches!(config.projection, Projection::Both(_)), p);
        let rna_stored = stored(config.projection != Projection::None, r);
        let joined = stored(config.fusion == Fusion::Input, p + r);
        let widths: Vec<usize> =
            [config.fused_width()].into_iter().chain(config.head.iter().copied()).chain([config.n_outputs]).collect();
        Ok(Self {
            runs,
            capacity,
            partner: zeros(config.d_partner)?,
            rna: zeros(config.d_rna)?,
            labels: gradient(config.n_outputs)?,
            totals: backend.zeros(2 * runs)?,
            projected: [zeros(partner_stored)?, zeros(rna_stored)?],
            projected_gradient: [gradient(p)?, gradient(r)?],
            joined: zeros(joined)?,
            joined_gradient: gradient(joined)?,
            gate: zeros(stored(matches!(config.fusion, Fusion::Input | Fusion::Average), p))?,
            gate_gradient: gradient(stored(matches!(config.fusion, Fusion::Input | Fusion::Static), p))?,
            layers: widths.iter().map(|&width| zeros(width)).collect::<Result<_>>()?,
            layer_gradients: widths.iter().map(|&width| gradient(width)).collect::<Result<_>>()?,
        })
    }

    /// The first `n` pairs of each run.
    pub(super) fn rows(&self, n: usize) -> Rows {
        Rows { runs: self.runs, capacity: self.capacity, n }
    }
}

impl<B: Memory> Workspace<B, f32> {
    /// Where the first `n` pairs of each run go; with their labels where there is a training.
    pub fn batch(&mut self, backend: &B, config: &FusionConfig, n: usize, labelled: bool) -> PairBatch<'_, B> {
        let rows = self.rows(n);
        PairBatch {
            partner: rows.of_mut(backend, &mut self.partner, config.d_partner),
            rna: rows.of_mut(backend, &mut self.rna, config.d_rna),
            labels: labelled.then(|| rows.of_mut(backend, &mut self.labels, config.n_outputs)),
        }
    }
}

impl<B: Memory, T: Real> Workspace<B, T> {
    /// The logits of the last batch of `n` pairs, run after run with `capacity` pairs each; the last run has `n`.
    pub fn logits(&self, backend: &B, n: usize, n_outputs: usize) -> B::View<'_, T> {
        self.rows(n).of(backend, &self.layers[self.layers.len() - 1], n_outputs).view
    }
}

/// The first `n` of `capacity` rows of each run.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    runs: usize,
    capacity: usize,
    n: usize,
}

impl Rows {
    pub fn of<'a, B: Memory, T: Real>(self, backend: &B, buffer: &'a B::Buffer<T>, width: usize) -> Stack<'a, B, T> {
        Stack::at(backend, buffer, 0, self.capacity * width, [self.runs, self.n, width])
    }

    pub fn of_mut<'a, B: Memory, T: Real>(
        self,
        backend: &B,
        buffer: &'a mut B::Buffer<T>,
        width: usize,
    ) -> StackMut<'a, B, T> {
        StackMut::at(backend, buffer, 0, self.capacity * width, [self.runs, self.n, width])
    }

    /// One row of each run.
    pub fn one<'a, B: Memory, T: Real>(self, backend: &B, buffer: &'a B::Buffer<T>, width: usize) -> Stack<'a, B, T> {
        Self { n: 1, ..self }.of(backend, buffer, width)
    }
}
