//! Launches `kernels/linear_wgmma.cu` and its like: as many blocks as multiprocessors, which go through the tiles of outputs.

use half::f16;

use super::LinearWeights;
use super::cuda::Extras;
use super::cuda_tiles::Tiles;
use super::cuda_weights::CudaWeights;
use crate::backend::cuda::{Argument, CudaView, CudaViewMut, Grid, TensorCores};
use crate::backend::{Activation, Cuda, Element};
use crate::error::Result;

/// Bytes of shared memory of a block: `Memory` of the kernel.
const SHARED: usize = (192 << 10) + (32 << 10) + 128;

/// The kernel of an epilogue; `None` where there is only that of `kernels/linear.cu`. It may not depend on the number of
/// rows: a row has the same bits in any batch.
pub(super) fn kernel_of(epilogue: &str, d_head: usize) -> Option<String> {
    match (epilogue, d_head) {
        ("rope", _) if TensorCores::WGMMA_HEADS.contains(&d_head) => Some(format!("rope{d_head}")),
        ("store" | "gelu" | "add" | "swiglu", _) => Some(epilogue.to_owned()),
        _ => None,
    }
}

impl Cuda {
    /// `None` where the layer is not one for products of warpgroups.
    pub(super) fn linear_by_warpgroups<A: Activation>(
        &self,
        epilogue: &str,
        n_rows: usize,
        x: CudaView<'_, A>,
        weights: &CudaWeights,
        extras: &Extras<'_>,
        y: &CudaViewMut<'_, A>,
    ) -> Option<Result<()>> {
        if self.info().tensor_cores != TensorCores::Wgmma || A::NAME != "f16" {
            return None;
        }
        let (kernel, values) = kernel_of(epilogue, extras.d_head).zip(weights.halves(self))?;
        let (x, y) = (x.cast::<f16>(), y.shared().cast::<f16>());
        Some(self.launch_wgmma(("linear_wgmma", &kernel), n_rows, x, weights, values, extras, y, &[]))
    }

    /// A kernel of a file over `kernels/linear_wgmma.cuh`; `last` are the arguments that it has beside theirs.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn launch_wgmma<T: Element, Y: Element>(
        &self,
        (file, kernel): (&'static str, &str),
        m: usize,
        x: CudaView<'_, T>,
        weights: &CudaWeights,
        values: CudaView<'_, T>,
        extras: &Extras<'_>,
        y: CudaView<'_, Y>,
        last: &[&dyn Argument],
    ) -> Result<()> {
        let (n, k) = (weights.n_rows(), weights.d_in());
        if m == 0 || n == 0 {
            return Ok(());
        }
        let multiprocessors = self.info().multiprocessors;
        // What a product costs goes by the bytes of its operands.
        let tiles = Tiles::of(multiprocessors, [m, n, k * size_of::<T>() / size_of::<f16>()], kernel)?;
        let width = if kernel == "swiglu" { n / 2 } else { n };
        let x = self.tensor_map(x, [m, k], tiles.rows)?;
        let values = self.tensor_map(values, [n, k], tiles.columns / tiles.cluster)?;
        let y_map = self.tensor_map(y, [m, width], 64)?;
        let grid = Grid { blocks: [tiles.blocks(m, n, multiprocessors), 1], threads: 384, shared: SHARED };
        let (bias, beta) = (weights.bias(self), weights.beta().unwrap_or(1.0));
        let [m, n, k] = [m, n, k].map(|size| size as i32);
        let Extras { positions, cos, sin, scale, .. } = extras;
        let arguments: [&dyn Argument; 13] =
            [&x, &values, &y_map, &bias, &y, &m, &n, &k, &beta, positions, cos, sin, scale];
        let kernel = format!("{file}_{kernel}_{}", tiles.suffix);
        self.launch(file, &kernel, grid, &[&arguments[..], last].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_heads_and_epilogues_go_another_way() {
        assert_eq!(kernel_of("rope", 64).as_deref(), Some("rope64"));
        assert_eq!(kernel_of("rope", 24), None);
        assert_eq!(kernel_of("relu", 0), None);
    }
}
