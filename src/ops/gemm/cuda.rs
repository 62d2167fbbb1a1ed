//! Launches `kernels/gemm.cu`: a block for each tile of each run.

use super::{Gemm, Product};
use crate::backend::cuda::{Argument, Grid};
use crate::backend::{Cuda, Stack, StackMut};
use crate::error::Result;

/// Rows of a tile.
const ROWS: usize = 32;
/// Warps of a block, stages of each, terms of a stage.
const WARPS: usize = 4;
const STAGES: usize = 3;
const DEPTH: usize = 16;

/// Shared memory of a block: stages of both operands for each warp, rows of terms with 4 numbers between.
fn shared_bytes(product: Product, columns: usize) -> usize {
    let b = if product == Product::Nt { columns * (DEPTH + 4) } else { DEPTH * columns };
    size_of::<f32>() * WARPS * STAGES * (ROWS * (DEPTH + 4) + b)
}

impl Gemm<f32> for Cuda {
    fn gemm_raw(
        &self,
        product: Product,
        a: Stack<'_, Self, f32>,
        b: Stack<'_, Self, f32>,
        c: StackMut<'_, Self, f32>,
    ) -> Result<()> {
        let blocks = |columns: usize| c.rows.div_ceil(ROWS) * c.cols.div_ceil(columns);
        // Wide tiles read the rows half as often; narrow ones are twice as many. Both give the same bits.
        let columns = if c.runs * blocks(64) >= 2 * self.info().multiprocessors { 64 } else { 32 };
        let shared = shared_bytes(product, columns);
        let grid = Grid { blocks: [blocks(columns), c.runs], threads: 32 * WARPS as u32, shared };
        let kernel = format!("gemm_{}_{columns}", if product == Product::Nt { "nt" } else { "nn" });
        let [m, n, k] = [c.rows, c.cols, a.cols].map(|size| size as i32);
        let strides = [a.stride, b.stride, c.stride].map(|stride| stride as u32);
        let arguments: [&dyn Argument; 9] =
            [&a.view, &b.view, &c.view, &m, &n, &k, &strides[0], &strides[1], &strides[2]];
        self.launch("gemm", &kernel, grid, &arguments)
    }
}
