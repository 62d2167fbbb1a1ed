//! Bias, ReLU and dropout, and their gradient: the masks are those of the CPU to the last number.

use super::super::Subject;
use super::super::bench::{Bench, Case, Found, same_bits};
use super::super::numbers::{Guarded, Numbers, wide};
use super::super::reference::Rounding;
use super::{Arrangement, BETWEEN, arrangements, note};
use crate::backend::{Cpu, Matrix};
use crate::error::Result;
use crate::ops::bias_activation::{Dropout, bias_activation, bias_activation_gradient};
use crate::ops::clock::{CLOCK_WORDS, Tick};

/// Rows and columns.
const SIZES: [[usize; 2]; 5] = [[1, 1], [5, 13], [32, 64], [17, 260], [33, 1024]];
const RUNS: usize = 2;

struct Activation {
    relu: bool,
    y: Vec<f32>,
    bias: Vec<f32>,
    y_at: Arrangement,
    bias_at: Arrangement,
}

impl Activation {
    fn of([rows, cols]: [usize; 2], relu: bool, second: usize) -> Self {
        let [y_at, bias_at] = [[RUNS, rows, cols], [RUNS, 1, cols]].map(|shape| arrangements(shape)[second]);
        let mut numbers = Numbers::new(rows + cols);
        let (y, bias) = (numbers.around(y_at.len(), 0.0, 2.0), numbers.around(bias_at.len(), 0.1, 0.5));
        let y = y_at.filled(BETWEEN, |run| y[y_at.of_run(run)].to_vec());
        Self { relu, y, bias, y_at, bias_at }
    }

    /// With dropout of this rate.
    fn outputs<B: Subject>(&self, device: &B, rate: f32) -> Result<(Vec<f32>, Option<String>)> {
        let tick = |run: u64| Tick {
            seed: 0x1234_5678_9abc_def0 + (run << 33) + run,
            step: 3 + run as u32,
            ..Tick::default()
        };
        let words: Vec<u32> = (0..RUNS as u64).flat_map(|run| tick(run).words()).collect();
        let (bias, clock) = (device.uploaded(&self.bias)?, device.uploaded(&words)?);
        let dropout = Dropout { rate, layer: 2, clock: Matrix::of(device, &clock, RUNS, CLOCK_WORDS) };
        let mut y = Guarded::new(device, &self.y, self.y.len())?;
        let bias = self.bias_at.read(device, &bias);
        bias_activation(device, y.stack(device, self.y_at), bias, self.relu, Some(dropout))?;
        y.read(device)
    }
}

impl Case<f32> for Activation {
    fn op(&self) -> &'static str {
        "bias_activation"
    }
    fn size(&self) -> String {
        let [_, rows, cols] = self.y_at.shape;
        format!("rows {rows}, width {cols}{}{}", if self.relu { ", relu" } else { "" }, note(self.y_at))
    }
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let (values, fault) = self.outputs(device, 0.0)?;
        Ok(Found { values, fault })
    }
    fn exact(&self, _rounding: Rounding) -> Vec<f64> {
        self.y_at.filled(f64::from(BETWEEN), |run| {
            let bias = wide(&self.bias[self.bias_at.of_run(run)]);
            let sums = wide(&self.y[self.y_at.of_run(run)]).into_iter().zip(bias.iter().cycle()).map(|(y, b)| y + b);
            sums.map(|sum| if self.relu { sum.max(0.0) } else { sum }).collect()
        })
    }
    /// One rounding.
    fn single_bound(&self, largest: f64) -> f64 {
        6e-8 * largest
    }
}

/// One addition and one product: the bits of the CPU.
fn masks_of_the_cpu<B: Subject>(device: &B, case: &Activation, rate: f32) -> Result<Option<String>> {
    let ((found, fault), (expected, _)) = (case.outputs(device, rate)?, case.outputs(&Cpu::single(), rate)?);
    Ok(fault.or_else(|| same_bits(&found, &expected, || format!("than on the CPU at rate {rate}"))))
}

fn gradient<B: Subject>(device: &B, case: &Activation) -> Result<Option<String>> {
    let dy = Numbers::new(7).around(case.y.len(), 0.0, 1.0);
    let mut y = case.y.clone();
    y[case.y_at.offset] = 0.0;
    let stored = device.uploaded(&y)?;
    let mut found = Guarded::new(device, &dy, dy.len())?;
    let y_stack = case.y_at.read(device, &stored);
    bias_activation_gradient(device, 0.5, y_stack, found.stack(device, case.y_at))?;
    let (found, fault) = found.read(device)?;
    let mut expected = dy;
    for place in (0..RUNS).flat_map(|run| case.y_at.of_run(run)) {
        expected[place] *= if y[place] > 0.0 { 2.0 } else { 0.0 };
    }
    Ok(fault.or_else(|| (found != expected).then(|| "a wrong slope".to_owned())))
}

pub(super) fn check<B: Subject>(bench: &mut Bench<'_, B>) {
    for (i, size) in SIZES.into_iter().enumerate() {
        for second in [0, 1] {
            let case = Activation::of(size, i % 2 == second, second);
            bench.check(&case);
            bench.holds::<f32>("bias_activation", format!("dropout, {}", case.size()), |device| {
                Ok(masks_of_the_cpu(device, &case, 0.1)?.or(masks_of_the_cpu(device, &case, 0.5)?))
            });
            bench.holds::<f32>("bias_activation", format!("gradient, {}", case.size()), |device| {
                gradient(device, &case)
            });
        }
    }
}
