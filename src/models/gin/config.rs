//! Sizes of the network.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Sizes of a graph isomorphism network over molecules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GinConfig {
    /// Layers.
    pub n_layers: usize,
    /// Width of an atom's state.
    pub d_model: usize,
}

/// Mole-BERT as published.
impl Default for GinConfig {
    fn default() -> Self {
        Self { n_layers: 5, d_model: 300 }
    }
}

impl GinConfig {
    /// Inner width of a layer.
    #[must_use]
    pub fn d_inner(&self) -> usize {
        2 * self.d_model
    }

    /// Refuses sizes that make no network.
    ///
    /// # Errors
    /// [`Error::Data`] that names the size.
    pub fn check(&self) -> Result<()> {
        for (name, size, most) in [("n_layers", self.n_layers, 1 << 10), ("d_model", self.d_model, 1 << 16)] {
            if size == 0 || size > most {
                return Err(Error::data(
                    format!("a molecule network cannot have {name} = {size}"),
                    format!("{name} is from 1 to {most}; Mole-BERT has 5 layers of width 300"),
                ));
            }
        }
        Ok(())
    }
}
