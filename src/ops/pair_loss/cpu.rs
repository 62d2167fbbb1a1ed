//! CPU twin: the sum is taken in f64, in row order.

use super::{Loss, PairLoss};
use crate::backend::{Cpu, Real, Stack, StackMut};
use crate::error::Result;

impl<T: Real> PairLoss<T> for Cpu {
    fn pair_loss_raw(
        &self,
        loss: Loss,
        logits: Stack<'_, Self, T>,
        labels: Stack<'_, Self, T>,
        mut gradient: StackMut<'_, Self, T>,
        mut totals: StackMut<'_, Self, f64>,
    ) -> Result<()> {
        for run in 0..logits.runs {
            let (sum, known) = one_run(loss, logits.matrix(run), labels.matrix(run), gradient.matrix(run));
            let totals = totals.matrix(run);
            totals[0] += sum;
            totals[1] += known as f64;
        }
        Ok(())
    }
}

/// Sum over the known labels, and their number.
fn one_run<T: Real>(loss: Loss, logits: &[T], labels: &[T], gradient: &mut [T]) -> (f64, usize) {
    let known = labels.iter().filter(|y| !y.to_f64().is_nan()).count();
    let per_label = 1.0 / known.max(1) as f64;
    let mut sum = 0.0;
    for ((z, y), g) in logits.iter().zip(labels).zip(gradient) {
        let (z, y) = (z.to_f64(), y.to_f64());
        if y.is_nan() {
            *g = T::ZERO;
            continue;
        }
        let (value, slope) = match loss {
            // log(1 + eᶻ) = max(z, 0) + log(1 + e^−|z|) does not overflow.
            Loss::BinaryCrossEntropy => (z.max(0.0) + (-z.abs()).exp().ln_1p() - y * z, z.sigmoid() - y),
            Loss::SquaredError => ((z - y) * (z - y), 2.0 * (z - y)),
        };
        sum += value;
        *g = T::from_f64(slope * per_label);
    }
    (sum, known)
}
