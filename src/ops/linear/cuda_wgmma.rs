//! Launches `kernels/linear_wgmma.cu` and its like: as many blocks as multiprocessors, which go through the tiles of outputs.

use std::sync::OnceLock;

use half::f16;

use super::LinearWeights;
use super::cuda::Extras;
use super::cuda_weights::CudaWeights;
use crate::backend::cuda::{Argument, CudaView, CudaViewMut, Grid, TensorCores};
use crate::backend::{Activation, Cuda, Element};
use crate::error::Result;

/// Bytes of shared memory of a block: `Memory` of the kernel.
const SHARED: usize = (192 << 10) + (32 << 10) + 128;
/// From this depth on the product of a tile is long beside what follows it: the tile of 256 columns, which reads a quarter
/// less of its operands, need not hide it. Chosen by the counts in `docs/PERFORMANCE.md`; not yet measured on a device.
const LONG: usize = 2560;

/// A tile of outputs, by the suffix of its kernels, and how many blocks below each other share the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    suffix: &'static str,
    rows: usize,
    columns: usize,
    cluster: usize,
}

const WIDE: Plan = Plan { suffix: "256", rows: 128, columns: 256, cluster: 1 };
const SQUARE: Plan = Plan { suffix: "128", rows: 128, columns: 128, cluster: 1 };
const SMALL: Plan = Plan { suffix: "64", rows: 64, columns: 128, cluster: 1 };
const WIDE_PAIR: Plan = Plan { suffix: "256x2", cluster: 2, ..WIDE };
const SQUARE_PAIR: Plan = Plan { suffix: "128x2", cluster: 2, ..SQUARE };

impl Plan {
    /// What `BIOLLMNET_LINEAR_TILE` asks for, by its suffix: to test and to measure them all.
    fn asked() -> Option<Self> {
        static ASKED: OnceLock<Option<Plan>> = OnceLock::new();
        *ASKED.get_or_init(|| {
            let suffix = std::env::var("BIOLLMNET_LINEAR_TILE").ok()?;
            [WIDE, SQUARE, SMALL, WIDE_PAIR, SQUARE_PAIR].into_iter().find(|plan| plan.suffix == suffix)
        })
    }

    fn tiles(self, m: usize, n: usize) -> usize {
        m.div_ceil(self.rows) * n.div_ceil(self.columns)
    }

    /// Blocks that go through them: whole clusters.
    fn blocks(self, m: usize, n: usize, multiprocessors: usize) -> usize {
        let wanted = m.div_ceil(self.rows).next_multiple_of(self.cluster) * n.div_ceil(self.columns);
        wanted.min(multiprocessors / self.cluster * self.cluster)
    }

    /// All give the same bits: small tiles where larger ones would leave multiprocessors without work. Pairs of blocks wait
    /// for a device to be measured on.
    fn of(multiprocessors: usize, [m, n, k]: [usize; 3], kernel: &str) -> Self {
        let has_small = !matches!(kernel, "swiglu" | "rope128");
        if let Some(asked) = Self::asked() {
            if asked == SMALL && !has_small { SQUARE } else { asked }
        } else if k >= LONG && WIDE.tiles(m, n) >= multiprocessors {
            WIDE
        } else if SQUARE.tiles(m, n) >= multiprocessors || !has_small {
            SQUARE
        } else {
            SMALL
        }
    }
}

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
        let plan = Plan::of(multiprocessors, [m, n, k * size_of::<T>() / size_of::<f16>()], kernel);
        let width = if kernel == "swiglu" { n / 2 } else { n };
        let x = self.tensor_map(x, [m, k], plan.rows)?;
        let values = self.tensor_map(values, [n, k], plan.columns / plan.cluster)?;
        let y_map = self.tensor_map(y, [m, width], 64)?;
        let grid = Grid { blocks: [plan.blocks(m, n, multiprocessors), 1], threads: 384, shared: SHARED };
        let (bias, beta) = (weights.bias(self), weights.beta().unwrap_or(1.0));
        let [m, n, k] = [m, n, k].map(|size| size as i32);
        let Extras { positions, cos, sin, scale, .. } = extras;
        let arguments: [&dyn Argument; 13] =
            [&x, &values, &y_map, &bias, &y, &m, &n, &k, &beta, positions, cos, sin, scale];
        let kernel = format!("{file}_{kernel}_{}", plan.suffix);
        self.launch(file, &kernel, grid, &[&arguments[..], last].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_fill_the_device_where_they_can() {
        let plan = |m, n, k, kernel| Plan::of(132, [m, n, k], kernel);
        // Whole waves of tokens of a language model, then one protein.
        assert_eq!(plan(16_896, 1280, 5120, "add"), WIDE);
        assert_eq!(plan(16_896, 5120, 1280, "gelu"), SQUARE);
        assert_eq!(plan(302, 1280, 5120, "add"), SMALL);
        assert_eq!(plan(302, 6912, 1280, "swiglu"), SQUARE);
        assert_eq!(plan(302, 3840, 1280, "rope128"), SQUARE);
    }

    #[test]
    fn blocks_come_in_whole_clusters() {
        assert_eq!(WIDE.blocks(300, 1000, 132), 12);
        assert_eq!(WIDE_PAIR.blocks(300, 1000, 132), 16);
        assert_eq!(WIDE_PAIR.blocks(16_896, 5120, 133), 132);
    }

    #[test]
    fn other_heads_and_epilogues_go_another_way() {
        assert_eq!(kernel_of("rope", 64).as_deref(), Some("rope64"));
        assert_eq!(kernel_of("rope", 24), None);
        assert_eq!(kernel_of("relu", 0), None);
    }
}
