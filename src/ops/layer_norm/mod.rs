//! Layer normalisation.

mod cpu;
mod cuda;
pub mod e4m3;

use crate::backend::{Activation, Matrix, MatrixMut, Memory, expect_shape};
use crate::error::Result;

/// The device side of [`layer_norm`].
pub trait LayerNorm: Memory {
    /// See [`layer_norm`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn layer_norm_raw<A: Activation>(
        &self,
        x: Self::View<'_, A>,
        weight: Self::View<'_, f32>,
        bias: Self::View<'_, f32>,
        eps: f32,
        y: MatrixMut<'_, Self, A>,
    ) -> Result<()>;
}

/// `y = (x − mean) / √(variance + eps) · weight + bias` over each row, with the biased variance:
/// `x`, `y` `[n_rows, d]`, `weight`, `bias` `[1, d]`.
///
/// # Errors
/// When the shapes differ.
pub fn layer_norm<B: LayerNorm, A: Activation>(
    backend: &B,
    x: Matrix<'_, B, A>,
    weight: Matrix<'_, B, f32>,
    bias: Matrix<'_, B, f32>,
    eps: f32,
    y: MatrixMut<'_, B, A>,
) -> Result<()> {
    expect_shape("layer_norm", "x", y.shape(), x.shape())?;
    expect_shape("layer_norm", "weight", [1, y.cols], weight.shape())?;
    expect_shape("layer_norm", "bias", [1, y.cols], bias.shape())?;
    backend.layer_norm_raw(x.view, weight.view, bias.view, eps, y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;

    fn run(d: usize, x: &[f32], weight: &[f32], bias: &[f32], eps: f32) -> Vec<f32> {
        let backend = Cpu::with_threads(2);
        let (x, weight, bias) = (x.to_vec(), weight.to_vec(), bias.to_vec());
        let rows = x.len() / d;
        let mut y = vec![0.0; x.len()];
        layer_norm(
            &backend,
            Matrix::of(&backend, &x, rows, d),
            Matrix::of(&backend, &weight, 1, d),
            Matrix::of(&backend, &bias, 1, d),
            eps,
            MatrixMut::of(&backend, &mut y, rows, d),
        )
        .unwrap();
        y
    }

    #[test]
    fn a_row_by_hand() {
        // Mean 2, variance 1.
        let y = run(2, &[1.0, 3.0], &[2.0, 10.0], &[0.5, 0.0], 0.0);
        assert_eq!(y, [-1.5, 10.0]);
    }

    #[test]
    fn rows_agree_with_f64_and_a_constant_row_is_the_bias() {
        for d in [1, 7, 24, 64, 320, 1283] {
            let mut x: Vec<f32> = (0..3 * d).map(|i| ((i * 7919) % 1013) as f32 / 97.0 + 100.0).collect();
            x[2 * d..].fill(3.5);
            let weight: Vec<f32> = (0..d).map(|i| 1.0 + (i % 5) as f32 / 8.0).collect();
            let bias: Vec<f32> = (0..d).map(|i| (i % 3) as f32).collect();
            let y = run(d, &x, &weight, &bias, 1e-5);
            for (x, y) in x.chunks(d).zip(y.chunks(d)) {
                let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / d as f64;
                let variance = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / d as f64;
                for i in 0..d {
                    let expected =
                        (f64::from(x[i]) - mean) / (variance + 1e-5).sqrt() * f64::from(weight[i]) + f64::from(bias[i]);
                    // The mean of numbers near 100 is rounded at 8e-6, of a spread of 3: measured 4e-6.
                    assert!((f64::from(y[i]) - expected).abs() < 2e-5, "d {d}: {} for {expected}", y[i]);
                }
            }
            assert_eq!(&y[2 * d..], bias);
        }
    }
}
