//! Memory of the activations, allocated once per batch size.

use super::config::GinConfig;
use crate::backend::Memory;
use crate::error::{Error, Result};

/// Activations of one batch of at most `capacity` atoms.
pub struct GinWorkspace<B: Memory> {
    capacity: usize,
    d_model: usize,
    /// States of the atoms `[n_atoms, d_model]`.
    pub(super) states: B::Buffer<f32>,
    /// What each atom hears `[n_atoms, d_model]`.
    pub(super) messages: B::Buffer<f32>,
    /// Inner activations of a layer `[n_atoms, 2·d_model]`.
    pub(super) inner: B::Buffer<f32>,
}

impl<B: Memory> GinWorkspace<B> {
    /// Memory for batches of at most `capacity` atoms.
    ///
    /// # Errors
    /// When the device has no memory left.
    pub fn new(backend: &B, config: &GinConfig, capacity: usize) -> Result<Self> {
        Ok(Self {
            capacity,
            d_model: config.d_model,
            states: backend.zeros(capacity * config.d_model)?,
            messages: backend.zeros(capacity * config.d_model)?,
            inner: backend.zeros(capacity * config.d_inner())?,
        })
    }

    /// Copies the states of the first `n_atoms` atoms to the host, `[n_atoms, d_model]`.
    ///
    /// # Errors
    /// When the copy fails.
    pub fn download(&self, backend: &B, n_atoms: usize) -> Result<Vec<f32>> {
        let mut host = vec![0.0; n_atoms * self.d_model];
        backend.download(backend.view(&self.states, 0..host.len()), &mut host)?;
        Ok(host)
    }

    /// The check at the network's door.
    pub(super) fn expect(&self, config: &GinConfig, n_atoms: usize) -> Result<()> {
        if self.d_model == config.d_model && n_atoms <= self.capacity {
            return Ok(());
        }
        Err(Error::Shape {
            op: "gin",
            expected: format!("at most {} atoms of width {}", self.capacity, self.d_model),
            found: format!("{n_atoms} of width {}", config.d_model),
        })
    }
}
