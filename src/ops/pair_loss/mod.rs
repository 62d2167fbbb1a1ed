//! Loss of a batch of pairs and its gradient.

mod cpu;
mod cuda;

use serde::{Deserialize, Serialize};

use crate::backend::{Memory, Real, Stack, StackMut, expect_shape};
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
pub trait PairLoss<T: Real>: Memory {
    /// See [`pair_loss`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn pair_loss_raw(
        &self,
        loss: Loss,
        logits: Stack<'_, Self, T>,
        labels: Stack<'_, Self, T>,
        gradient: StackMut<'_, Self, T>,
        totals: StackMut<'_, Self, f64>,
    ) -> Result<()>;
}

/// Loss of each run: writes `∂(mean loss over the known labels)/∂logits` to `gradient`, and adds the sum of the loss over
/// the known labels, and their number, to `totals [runs, 1, 2]`.
///
/// A label that is NaN is unknown: it adds nothing and its gradient is 0. The other operands are `[runs, n, n_labels]`. The
/// sum of a call is taken in f64 in an order that depends on the shape only.
///
/// # Errors
/// When the shapes differ.
pub fn pair_loss<B: PairLoss<T>, T: Real>(
    backend: &B,
    loss: Loss,
    logits: Stack<'_, B, T>,
    labels: Stack<'_, B, T>,
    gradient: StackMut<'_, B, T>,
    totals: StackMut<'_, B, f64>,
) -> Result<()> {
    expect_shape("pair_loss", "labels", logits.shape(), labels.shape())?;
    expect_shape("pair_loss", "gradient", logits.shape(), gradient.shape())?;
    expect_shape("pair_loss", "totals", [logits.runs, 1, 2], totals.shape())?;
    backend.pair_loss_raw(loss, logits, labels, gradient, totals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;

    /// Sum, known labels and gradient of one run.
    fn run(loss: Loss, logits: &[f64], labels: &[f64]) -> (f64, usize, Vec<f64>) {
        let (totals, g) = runs(loss, logits, labels, 1);
        (totals[0], totals[1] as usize, g)
    }

    fn runs(loss: Loss, logits: &[f64], labels: &[f64], runs: usize) -> (Vec<f64>, Vec<f64>) {
        let backend = Cpu::single();
        let (z, y, mut g) = (logits.to_vec(), labels.to_vec(), vec![7.0; logits.len()]);
        let (n, mut totals) = (z.len() / runs, vec![0.0; 2 * runs]);
        let operand = |values| Stack::at(&backend, values, 0, n, [runs, n, 1]);
        let gradient = StackMut::at(&backend, &mut g, 0, n, [runs, n, 1]);
        let sums = StackMut::at(&backend, &mut totals, 0, 2, [runs, 1, 2]);
        pair_loss(&backend, loss, operand(&z), operand(&y), gradient, sums).unwrap();
        (totals, g)
    }

    #[test]
    fn each_run_has_its_own_mean_and_total() {
        let (totals, g) = runs(Loss::SquaredError, &[3.0, 1.0, 2.0, 0.0], &[1.0, f64::NAN, 1.0, 1.0], 2);
        assert_eq!((totals, g), (vec![4.0, 1.0, 2.0, 2.0], vec![4.0, 0.0, 1.0, -1.0]));
    }

    #[test]
    fn totals_are_added_to() {
        let backend = Cpu::single();
        let (z, y, mut g, mut totals) = (vec![3.0], vec![1.0], vec![0.0], vec![10.0, 5.0]);
        let operand = |values| Stack::at(&backend, values, 0, 1, [1, 1, 1]);
        let gradient = StackMut::at(&backend, &mut g, 0, 1, [1, 1, 1]);
        let sums = StackMut::at(&backend, &mut totals, 0, 2, [1, 1, 2]);
        pair_loss(&backend, Loss::SquaredError, operand(&z), operand(&y), gradient, sums).unwrap();
        assert_eq!(totals, [14.0, 6.0]);
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
