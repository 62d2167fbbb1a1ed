//! Layer norm of rows whose mean is far above their spread.

use super::Subject;
use super::bench::{Bench, Case, Found, same_in_any_batch};
use super::numbers::{Guarded, Numbers, Operand, wide};
use super::reference::{self, Rounding};
use crate::backend::Activation;
use crate::error::Result;
use crate::ops::Backend;
use crate::ops::layer_norm::layer_norm;

const EPSILON: f32 = 1e-5;

struct LayerNorm<A> {
    d: usize,
    x: Vec<A>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl<A: Activation> LayerNorm<A> {
    fn of(rows: usize, d: usize) -> Self {
        let mut numbers = Numbers::new(d);
        let x = numbers.activations(rows * d, 100.0, 3.0);
        Self { d, x, weight: numbers.around(d, 1.0, 0.5), bias: numbers.around(d, 0.0, 0.5) }
    }

    fn rows<B: Backend>(&self, device: &B, x: &[A]) -> Result<(Vec<A>, Option<String>)> {
        let x_matrix = Operand::new(device, x, self.d)?;
        let (weight, bias) = (Operand::new(device, &self.weight, self.d)?, Operand::new(device, &self.bias, self.d)?);
        let mut y = Guarded::unwritten(device, x.len() / self.d, self.d)?;
        layer_norm(device, x_matrix.all(device), weight.all(device), bias.all(device), EPSILON, y.all(device))?;
        y.read(device)
    }
}

impl<A: Activation> Case<A> for LayerNorm<A> {
    fn op(&self) -> &'static str {
        "layer_norm"
    }
    fn size(&self) -> String {
        format!("rows {}, d {}", self.x.len() / self.d, self.d)
    }
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let (y, fault) = self.rows(device, &self.x)?;
        Ok(Found { values: A::widened(&y).into_owned(), fault })
    }
    fn exact(&self, rounding: Rounding) -> Vec<f64> {
        reference::layer_norm(rounding, &wide(&self.x), &wide(&self.weight), &wide(&self.bias), f64::from(EPSILON))
    }
    /// The mean of numbers near 100 is rounded at 4e-6, of a spread of 1.7.
    fn single_bound(&self, _largest: f64) -> f64 {
        2e-5
    }
}

pub(super) fn check<B: Subject, A: Activation>(bench: &mut Bench<'_, B>) {
    let widths = [(33, 8), (3, 24), (33, 320), (1, 480), (3, 640), (3, 1280), (5, 1288), (1, 2560), (3, 2568)];
    for (rows, d) in widths {
        bench.check(&LayerNorm::<A>::of(rows, d));
    }
    bench.holds::<A>("layer_norm", "rows of d 72 alone and among 1 to 65", |device| {
        let case = LayerNorm::<A>::of(65, 72);
        same_in_any_batch(65, |first| case.rows(device, &case.x[first * 72..]))
    });
}
