//! Losses of steps with known and unknown labels, far logits among them.

use super::super::Subject;
use super::super::bench::{Bench, Case, Found};
use super::super::numbers::{Guarded, Numbers, wide};
use super::super::reference::Rounding;
use super::{Arrangement, BETWEEN, arrangements, note};
use crate::error::Result;
use crate::ops::pair_loss::{Loss, pair_loss};

/// Rows and labels.
const SIZES: [[usize; 2]; 4] = [[1, 1], [32, 1], [13, 7], [70, 9]];
/// Of the last run no label is known.
const RUNS: usize = 3;
/// What the totals hold before.
const BEFORE: f64 = 10.0;

struct Losses {
    loss: Loss,
    logits: Vec<f32>,
    labels: Vec<f32>,
    at: Arrangement,
}

impl Losses {
    fn of(loss: Loss, [rows, cols]: [usize; 2], second: usize) -> Self {
        let at = arrangements([RUNS, rows, cols])[second];
        let mut numbers = Numbers::new(rows + cols);
        let mut logits = numbers.around(at.len(), 0.0, 4.0);
        if loss == Loss::BinaryCrossEntropy {
            (logits[at.of_run(0).start], logits[at.of_run(1).start]) = (300.0, -300.0);
        }
        let labels = numbers.around(at.len(), 0.5, 0.5).into_iter();
        let binary = |y: f32| if loss == Loss::BinaryCrossEntropy { y.round() } else { y };
        let mut labels: Vec<f32> =
            labels.enumerate().map(|(i, y)| if i % 5 == 4 { f32::NAN } else { binary(y) }).collect();
        labels[at.of_run(RUNS - 1)].fill(f32::NAN);
        Self { loss, logits, labels, at }
    }

    /// Loss and slope of one label.
    fn of_label(&self, z: f64, y: f64) -> [f64; 2] {
        match self.loss {
            Loss::BinaryCrossEntropy => [z.max(0.0) + (-z.abs()).exp().ln_1p() - y * z, 1.0 / (1.0 + (-z).exp()) - y],
            Loss::SquaredError => [(z - y) * (z - y), 2.0 * (z - y)],
        }
    }
}

impl Case<f32> for Losses {
    fn op(&self) -> &'static str {
        "pair_loss"
    }
    fn size(&self) -> String {
        format!("{:?}, rows {}, labels {}{}", self.loss, self.at.shape[1], self.at.shape[2], note(self.at))
    }
    /// The gradient, then each run's totals.
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let (logits, labels) = (device.uploaded(&self.logits)?, device.uploaded(&self.labels)?);
        let mut gradient = Guarded::new(device, &vec![BETWEEN; self.at.len()], self.at.len())?;
        let totals_at = Arrangement { shape: [RUNS, 1, 2], offset: 0, gap: 0 };
        let mut totals = Guarded::new(device, &vec![BEFORE; totals_at.len()], totals_at.len())?;
        pair_loss(
            device,
            self.loss,
            self.at.read(device, &logits),
            self.at.read(device, &labels),
            gradient.stack(device, self.at),
            totals.stack(device, totals_at),
        )?;
        let ((mut values, fault), (totals, beside)) = (gradient.read(device)?, totals.read(device)?);
        values.extend(totals.into_iter().map(|total| total as f32));
        Ok(Found { values, fault: fault.or(beside) })
    }
    fn exact(&self, _rounding: Rounding) -> Vec<f64> {
        let mut totals = Vec::new();
        let mut gradient = vec![f64::from(BETWEEN); self.at.len()];
        for run in 0..RUNS {
            let (logits, labels) = (wide(&self.logits[self.at.of_run(run)]), wide(&self.labels[self.at.of_run(run)]));
            let known = labels.iter().filter(|y| !y.is_nan()).count() as f64;
            let mut sum = 0.0;
            for ((place, z), y) in self.at.of_run(run).zip(logits).zip(labels) {
                let [loss, slope] = if y.is_nan() { [0.0; 2] } else { self.of_label(z, y) };
                sum += loss;
                gradient[place] = slope / known.max(1.0);
            }
            totals.extend([BEFORE + sum, BEFORE + known]);
        }
        [gradient, totals].concat()
    }
    /// It is computed in f64; results are rounded to f32.
    fn single_bound(&self, largest: f64) -> f64 {
        6e-8 * largest
    }
}

pub(super) fn check<B: Subject>(bench: &mut Bench<'_, B>) {
    for loss in [Loss::BinaryCrossEntropy, Loss::SquaredError] {
        for (i, size) in SIZES.into_iter().enumerate() {
            bench.check(&Losses::of(loss, size, i % 2));
            bench.check(&Losses::of(loss, size, 1 - i % 2));
        }
    }
}
