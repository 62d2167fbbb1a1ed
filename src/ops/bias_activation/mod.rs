//! What follows a matrix product in the fusion network: bias, ReLU and dropout in one pass, and its gradient.
//!
//! Dropout masks come from a counter ([`Dropout`]), so that every device drops the same elements and nothing is stored.

mod cpu;
mod cuda;
mod philox;

use super::clock::{CLOCK_WORDS, Clock};
use crate::backend::{Memory, Real, Stack, StackMut, expect_shape};
use crate::error::{Error, Result};

/// One dropout layer of one step: element `i` is dropped when word `i` of a Philox4x32-7 stream is below `rate·2³²`.
///
/// The stream's key is the seed and its counter is (block, layer, step): the same mask on every device and for any
/// number of threads. Kept elements are scaled by `1/(1 − rate)`.
pub struct Dropout<'a, B: Memory> {
    /// Share of elements that are dropped, `0 ≤ rate < 1`.
    pub rate: f32,
    /// Number of the layer in the network.
    pub layer: u32,
    /// Seed and step of each run, `[runs, CLOCK_WORDS]`.
    pub clock: Clock<'a, B>,
}

/// The device side of [`bias_activation`] and [`bias_activation_gradient`].
pub trait BiasActivation<T: Real>: Memory {
    /// See [`bias_activation`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn bias_activation_raw(
        &self,
        y: StackMut<'_, Self, T>,
        bias: Stack<'_, Self, T>,
        relu: bool,
        dropout: Option<Dropout<'_, Self>>,
    ) -> Result<()>;

    /// See [`bias_activation_gradient`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn bias_activation_gradient_raw(&self, rate: f32, y: Stack<'_, Self, T>, dy: StackMut<'_, Self, T>) -> Result<()>;
}

/// `y ← dropout(relu(y + bias))` in place; `y [runs, n, width]`, `bias [runs, 1, width]`.
///
/// # Errors
/// When the widths differ or the rate is not in `[0, 1)`.
pub fn bias_activation<B: BiasActivation<T>, T: Real>(
    backend: &B,
    y: StackMut<'_, B, T>,
    bias: Stack<'_, B, T>,
    relu: bool,
    dropout: Option<Dropout<'_, B>>,
) -> Result<()> {
    const OP: &str = "bias_activation";
    expect_shape(OP, "bias", [y.runs, 1, y.cols], bias.shape())?;
    let dropout = dropout.filter(|d| d.rate > 0.0);
    if let Some(d) = &dropout {
        expect_shape(OP, "clock", [y.runs, CLOCK_WORDS], d.clock.shape())?;
        if d.rate >= 1.0 {
            let expected = "a dropout rate in [0, 1)".into();
            return Err(Error::Shape { op: OP, expected, found: d.rate.to_string() });
        }
    }
    backend.bias_activation_raw(y, bias, relu, dropout)
}

/// Gradient of [`bias_activation`] with a ReLU: `dy ← dy ⊙ ∂y`; all operands `[runs, n, width]`.
///
/// The stored output `y` is zero exactly where the ReLU or the dropout of this rate closed, and where it is open the slope
/// is `1/(1 − rate)`.
///
/// # Errors
/// When the shapes differ.
pub fn bias_activation_gradient<B: BiasActivation<T>, T: Real>(
    backend: &B,
    rate: f32,
    y: Stack<'_, B, T>,
    dy: StackMut<'_, B, T>,
) -> Result<()> {
    expect_shape("bias_activation_gradient", "dy", y.shape(), dy.shape())?;
    backend.bias_activation_gradient_raw(rate, y, dy)
}

/// Words below it drop their element.
fn threshold(rate: f32) -> u32 {
    (f64::from(rate) * 2f64.powi(32)) as u32
}

/// `1/(1 − rate)`, by which kept elements are scaled.
fn keep_scale<T: Real>(rate: f32) -> T {
    T::ONE / (T::ONE - T::from_f64(f64::from(rate)))
}

#[cfg(test)]
mod tests {
    use super::super::clock::Tick;
    use super::*;
    use crate::backend::{Cpu, Matrix};

    /// A dropout layer of a run with this seed and step.
    #[derive(Clone, Copy)]
    struct Mask {
        rate: f32,
        seed: u64,
        layer: u32,
        step: u32,
    }

    /// One pass over `[runs, rows, cols]`.
    fn run(y: &[f64], bias: &[f64], [runs, rows, cols]: [usize; 3], relu: bool, masks: &[Mask]) -> Vec<f64> {
        let backend = Cpu::single();
        let (mut out, bias) = (y.to_vec(), bias.to_vec());
        let tick = |mask: &Mask| Tick { seed: mask.seed, step: mask.step, ..Tick::default() }.words();
        let words: Vec<u32> = masks.iter().flat_map(tick).collect();
        let clock = Matrix::of(&backend, &words, masks.len(), CLOCK_WORDS);
        let dropout = masks.first().map(|l| Dropout { rate: l.rate, layer: l.layer, clock });
        let y = StackMut::at(&backend, &mut out, 0, rows * cols, [runs, rows, cols]);
        bias_activation(&backend, y, Stack::at(&backend, &bias, 0, cols, [runs, 1, cols]), relu, dropout).unwrap();
        out
    }

    fn mask(n: usize, layer: Mask) -> Vec<f64> {
        run(&vec![1.0; n], &[0.0; 4], [1, n / 4, 4], true, &[layer])
    }

    #[test]
    fn by_hand() {
        assert_eq!(run(&[1.0, -2.0, 3.0, 0.5], &[0.5, 1.0], [1, 2, 2], true, &[]), [1.5, 0.0, 3.5, 1.5]);
        assert_eq!(run(&[1.0, -2.0, 3.0, 0.5], &[0.5, 1.0, 7.0, 8.0], [2, 1, 2], true, &[]), [1.5, 0.0, 10.0, 8.5]);
        assert_eq!(run(&[1.0, -2.0], &[0.5, 1.0], [1, 1, 2], false, &[]), [1.5, -1.0]);
    }

    #[test]
    fn dropout_keeps_the_mean_and_drops_the_stated_share() {
        let n = 200_000;
        for rate in [0.1f32, 0.5] {
            let y = mask(n, Mask { rate, seed: 7, layer: 1, step: 3 });
            let dropped = y.iter().filter(|&&v| v == 0.0).count() as f64 / n as f64;
            // Six standard deviations of a binomial share at n = 200 000 are below 0.007.
            assert!((dropped - f64::from(rate)).abs() < 0.007, "{dropped}");
            let mean = y.iter().sum::<f64>() / n as f64;
            assert!((mean - 1.0).abs() < 0.014, "{mean}");
        }
    }

    #[test]
    fn masks_differ_by_step_layer_and_seed_and_depend_neither_on_the_batch_nor_on_other_runs() {
        let base = Mask { rate: 0.5, seed: 7, layer: 1, step: 3 };
        let first = mask(400, base);
        assert_eq!(first[..100], mask(100, base)[..]);
        for other in [Mask { step: 4, ..base }, Mask { layer: 2, ..base }, Mask { seed: 8, ..base }] {
            assert_ne!(first, mask(400, other));
        }
        let other = Mask { seed: 9, step: 5, ..base };
        let both = run(&[1.0; 800], &[0.0; 8], [2, 100, 4], true, &[base, other]);
        assert_eq!(both, [first, mask(400, other)].concat());
    }

    #[test]
    fn gradient_passes_where_the_output_is_open() {
        let backend = Cpu::single();
        let (y, mut dy) = (vec![0.0, 2.0, 4.0, 0.0], vec![1.0, 1.0, 3.0, 5.0]);
        let y = Stack::at(&backend, &y, 0, 2, [2, 1, 2]);
        bias_activation_gradient(&backend, 0.5, y, StackMut::at(&backend, &mut dy, 0, 2, [2, 1, 2])).unwrap();
        assert_eq!(dy, [0.0, 2.0, 6.0, 0.0]);
    }

    #[test]
    fn a_rate_of_one_is_refused() {
        let backend = Cpu::single();
        let (mut y, bias, clock) = (vec![1f32; 4], vec![0f32; 2], Tick::default().words().to_vec());
        let dropout = Dropout { rate: 1.0, layer: 0, clock: Matrix::of(&backend, &clock, 1, CLOCK_WORDS) };
        let y = StackMut::at(&backend, &mut y, 0, 4, [1, 2, 2]);
        let bias = Stack::at(&backend, &bias, 0, 2, [1, 1, 2]);
        assert!(bias_activation(&backend, y, bias, true, Some(dropout)).is_err());
    }
}
