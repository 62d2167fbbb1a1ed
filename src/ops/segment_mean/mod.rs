//! Means over ranges of rows.

mod cpu;
mod cuda;

use crate::backend::{Activation, Matrix, MatrixMut, Memory, expect_shape};
use crate::error::Result;

/// The device side of [`segment_mean`].
pub trait SegmentMean: Memory {
    /// See [`segment_mean`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn segment_mean_raw<A: Activation>(
        &self,
        x: Self::View<'_, A>,
        segments: Self::View<'_, u32>,
        means: MatrixMut<'_, Self, f32>,
    ) -> Result<()>;
}

/// `means[s] = Σ x[segments[s, 0] .. segments[s, 1]] / length`: `x [n_tokens, d]`, `segments [n_segments, 2]` (first row,
/// and the row after the last), `means [n_segments, d]`. The order in which rows are added
/// depends on the length of the segment alone. The mean of no row is 0.
///
/// # Errors
/// When the shapes differ.
pub fn segment_mean<B: SegmentMean, A: Activation>(
    backend: &B,
    x: Matrix<'_, B, A>,
    segments: Matrix<'_, B, u32>,
    means: MatrixMut<'_, B, f32>,
) -> Result<()> {
    expect_shape("segment_mean", "x", [x.rows, means.cols], x.shape())?;
    expect_shape("segment_mean", "segments", [means.rows, 2], segments.shape())?;
    backend.segment_mean_raw(x.view, segments.view, means)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;

    #[test]
    fn means_of_ranges_by_hand() {
        let backend = Cpu::single();
        let x = vec![1f32, 10.0, 3.0, 30.0, 8.0, 80.0];
        let segments = vec![0, 2, 1, 3, 2, 3, 1, 1];
        let mut means = vec![7.0; 8];
        segment_mean(
            &backend,
            Matrix::of(&backend, &x, 3, 2),
            Matrix::of(&backend, &segments, 4, 2),
            MatrixMut::of(&backend, &mut means, 4, 2),
        )
        .unwrap();
        assert_eq!(means, [2.0, 20.0, 5.5, 55.0, 8.0, 80.0, 0.0, 0.0]);
    }
}
