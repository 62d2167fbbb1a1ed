//! Batch norm as it is at inference: each column shifted and scaled by stored statistics.

mod cpu;
mod cuda;

use crate::backend::{Activation, Matrix, MatrixMut, Memory, expect_shape};
use crate::error::Result;

/// Rows of the statistics that [`batch_norm`] reads.
pub const STATISTICS: usize = 3;

/// The device side of [`batch_norm`].
pub trait BatchNorm: Memory {
    /// See [`batch_norm`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn batch_norm_raw<A: Activation>(
        &self,
        cols: usize,
        y: Self::ViewMut<'_, A>,
        statistics: Self::View<'_, f32>,
        relu: bool,
    ) -> Result<()>;
}

/// `y ← relu((y − mean)·scale + shift)` in place, without the ReLU where `relu` is false; `y [n, width]`.
///
/// `statistics [3, width]`: the running mean, `scale = γ / √(running variance + ε)`, and the shift β.
///
/// # Errors
/// When the widths differ.
pub fn batch_norm<B: BatchNorm, A: Activation>(
    backend: &B,
    y: MatrixMut<'_, B, A>,
    statistics: Matrix<'_, B, f32>,
    relu: bool,
) -> Result<()> {
    expect_shape("batch_norm", "statistics", [STATISTICS, y.cols], statistics.shape())?;
    backend.batch_norm_raw(y.cols, y.view, statistics.view, relu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Cpu, Isa};

    fn run<B: BatchNorm>(backend: &B, y: &[f32], statistics: &[f32], relu: bool) -> Vec<f32> {
        let cols = statistics.len() / STATISTICS;
        let (mut out, statistics) = (backend.uploaded(y).unwrap(), backend.uploaded(statistics).unwrap());
        let out_matrix = MatrixMut::of(backend, &mut out, y.len() / cols, cols);
        batch_norm(backend, out_matrix, Matrix::of(backend, &statistics, STATISTICS, cols), relu).unwrap();
        let mut host = y.to_vec();
        backend.download(backend.view(&out, 0..y.len()), &mut host).unwrap();
        host
    }

    fn by_hand<B: BatchNorm>(backend: &B) {
        let (y, statistics) = ([3.0, -1.0, 1.0, 5.0], [1.0, 2.0, 0.5, -2.0, -1.0, 0.25]);
        assert_eq!(run(backend, &y, &statistics, false), [0.0, 6.25, -1.0, -5.75]);
        assert_eq!(run(backend, &y, &statistics, true), [0.0, 6.25, 0.0, 0.0]);
        assert!(run(backend, &[], &statistics, true).is_empty());
    }

    fn random_rows<B: BatchNorm>(backend: &B) {
        for (rows, cols) in [(1, 1), (5, 7), (300, 300)] {
            let numbers = |n: usize, step: f32| (0..n).map(|i| (i as f32 * step).sin()).collect::<Vec<_>>();
            let (y, statistics) = (numbers(rows * cols, 0.37), numbers(STATISTICS * cols, 1.7));
            for (i, found) in run(backend, &y, &statistics, true).into_iter().enumerate() {
                let of = |row: usize| f64::from(statistics[row * cols + i % cols]);
                let expected = ((f64::from(y[i]) - of(0)) * of(1) + of(2)).max(0.0);
                // Three roundings of numbers below 4.
                assert!((f64::from(found) - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
    }

    fn other_widths_are_refused<B: BatchNorm>(backend: &B) {
        let (mut y, statistics) = (backend.zeros::<f32>(8).unwrap(), backend.zeros(12).unwrap());
        let y = MatrixMut::of(backend, &mut y, 2, 4);
        assert!(batch_norm(backend, y, Matrix::of(backend, &statistics, 4, 3), false).is_err());
    }

    #[test]
    fn cpu() {
        for backend in Isa::available().map(|isa| Cpu { threads: 1, isa }) {
            by_hand(&backend);
            random_rows(&backend);
            other_widths_are_refused(&backend);
        }
    }
}
