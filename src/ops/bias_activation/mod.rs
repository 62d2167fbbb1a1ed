//! What follows a matrix product in the fusion network: bias, ReLU and dropout in one pass, and its gradient.
//!
//! Dropout masks come from a counter ([`Dropout`]), so that every device drops the same elements and nothing is stored.

mod cpu;
mod philox;

use crate::backend::{Matrix, MatrixMut, Memory, Real, expect_shape};
use crate::error::{Error, Result};

/// One dropout layer of one step: element `i` is dropped when word `i` of a Philox4x32-7 stream is below `rate·2³²`.
///
/// The stream's key is the seed and its counter is (block, layer, step): the same mask on every device and for any
/// number of threads. Kept elements are scaled by `1/(1 − rate)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Share of elements that are dropped, `0 ≤ rate < 1`.
    pub rate: f32,
    /// Seed of the training.
    pub seed: u64,
    /// Number of the layer in the network.
    pub layer: u32,
    /// Number of the step in the training.
    pub step: u32,
}

/// The device side of [`bias_activation`] and [`bias_activation_gradient`].
pub trait BiasActivation: Memory {
    /// See [`bias_activation`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn bias_activation_raw<T: Real>(
        &self,
        cols: usize,
        y: Self::ViewMut<'_, T>,
        bias: Self::View<'_, T>,
        relu: bool,
        dropout: Option<Dropout>,
    ) -> Result<()>;

    /// See [`bias_activation_gradient`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn bias_activation_gradient_raw<T: Real>(
        &self,
        cols: usize,
        relu_scale: Option<T>,
        y: Self::View<'_, T>,
        dy: Self::ViewMut<'_, T>,
        dbias: Self::ViewMut<'_, T>,
    ) -> Result<()>;
}

/// `y ← dropout(relu(y + bias))` in place; `y [n, width]`, `bias [1, width]`.
///
/// # Errors
/// When the widths differ or the rate is not in `[0, 1)`.
pub fn bias_activation<B: BiasActivation, T: Real>(
    backend: &B,
    y: MatrixMut<'_, B, T>,
    bias: Matrix<'_, B, T>,
    relu: bool,
    dropout: Option<Dropout>,
) -> Result<()> {
    expect_shape("bias_activation", "bias", [1, y.cols], bias.shape())?;
    let dropout = dropout.filter(|d| d.rate > 0.0);
    if let Some(d) = dropout.filter(|d| d.rate >= 1.0) {
        return Err(Error::Shape {
            op: "bias_activation",
            expected: "a dropout rate in [0, 1)".into(),
            found: d.rate.to_string(),
        });
    }
    backend.bias_activation_raw(y.cols, y.view, bias.view, relu, dropout)
}

/// Gradient of [`bias_activation`]: `dy ← dy ⊙ ∂y`, `dbias = Σ_rows dy`.
///
/// `relu_rate` is `Some(dropout rate)` behind a ReLU: the stored output `y` is zero exactly where the ReLU or the dropout
/// closed, and where it is open the slope is `1/(1 − rate)`. `None` is a plain bias, whose slope is 1.
///
/// # Errors
/// When the shapes differ.
pub fn bias_activation_gradient<B: BiasActivation, T: Real>(
    backend: &B,
    relu_rate: Option<f32>,
    y: Matrix<'_, B, T>,
    dy: MatrixMut<'_, B, T>,
    dbias: MatrixMut<'_, B, T>,
) -> Result<()> {
    expect_shape("bias_activation_gradient", "dy", y.shape(), dy.shape())?;
    expect_shape("bias_activation_gradient", "dbias", [1, y.cols], dbias.shape())?;
    let scale = relu_rate.map(|rate| keep_scale::<T>(rate));
    backend.bias_activation_gradient_raw(y.cols, scale, y.view, dy.view, dbias.view)
}

/// `1/(1 − rate)`, by which kept elements are scaled.
fn keep_scale<T: Real>(rate: f32) -> T {
    T::ONE / (T::ONE - T::from_f64(f64::from(rate)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;

    fn run(y: &[f64], bias: &[f64], relu: bool, dropout: Option<Dropout>) -> Vec<f64> {
        let backend = Cpu::single();
        let mut out = y.to_vec();
        let (bias, cols) = (bias.to_vec(), bias.len());
        let rows = y.len() / cols;
        bias_activation(
            &backend,
            MatrixMut::of(&backend, &mut out, rows, cols),
            Matrix::of(&backend, &bias, 1, cols),
            relu,
            dropout,
        )
        .unwrap();
        out
    }

    #[test]
    fn by_hand() {
        assert_eq!(run(&[1.0, -2.0, 3.0, 0.5], &[0.5, 1.0], true, None), [1.5, 0.0, 3.5, 1.5]);
        assert_eq!(run(&[1.0, -2.0], &[0.5, 1.0], false, None), [1.5, -1.0]);
    }

    #[test]
    fn dropout_keeps_the_mean_and_drops_the_stated_share() {
        let n = 200_000;
        for rate in [0.1f32, 0.5] {
            let dropout = Dropout { rate, seed: 7, layer: 1, step: 3 };
            let y = run(&vec![1.0; n], &[0.0; 8], true, Some(dropout));
            let dropped = y.iter().filter(|&&v| v == 0.0).count() as f64 / n as f64;
            // Six standard deviations of a binomial share at n = 200 000 are below 0.007.
            assert!((dropped - f64::from(rate)).abs() < 0.007, "{dropped}");
            let mean = y.iter().sum::<f64>() / n as f64;
            assert!((mean - 1.0).abs() < 0.014, "{mean}");
        }
    }

    #[test]
    fn masks_differ_by_step_layer_and_seed_and_do_not_depend_on_the_batch() {
        let base = Dropout { rate: 0.5, seed: 7, layer: 1, step: 3 };
        let mask = |d: Dropout, n: usize| run(&vec![1.0; n], &[0.0; 4], true, Some(d));
        let first = mask(base, 400);
        assert_eq!(first[..100], mask(base, 100)[..]);
        for other in [Dropout { step: 4, ..base }, Dropout { layer: 2, ..base }, Dropout { seed: 8, ..base }] {
            assert_ne!(first, mask(other, 400));
        }
    }

    #[test]
    fn gradient_passes_where_the_output_is_open() {
        let backend = Cpu::single();
        let (y, mut dy, mut dbias) = (vec![0.0, 2.0, 4.0, 0.0], vec![1.0, 1.0, 3.0, 5.0], vec![9.0f64; 2]);
        bias_activation_gradient(
            &backend,
            Some(0.5),
            Matrix::of(&backend, &y, 2, 2),
            MatrixMut::of(&backend, &mut dy, 2, 2),
            MatrixMut::of(&backend, &mut dbias, 1, 2),
        )
        .unwrap();
        assert_eq!(dy, [0.0, 2.0, 6.0, 0.0]);
        assert_eq!(dbias, [6.0, 2.0]);
    }

    #[test]
    fn a_rate_of_one_is_refused() {
        let backend = Cpu::single();
        let (mut y, bias) = (vec![1f32; 4], vec![0f32; 2]);
        let dropout = Dropout { rate: 1.0, seed: 0, layer: 0, step: 0 };
        let y = MatrixMut::of(&backend, &mut y, 2, 2);
        assert!(bias_activation(&backend, y, Matrix::of(&backend, &bias, 1, 2), true, Some(dropout)).is_err());
    }
}
