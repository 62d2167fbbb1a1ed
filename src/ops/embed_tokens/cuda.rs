//! Launches `kernels/embed_tokens.cu`: a warp for each token.

use super::EmbedTokens;
use crate::backend::cuda::{CudaView, Grid};
use crate::backend::{Activation, Cuda, Matrix, MatrixMut};
use crate::error::Result;

impl EmbedTokens for Cuda {
    fn embed_tokens_raw<A: Activation>(
        &self,
        ids: CudaView<'_, u32>,
        scales: CudaView<'_, f32>,
        table: Matrix<'_, Self, f32>,
        x: MatrixMut<'_, Self, A>,
    ) -> Result<()> {
        let grid = Grid { blocks: [x.rows.div_ceil(8), 1], threads: 256, shared: 0 };
        let kernel = format!("embed_tokens_{}", A::NAME);
        let sizes = [x.rows as i32, x.cols as i32];
        self.launch("embed_tokens", &kernel, grid, &[&ids, &scales, &table.view, &x.view, &sizes[0], &sizes[1]])
    }
}
