//! Launches `kernels/gated_fusion.cu`: a block for each tile of pairs.

use super::{FusionInputs, FusionShape, GatedFusion};
use crate::backend::cuda::{Argument, CudaView, CudaViewMut, Grid};
use crate::backend::{Activation, Cuda};
use crate::error::{Error, Result};

/// Pairs of a tile, the largest first: it reads the weights once for all of its pairs.
const TILES: [usize; 3] = [32, 16, 8];

impl Argument for FusionShape {}

impl Cuda {
    /// The largest tile that fits into shared memory and leaves no multiprocessor without one.
    pub(in crate::ops) fn tile(&self, n_pairs: usize, bytes: impl Fn(usize) -> usize) -> Result<usize> {
        let info = self.info();
        let smallest = TILES[TILES.len() - 1];
        let serves = |tile: &usize| {
            bytes(*tile) <= info.shared_bytes && (*tile == smallest || n_pairs.div_ceil(*tile) >= info.multiprocessors)
        };
        TILES.into_iter().find(serves).ok_or_else(|| {
            Error::data(
                format!(
                    "this network is too wide for {info}: {smallest} pairs need {} bytes of shared memory, and it has {}",
                    bytes(smallest),
                    info.shared_bytes
                ),
                "choose --device cpu, or train a network with narrower projections",
            )
        })
    }
}

impl GatedFusion for Cuda {
    fn pairs_together(&self) -> usize {
        1 << 14
    }

    fn gated_fusion_raw<A: Activation>(
        &self,
        shape: &FusionShape,
        inputs: &FusionInputs<'_, Self, A>,
        logits: CudaViewMut<'_, f32>,
        gate_mean: Option<CudaViewMut<'_, f32>>,
    ) -> Result<()> {
        let n_pairs = inputs.pairs.len();
        let bytes = |tile| shape.shared_bytes(size_of::<A>(), tile);
        let tile = self.tile(n_pairs, bytes)?;
        let grid = Grid { blocks: [n_pairs.div_ceil(tile), 1], threads: 256, shared: bytes(tile) };
        let mut shape = *shape;
        shape.n_pairs = n_pairs as u32;
        let (pairs, parameters, tile) = (inputs.pairs.view(self), inputs.parameters.view, tile as i32);
        let no_mean = CudaView::<f32>::null();
        let gate_mean: &dyn Argument = gate_mean.as_ref().map_or(&no_mean, |mean| mean);
        let arguments: [&dyn Argument; 8] =
            [&inputs.partner.view, &inputs.rna.view, &pairs, &parameters, &logits, gate_mean, &shape, &tile];
        self.launch("gated_fusion", &format!("gated_fusion_{}", A::NAME), grid, &arguments)
    }
}
