//! Launches `kernels/layer_norm_e4m3.cu`: a warp for each row.

use super::{LayerNormE4m3, Normalised};
use crate::backend::cuda::{CudaView, Grid};
use crate::backend::{Activation, Cuda, Matrix, MatrixMut};
use crate::error::{Error, Result};

/// Bytes that a row is a multiple of.
const PIECE: usize = 16;

impl LayerNormE4m3 for Cuda {
    fn layer_norm_e4m3_raw<A: Activation>(
        &self,
        x: Matrix<'_, Self, A>,
        weight: CudaView<'_, f32>,
        bias: CudaView<'_, f32>,
        eps: f32,
        y: Normalised<'_, Self>,
        kept: Option<MatrixMut<'_, Self, A>>,
    ) -> Result<()> {
        if A::NAME != "f16" || !x.cols.is_multiple_of(PIECE) {
            return Err(Error::Shape {
                op: "layer_norm_e4m3",
                expected: format!("rows in f16 of a multiple of {PIECE} numbers"),
                found: format!("rows in {} of {}", A::NAME, x.cols),
            });
        }
        let grid = Grid { blocks: [x.rows.div_ceil(4), 1], threads: 128, shared: 0 };
        let kept = kept.as_ref().map_or(CudaView::null(), |kept| kept.view.shared());
        let [rows, cols] = [x.rows as i32, x.cols as i32];
        let (values, scales) = (y.values.view, y.scales.view);
        self.launch(
            "layer_norm_e4m3",
            "layer_norm_e4m3",
            grid,
            &[&x.view, &weight, &bias, &values, &scales, &kept, &rows, &cols, &eps],
        )
    }
}
