//! Batch norm in place, with and without the ReLU.

use super::Subject;
use super::bench::{Bench, Case, Found};
use super::numbers::{Guarded, Numbers, Operand, wide, widened_rows};
use super::reference::{self, Rounding};
use crate::backend::Activation;
use crate::error::Result;
use crate::ops::batch_norm::{STATISTICS, batch_norm};

struct BatchNorm<A> {
    width: usize,
    y: Vec<A>,
    statistics: Vec<f32>,
    relu: bool,
}

impl<A: Activation> Case<A> for BatchNorm<A> {
    fn op(&self) -> &'static str {
        "batch_norm"
    }
    fn size(&self) -> String {
        let relu = if self.relu { ", relu" } else { "" };
        format!("rows {}, width {}{relu}", self.y.len() / self.width, self.width)
    }
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let (width, padded) = (self.width, device.padded(self.width));
        let statistics = Operand::new(device, &widened_rows(&self.statistics, width, padded), padded)?;
        let mut y = Guarded::new(device, &widened_rows(&self.y, width, padded), padded)?;
        batch_norm(device, y.all(device), statistics.all(device), self.relu)?;
        let (y, fault) = y.read(device)?;
        Ok(Found { values: y.chunks_exact(padded).flat_map(|y| A::widened(&y[..width]).into_owned()).collect(), fault })
    }
    fn exact(&self, rounding: Rounding) -> Vec<f64> {
        reference::batch_norm(rounding, &wide(&self.y), &wide(&self.statistics), self.relu)
    }
    /// Three roundings.
    fn single_bound(&self, largest: f64) -> f64 {
        4e-7 * largest
    }
}

pub(super) fn check<B: Subject, A: Activation>(bench: &mut Bench<'_, B>) {
    for (rows, width) in [(1, 8), (3, 24), (4, 300), (5, 304), (33, 40), (130, 24)] {
        let mut numbers = Numbers::new(rows + width);
        let statistics = numbers.around(STATISTICS * width, 0.0, 1.5);
        let mut y = numbers.activations::<A>(rows * width, 0.0, 2.0);
        y[0] = A::rounded(-2.0);
        for relu in [false, true] {
            bench.check(&BatchNorm { width, y: y.clone(), statistics: statistics.clone(), relu });
        }
    }
    bench.holds::<A>("batch_norm", "a NaN passes the relu", |device| {
        let case = BatchNorm { width: 8, y: vec![A::rounded(f32::NAN); 8], statistics: vec![1.0; 24], relu: true };
        let found = case.run(device)?;
        Ok(found.values.iter().any(|x| !x.is_nan()).then(|| "a NaN is lost".to_owned()))
    });
}
