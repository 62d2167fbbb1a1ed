//! Launches `kernels/batch_norm.cu`: a thread for 4 rows and 8 columns.

use super::BatchNorm;
use crate::backend::cuda::{CudaView, CudaViewMut, Grid};
use crate::backend::{Activation, Cuda};
use crate::error::Result;

impl BatchNorm for Cuda {
    fn batch_norm_raw<A: Activation>(
        &self,
        cols: usize,
        y: CudaViewMut<'_, A>,
        statistics: CudaView<'_, f32>,
        relu: bool,
    ) -> Result<()> {
        let n_rows = y.len().checked_div(cols).unwrap_or(0);
        let grid = Grid { blocks: [(n_rows.div_ceil(4) * (cols / 8)).div_ceil(256), 1], threads: 256, shared: 0 };
        let kernel = format!("batch_norm_{}", A::NAME);
        let [n_rows, cols] = [n_rows, cols].map(|n| n as i32);
        self.launch("batch_norm", &kernel, grid, &[&y, &statistics, &n_rows, &cols, &i32::from(relu)])
    }
}
