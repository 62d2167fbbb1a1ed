//! Memory that a forward pass works in.

use super::batch::{MoleculeBatch, N_KINDS};
use super::config::GinConfig;
use crate::backend::{Matrix, Memory};
use crate::error::Result;
use crate::ops::gin_aggregate::Graph;

/// Buffers of one pass, as large as the largest batch so far; reused from batch to batch.
pub struct GinWorkspace<B: Memory> {
    n_atoms: usize,
    /// States of the atoms `[n_atoms, d_model]`.
    pub(super) states: B::Buffer<f32>,
    /// What each atom hears `[n_atoms, d_model]`.
    pub(super) messages: B::Buffer<f32>,
    /// Inner activations of a layer `[n_atoms, 2·d_model]`.
    pub(super) inner: B::Buffer<f32>,
}

impl<B: Memory> GinWorkspace<B> {
    /// Buffers for no atom: the first batch makes them.
    pub(super) fn new(backend: &B) -> Result<Self> {
        Ok(Self { n_atoms: 0, states: backend.zeros(0)?, messages: backend.zeros(0)?, inner: backend.zeros(0)? })
    }

    /// Takes a batch in: makes room, uploads the atoms' first states, and the graph.
    pub(super) fn admit(
        &mut self,
        backend: &B,
        config: &GinConfig,
        batch: &MoleculeBatch,
        states: &[f32],
    ) -> Result<Graph<B>> {
        let n = batch.n_atoms();
        if n > self.n_atoms {
            self.states = backend.zeros(n * config.d_model)?;
            self.messages = backend.zeros(n * config.d_model)?;
            self.inner = backend.zeros(n * config.d_inner())?;
            self.n_atoms = n;
        }
        backend.upload(states, backend.view_mut(&mut self.states, 0..states.len()))?;
        Graph::new(backend, &batch.offsets, &batch.sources, &batch.kinds, N_KINDS)
    }

    /// The states of a batch of `n_atoms` after [`Gin::forward`](super::Gin::forward), `[n_atoms, d_model]`.
    pub fn states(&self, backend: &B, config: &GinConfig, n_atoms: usize) -> Matrix<'_, B, f32> {
        Matrix::of(backend, &self.states, n_atoms, config.d_model)
    }

    /// The same on the host.
    ///
    /// # Errors
    /// When the copy fails.
    pub fn download(&self, backend: &B, config: &GinConfig, n_atoms: usize) -> Result<Vec<f32>> {
        let mut host = vec![0.0; n_atoms * config.d_model];
        backend.download(self.states(backend, config, n_atoms).view, &mut host)?;
        Ok(host)
    }
}
