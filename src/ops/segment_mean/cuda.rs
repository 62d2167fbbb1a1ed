//! Launches `kernels/segment_mean.cu`: a block for each segment and 256 columns.

use super::SegmentMean;
use crate::backend::cuda::{CudaView, Grid};
use crate::backend::{Activation, Cuda, MatrixMut};
use crate::error::Result;

impl SegmentMean for Cuda {
    fn segment_mean_raw<A: Activation>(
        &self,
        x: CudaView<'_, A>,
        segments: CudaView<'_, u32>,
        means: MatrixMut<'_, Self, f32>,
    ) -> Result<()> {
        let grid = Grid { blocks: [means.rows, means.cols.div_ceil(256)], threads: 256, shared: 8192 };
        let kernel = format!("segment_mean_{}", A::NAME);
        let sizes = [means.rows as i32, means.cols as i32];
        self.launch("segment_mean", &kernel, grid, &[&x, &segments, &means.view, &sizes[0], &sizes[1]])
    }
}
