//! Loss of a batch of pairs and its gradient.

mod cpu;

use serde::{Deserialize, Serialize};

use crate::backend::{Matrix, MatrixMut, Memory, Real, expect_shape};
use crate::error::Result;

/// Which loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loss {
    /// Binary cross-entropy with logits, `log(1 + eᶻ) − y·z`.
    BinaryCrossEntropy,
    /// Squared error `(z − y)²`.
    SquaredError,
}

/// The device side of [`pair_loss`].
pub trait PairLoss: Memory {
    /// See [`pair_loss`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn pair_loss_raw<T: Real>(
        &self,
        loss: Loss,
        logits: Self::View<'_, T>,
        labels: Self::View<'_, T>,
        gradient: Self::ViewMut<'_, T>,
    ) -> Result<(f64, usize)>;
}

/// Sum of the loss over the known labels, and their number. Writes `∂(mean loss)/∂logits` to `gradient`.
/// A label that is NaN is unknown: it adds nothing and its gradient is 0. All operands `[n, n_labels]`.
///
/// # Errors
/// When the shapes differ.
pub fn pair_loss<B: PairLoss, T: Real>(
    backend: &B,
    loss: Loss,
    logits: Matrix<'_, B, T>,
    labels: Matrix<'_, B, T>,
    gradient: MatrixMut<'_, B, T>,
) -> Result<(f64, usize)> {
    expect_shape("pair_loss", "labels", logits.shape(), labels.shape())?;
    expect_shape("pair_loss", "gradient", logits.shape(), gradient.shape())?;
    backend.pair_loss_raw(loss, logits.view, labels.view, gradient.view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;

    fn run(loss: Loss, logits: &[f64], labels: &[f64]) -> (f64, usize, Vec<f64>) {
        let backend = Cpu::single();
        let (z, y, mut g) = (logits.to_vec(), labels.to_vec(), vec![7.0; logits.len()]);
        let n = z.len();
        let (sum, known) = pair_loss(
            &backend,
            loss,
            Matrix::of(&backend, &z, n, 1),
            Matrix::of(&backend, &y, n, 1),
            MatrixMut::of(&backend, &mut g, n, 1),
        )
        .unwrap();
        (sum, known, g)
    }

    #[test]
    fn by_hand() {
        let (sum, known, g) = run(Loss::BinaryCrossEntropy, &[0.0, 0.0], &[1.0, 0.0]);
        assert!((sum - 2.0 * 2f64.ln()).abs() < 1e-15);
        assert_eq!((known, g), (2, vec![-0.25, 0.25]));
        let (sum, _, g) = run(Loss::SquaredError, &[3.0, 1.0], &[1.0, 1.0]);
        assert_eq!((sum, g), (4.0, vec![2.0, 0.0]));
    }

    #[test]
    fn extreme_logits_stay_finite() {
        let (sum, _, g) = run(Loss::BinaryCrossEntropy, &[1000.0, -1000.0], &[0.0, 0.0]);
        assert!((sum - 1000.0).abs() < 1e-9);
        assert_eq!(g, [0.5, 0.0]);
    }

    #[test]
    fn unknown_labels_add_nothing() {
        let (sum, known, g) = run(Loss::BinaryCrossEntropy, &[0.0, 5.0], &[1.0, f64::NAN]);
        assert!((sum - 2f64.ln()).abs() < 1e-15);
        assert_eq!((known, g), (1, vec![-0.5, 0.0]));
        assert_eq!(run(Loss::BinaryCrossEntropy, &[1.0], &[f64::NAN]), (0.0, 0, vec![0.0]));
    }

    #[test]
    fn gradient_by_central_differences() {
        let (logits, labels, h) = ([0.3, -1.2, 2.0], [1.0, 0.0, 1.0], 1e-6);
        for loss in [Loss::BinaryCrossEntropy, Loss::SquaredError] {
            let (_, n, g) = run(loss, &logits, &labels);
            for i in 0..3 {
                let at = |d: f64| {
                    let mut z = logits;
                    z[i] += d;
                    run(loss, &z, &labels).0 / n as f64
                };
                assert!((g[i] - (at(h) - at(-h)) / (2.0 * h)).abs() < 1e-9);
            }
        }
    }
}
