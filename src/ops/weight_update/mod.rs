//! Gradient of a layer's weights and bias over a batch, and the step of Adam that follows from it (Kingma and Ba 2015, arXiv
//! 1412.6980) in one pass: the gradient never goes to memory, weights and moments are read and written once.

mod adam;
mod cpu;
mod cuda;
mod estimate;
mod plain;
mod tile;

pub use adam::AdamConfig;

use super::clock::{CLOCK_WORDS, Clock};
use crate::backend::{Memory, Real, Stack, StackMut, expect_shape};
use crate::error::Result;

/// What a layer read and what came back.
pub struct LayerGradient<'a, B: Memory, T: Real> {
    /// What it read, `[runs, n, inputs]`; `None` for a layer that is a bias alone.
    pub x: Option<Stack<'a, B, T>>,
    /// Gradient of what it wrote before its activation, `[runs, n, outputs]`.
    pub dy: Stack<'a, B, T>,
}

impl<B: Memory, T: Real> LayerGradient<'_, B, T> {
    /// Parameters of the layer: `outputs·inputs` weights and `outputs` biases, or the biases alone.
    #[must_use]
    pub fn n_parameters(&self) -> usize {
        self.dy.cols * (self.x.map_or(0, |x| x.cols) + 1)
    }
}

/// What is done with the gradient `[dW | db]` of a layer; every stack is `[runs, 1, n_parameters of the layer]`, the weights
/// row by row and then the biases.
pub enum Rule<'a, B: Memory, T: Real> {
    /// It is written.
    Gradient(StackMut<'a, B, T>),
    /// A step of Adam.
    Adam(AdamStep<'a, B, T>),
}

/// What a step of Adam changes: `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`, `p ← p − rate·m/(√v·root + ε)`, with the rate
/// and root of the run's tick.
pub struct AdamStep<'a, B: Memory, T: Real> {
    /// The constants.
    pub config: AdamConfig,
    /// p.
    pub parameters: StackMut<'a, B, T>,
    /// m, the decaying mean of the gradient.
    pub first: StackMut<'a, B, T>,
    /// v, the decaying mean of its square.
    pub second: StackMut<'a, B, T>,
}

/// The device side of [`weight_update`].
pub trait WeightUpdate<T: Real>: Memory {
    /// See [`weight_update`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn weight_update_raw(
        &self,
        clock: Clock<'_, Self>,
        layer: &LayerGradient<'_, Self, T>,
        rule: Rule<'_, Self, T>,
    ) -> Result<()>;
}

/// `dW = dyᵀ·x` and `db = Σ_rows dy` of each run, and what `rule` does with them. Each sum is taken in row order. Of a run
/// that idles (step 0 in `clock`) nothing is changed.
///
/// # Errors
/// When the shapes differ.
pub fn weight_update<B: WeightUpdate<T>, T: Real>(
    backend: &B,
    clock: Clock<'_, B>,
    layer: &LayerGradient<'_, B, T>,
    rule: Rule<'_, B, T>,
) -> Result<()> {
    const OP: &str = "weight_update";
    let [runs, rows, _] = layer.dy.shape();
    expect_shape(OP, "clock", [runs, CLOCK_WORDS], clock.shape())?;
    if let Some(x) = &layer.x {
        expect_shape(OP, "x", [runs, rows, x.cols], x.shape())?;
    }
    let expected = [runs, 1, layer.n_parameters()];
    match &rule {
        Rule::Gradient(gradient) => expect_shape(OP, "gradient", expected, gradient.shape())?,
        Rule::Adam(AdamStep { parameters, first, second, .. }) => {
            expect_shape(OP, "parameters", expected, parameters.shape())?;
            expect_shape(OP, "first", expected, first.shape())?;
            expect_shape(OP, "second", expected, second.shape())?;
        }
    }
    backend.weight_update_raw(clock, layer, rule)
}

#[cfg(test)]
mod tests;
