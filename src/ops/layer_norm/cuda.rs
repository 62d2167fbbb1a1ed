//! Launches `kernels/layer_norm.cu`: a warp for each row.

use super::LayerNorm;
use crate::backend::cuda::{CudaView, Grid};
use crate::backend::{Activation, Cuda, MatrixMut};
use crate::error::Result;

impl LayerNorm for Cuda {
    fn layer_norm_raw<A: Activation>(
        &self,
        x: CudaView<'_, A>,
        weight: CudaView<'_, f32>,
        bias: CudaView<'_, f32>,
        eps: f32,
        y: MatrixMut<'_, Self, A>,
    ) -> Result<()> {
        let grid = Grid { blocks: [y.rows.div_ceil(4), 1], threads: 128, shared: 0 };
        let kernel = format!("layer_norm_{}", A::NAME);
        let sizes = [y.rows as i32, y.cols as i32];
        self.launch("layer_norm", &kernel, grid, &[&x, &weight, &bias, &y.view, &sizes[0], &sizes[1], &eps])
    }
}
