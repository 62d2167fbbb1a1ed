//! Memory of the activations and their gradients, allocated once per batch size.

use super::config::{Fusion, FusionConfig, Projection};
use crate::backend::{Memory, Real};
use crate::error::Result;

/// Activations of one batch of at most `capacity` pairs.
///
/// The caller writes `partner [n, d_a]` and `rna [n, d_b]`, runs the network and reads `logits [n, n_outputs]`.
pub struct Workspace<B: Memory, T: Real> {
    /// Most pairs of a batch.
    pub capacity: usize,
    /// Partner vectors `[n, d_a]`.
    pub partner: B::Buffer<T>,
    /// RNA vectors `[n, d_b]`.
    pub rna: B::Buffer<T>,
    /// Labels `[n, n_outputs]`, training only.
    pub labels: B::Buffer<T>,
    /// Projected operands where there is a projection, and their gradients.
    pub(super) projected: [B::Buffer<T>; 2],
    pub(super) projected_gradient: [B::Buffer<T>; 2],
    /// `[p|r]` for the input-dependent gate, and its gradient.
    pub(super) joined: B::Buffer<T>,
    pub(super) joined_gradient: B::Buffer<T>,
    /// Logits of the input-dependent gate, and their gradient; a row of zeros for the average.
    pub(super) gate: B::Buffer<T>,
    pub(super) gate_gradient: B::Buffer<T>,
    /// What the head reads, then the output of each of its layers; the last one is the logits.
    pub(super) layers: Vec<B::Buffer<T>>,
    pub(super) layer_gradients: Vec<B::Buffer<T>>,
}

impl<B: Memory, T: Real> Workspace<B, T> {
    /// Memory for batches of at most `capacity` pairs; the gradients only where `training`.
    ///
    /// # Errors
    /// When the device has no memory left.
    pub fn new(backend: &B, config: &FusionConfig, capacity: usize, training: bool) -> Result<Self> {
        let zeros = |width: usize| backend.zeros::<T>(capacity * width);
        let gradient = |width: usize| zeros(if training { width } else { 0 });
        let (p, r) = (config.partner_width(), config.rna_width());
        let stored = |projected: bool, width: usize| if projected { width } else { 0 };
        let partner_stored = stored(matches!(config.projection, Projection::Both(_)), p);
        let rna_stored = stored(config.projection != Projection::None, r);
        let joined = stored(config.fusion == Fusion::Input, p + r);
        let gate = if config.fusion == Fusion::Concat { 0 } else { p };
        let widths: Vec<usize> =
            [config.fused_width()].into_iter().chain(config.head.iter().copied()).chain([config.n_outputs]).collect();
        Ok(Self {
            capacity,
            partner: zeros(config.d_partner)?,
            rna: zeros(config.d_rna)?,
            labels: gradient(config.n_outputs)?,
            projected: [zeros(partner_stored)?, zeros(rna_stored)?],
            projected_gradient: [gradient(p)?, gradient(r)?],
            joined: zeros(joined)?,
            joined_gradient: gradient(joined)?,
            gate: zeros(gate)?,
            gate_gradient: gradient(gate)?,
            layers: widths.iter().map(|&width| zeros(width)).collect::<Result<_>>()?,
            layer_gradients: widths.iter().map(|&width| gradient(width)).collect::<Result<_>>()?,
        })
    }

    /// The logits of the last batch, `[n, n_outputs]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn download_logits(&self, backend: &B, n: usize, n_outputs: usize) -> Result<Vec<T>> {
        let mut host = vec![T::ZERO; n * n_outputs];
        if let Some(logits) = self.layers.last() {
            backend.download(backend.view(logits, 0..host.len()), &mut host)?;
        }
        Ok(host)
    }
}
