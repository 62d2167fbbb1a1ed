//! CPU twin: the sum is taken in f64, in row order.

use super::{Loss, PairLoss};
use crate::backend::{Cpu, Real};
use crate::error::Result;

impl PairLoss for Cpu {
    fn pair_loss_raw<T: Real>(
        &self,
        loss: Loss,
        logits: &[T],
        labels: &[T],
        gradient: &mut [T],
    ) -> Result<(f64, usize)> {
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
        Ok((sum, known))
    }
}
