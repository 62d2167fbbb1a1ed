//! Adam (Kingma and Ba 2015, arXiv 1412.6980), one pass over parameters, moments and gradient.

mod cpu;

use serde::{Deserialize, Serialize};

use crate::backend::{Memory, Real};
use crate::error::{Error, Result};

/// Constants of the optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamConfig {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

/// The device side of [`adam`].
pub trait Adam: Memory {
    /// See [`adam`]; lengths have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn adam_raw<T: Real>(
        &self,
        config: &AdamConfig,
        step: u32,
        parameters: &mut Self::Buffer<T>,
        moments: &mut Moments<Self, T>,
        gradient: &Self::Buffer<T>,
    ) -> Result<()>;
}

/// First and second moment of every parameter.
pub struct Moments<B: Memory, T: Real> {
    /// Number of parameters.
    pub len: usize,
    /// Decaying mean of the gradient.
    pub first: B::Buffer<T>,
    /// Decaying mean of its square.
    pub second: B::Buffer<T>,
}

impl<B: Memory, T: Real> Moments<B, T> {
    /// Moments before the first step: zeros.
    ///
    /// # Errors
    /// When the device has no memory left.
    pub fn zeros(backend: &B, len: usize) -> Result<Self> {
        Ok(Self { len, first: backend.zeros(len)?, second: backend.zeros(len)? })
    }
}

/// One step, `step` counted from 1:
/// `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`, `p ← p − lr·(m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)`.
///
/// # Errors
/// When `step` is 0, the only case in which the correction is undefined.
pub fn adam<B: Adam, T: Real>(
    backend: &B,
    config: &AdamConfig,
    step: u32,
    parameters: &mut B::Buffer<T>,
    moments: &mut Moments<B, T>,
    gradient: &B::Buffer<T>,
) -> Result<()> {
    if step == 0 {
        return Err(Error::Shape { op: "adam", expected: "a step counted from 1".into(), found: "0".into() });
    }
    backend.adam_raw(config, step, parameters, moments, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;

    #[test]
    fn three_steps_by_the_formula() {
        let config = AdamConfig { learning_rate: 0.1, ..AdamConfig::default() };
        for threads in [1, 2] {
            let backend = Cpu::with_threads(threads);
            let mut parameters = vec![1.0f64, -2.0, 0.5];
            let mut moments = Moments::zeros(&backend, 3).unwrap();
            let mut expected = [(1.0f64, 0.0f64, 0.0f64), (-2.0, 0.0, 0.0), (0.5, 0.0, 0.0)];
            for step in 1..=3u32 {
                let gradient: Vec<f64> = parameters.iter().map(|p| 2.0 * p + f64::from(step)).collect();
                adam(&backend, &config, step, &mut parameters, &mut moments, &gradient).unwrap();
                for ((p, m, v), g) in expected.iter_mut().zip(&gradient) {
                    *m = 0.9 * *m + 0.1 * g;
                    *v = 0.999 * *v + 0.001 * g * g;
                    let (m_hat, v_hat) =
                        (*m / (1.0 - 0.9f64.powi(step as i32)), *v / (1.0 - 0.999f64.powi(step as i32)));
                    *p -= 0.1 * m_hat / (v_hat.sqrt() + 1e-8);
                }
            }
            for (got, (want, _, _)) in parameters.iter().zip(expected) {
                assert!((got - want).abs() < 1e-12, "{got} for {want}");
            }
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let n = 300_001;
        let gradient: Vec<f32> = (0..n).map(|i| ((i * 37 % 1001) as f32 - 500.0) * 1e-3).collect();
        let run = |threads| {
            let backend = Cpu::with_threads(threads);
            let (mut p, mut moments) = (vec![0.1f32; n], Moments::zeros(&backend, n).unwrap());
            for step in 1..4 {
                adam(&backend, &AdamConfig::default(), step, &mut p, &mut moments, &gradient).unwrap();
            }
            p
        };
        assert_eq!(run(1), run(2));
    }
}
