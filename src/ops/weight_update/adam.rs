//! Constants of the optimiser.

use serde::{Deserialize, Serialize};

use crate::ops::clock::Tick;

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

impl AdamConfig {
    /// The tick of `step`, counted from 1: both moments begin at 0, and its rate and root make up for that.
    #[must_use]
    pub fn tick(&self, seed: u64, step: u32, n_rows: u32, first: u32) -> Tick {
        let t = f64::from(step);
        let rate = self.learning_rate / (1.0 - self.beta1.powf(t));
        Tick { seed, step, n_rows, first, rate, root: 1.0 / (1.0 - self.beta2.powf(t)).sqrt() }
    }
}
