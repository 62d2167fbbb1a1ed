//! The gradient of a layer and the step of Adam from it: layers that fill tiles or do not, batches of more rows than a
//! tile has, a bias alone, a run that idles.

use super::super::Subject;
use super::super::bench::{Bench, Case, Found};
use super::super::linear::sum_bound;
use super::super::numbers::{Guarded, Numbers, wide};
use super::super::reference::Rounding;
use super::{Arrangement, arrangements, note};
use crate::backend::Matrix;
use crate::error::Result;
use crate::ops::clock::{CLOCK_WORDS, Tick};
use crate::ops::weight_update::{AdamConfig, AdamStep, LayerGradient, Rule, weight_update};

/// Rows, outputs and inputs; without inputs the layer is a bias alone.
const SIZES: [[usize; 3]; 9] = [
    [1, 1, 1],
    [16, 64, 256],
    [32, 1, 64],
    [33, 5, 7],
    [32, 40, 132],
    [70, 33, 129],
    [32, 68, 300],
    [4, 8, 0],
    [40, 100, 0],
];
const CONFIG: AdamConfig = AdamConfig { learning_rate: 0.02, beta1: 0.9, beta2: 0.99, epsilon: 1e-6 };
/// Steps of the runs; the second one idles.
const STEPS: [u32; 3] = [1, 0, 7];

struct Layer {
    adam: bool,
    x: Vec<f32>,
    dy: Vec<f32>,
    /// Parameters, first and second moments.
    state: [Vec<f32>; 3],
    x_at: Arrangement,
    dy_at: Arrangement,
    at: Arrangement,
}

impl Layer {
    fn of(adam: bool, [rows, outputs, inputs]: [usize; 3], second: usize) -> Self {
        let runs = STEPS.len();
        let [x_at, dy_at, at] = [[runs, rows, inputs], [runs, rows, outputs], [runs, 1, outputs * (inputs + 1)]]
            .map(|shape| arrangements(shape)[second]);
        let mut numbers = Numbers::new(rows + outputs + inputs);
        let spread = (3.0 / rows as f32).sqrt();
        let (x, dy) = (numbers.around(x_at.len(), 0.0, 1.0), numbers.around(dy_at.len(), 0.0, spread));
        // Second moments well above 0, where the quotient is no worse conditioned than the gradient; one pair of 0.
        let mut state =
            [(0.0, 0.5), (0.0, 0.5), (0.6, 0.4)].map(|(middle, spread)| numbers.around(at.len(), middle, spread));
        (state[1][at.offset], state[2][at.offset]) = (0.0, 0.0);
        Self { adam, x, dy, state, x_at, dy_at, at }
    }

    fn ticks() -> impl Iterator<Item = Tick> {
        let idle = |step: u32| if step == 0 { Tick::default() } else { CONFIG.tick(1, step, 1, 0) };
        STEPS.into_iter().map(idle)
    }

    /// `[dW | db]` of a run.
    fn gradient(&self, run: usize) -> Vec<f64> {
        let (x, dy) = (wide(&self.x[self.x_at.of_run(run)]), wide(&self.dy[self.dy_at.of_run(run)]));
        let ([_, rows, inputs], outputs) = (self.x_at.shape, self.dy_at.shape[2]);
        let weight = |place: usize| {
            (0..rows).map(|row| dy[row * outputs + place / inputs] * x[row * inputs + place % inputs]).sum()
        };
        let bias = |output: usize| (0..rows).map(|row| dy[row * outputs + output]).sum();
        (0..outputs * inputs).map(weight).chain((0..outputs).map(bias)).collect()
    }
}

/// A step of Adam in f64.
fn adam(tick: Tick, g: f64, [p, m, v]: [f64; 3]) -> [f64; 3] {
    let m = CONFIG.beta1 * m + (1.0 - CONFIG.beta1) * g;
    let v = CONFIG.beta2 * v + (1.0 - CONFIG.beta2) * g * g;
    [p - tick.rate * m / (v.sqrt() * tick.root + CONFIG.epsilon), m, v]
}

impl Case<f32> for Layer {
    fn op(&self) -> &'static str {
        "weight_update"
    }
    fn size(&self) -> String {
        let ([_, rows, inputs], outputs) = (self.x_at.shape, self.dy_at.shape[2]);
        let rule = if self.adam { "Adam" } else { "gradient" };
        format!("{rule}, rows {rows}, outputs {outputs}, inputs {inputs}{}", note(self.at))
    }
    /// Parameters, then moments, with what lies between the runs.
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let (x, dy) = (device.uploaded(&self.x)?, device.uploaded(&self.dy)?);
        let words: Vec<u32> = Self::ticks().flat_map(Tick::words).collect();
        let clock = device.uploaded(&words)?;
        let clock = Matrix::of(device, &clock, STEPS.len(), CLOCK_WORDS);
        let layer = LayerGradient {
            x: (self.x_at.shape[2] > 0).then(|| self.x_at.read(device, &x)),
            dy: self.dy_at.read(device, &dy),
        };
        let guard = |values: &Vec<f32>| Guarded::new(device, values, values.len());
        let mut parameters = guard(&self.state[0])?;
        if !self.adam {
            weight_update(device, clock, &layer, Rule::Gradient(parameters.stack(device, self.at)))?;
            let (values, fault) = parameters.read(device)?;
            return Ok(Found { values, fault });
        }
        let (mut first, mut second) = (guard(&self.state[1])?, guard(&self.state[2])?);
        let step = AdamStep {
            config: CONFIG,
            parameters: parameters.stack(device, self.at),
            first: first.stack(device, self.at),
            second: second.stack(device, self.at),
        };
        weight_update(device, clock, &layer, Rule::Adam(step))?;
        let mut found = Found { values: Vec::new(), fault: None };
        for part in [parameters, first, second] {
            let (values, fault) = part.read(device)?;
            found.values.extend(values);
            found.fault = found.fault.or(fault);
        }
        Ok(found)
    }
    fn exact(&self, _rounding: Rounding) -> Vec<f64> {
        let mut state = self.state.each_ref().map(|values| wide(values));
        for (run, tick) in Self::ticks().enumerate().filter(|(_, tick)| tick.step > 0) {
            for (place, g) in self.at.of_run(run).zip(self.gradient(run)) {
                let [p, m, v] = &mut state;
                [p[place], m[place], v[place]] =
                    if self.adam { adam(tick, g, [p[place], m[place], v[place]]) } else { [g, m[place], v[place]] };
            }
        }
        if self.adam { state.concat() } else { state[0].clone() }
    }
    /// That of the gradient; a step, at most 0.2 here, has an error of its own of a few roundings.
    fn single_bound(&self, largest: f64) -> f64 {
        2.0 * sum_bound(self.x_at.shape[1], largest)
    }
}

pub(super) fn check<B: Subject>(bench: &mut Bench<'_, B>) {
    for adam in [false, true] {
        for size in SIZES {
            for second in [0, 1] {
                bench.check(&Layer::of(adam, size, second));
            }
        }
    }
}
