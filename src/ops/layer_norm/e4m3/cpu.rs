//! CPU twin: the layer norm, then its rows one by one.

use super::super::LayerNorm;
use super::{LayerNormE4m3, Normalised};
use crate::backend::{Activation, Cpu, E4m3, Matrix, MatrixMut};
use crate::error::Result;

impl LayerNormE4m3 for Cpu {
    fn layer_norm_e4m3_raw<A: Activation>(
        &self,
        x: Matrix<'_, Self, A>,
        weight: &[f32],
        bias: &[f32],
        eps: f32,
        y: Normalised<'_, Self>,
        kept: Option<MatrixMut<'_, Self, A>>,
    ) -> Result<()> {
        let (rows, cols) = (x.rows, x.cols);
        let mut normed = vec![A::default(); rows * cols];
        self.layer_norm_raw(x.view, weight, bias, eps, MatrixMut { rows, cols, view: &mut normed })?;
        let wide = A::widened(&normed);
        let places = y.values.view.chunks_exact_mut(cols.max(1)).zip(y.scales.view);
        for (row, (to, scale)) in wide.chunks_exact(cols.max(1)).zip(places) {
            *scale = E4m3::quantise(row, to);
        }
        if let Some(kept) = kept {
            kept.view.copy_from_slice(&normed);
        }
        Ok(())
    }
}
