//! Memory that a forward pass works in.

use super::batch::{MoleculeBatch, N_KINDS};
use super::config::GinConfig;
use crate::backend::{Activation, Memory};
use crate::error::Result;
use crate::ops::gin_aggregate::Graph;

/// Buffers of one pass, as large as the largest batch so far; reused from batch to batch.
pub struct GinWorkspace<B: Memory, A: Activation = f32> {
    n_atoms: usize,
    /// States of the atoms `[n_atoms, d_model]`, rows padded.
    pub(super) states: B::Buffer<A>,
    /// What each atom hears `[n_atoms, d_model]`, rows padded.
    pub(super) messages: B::Buffer<A>,
    /// Inner activations of a layer `[n_atoms, 2·d_model]`, rows padded.
    pub(super) inner: B::Buffer<A>,
}

impl<B: Memory, A: Activation> GinWorkspace<B, A> {
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
        states: &[A],
    ) -> Result<Graph<B>> {
        let n = batch.n_atoms();
        if n > self.n_atoms {
            *self = Self::new(backend)?;
            self.states = backend.zeros(n * backend.padded(config.d_model))?;
            self.messages = backend.zeros(n * backend.padded(config.d_model))?;
            self.inner = backend.zeros(n * backend.padded(config.d_inner()))?;
            self.n_atoms = n;
        }
        backend.upload(states, backend.view_mut(&mut self.states, 0..states.len()))?;
        Graph::new(backend, &batch.offsets, &batch.sources, &batch.kinds, N_KINDS)
    }

    /// The states of a batch of `n_atoms` after [`Gin::forward`](super::Gin::forward) on the host, `[n_atoms, d_model]`.
    ///
    /// # Errors
    /// When the copy fails.
    pub fn download(&self, backend: &B, config: &GinConfig, n_atoms: usize) -> Result<Vec<f32>> {
        let (d, row) = (config.d_model, backend.padded(config.d_model));
        let states = backend.arrived(backend.fetch(backend.view(&self.states, 0..n_atoms * row))?)?;
        Ok(states.chunks_exact(row).flat_map(|state| A::widened(&state[..d]).into_owned()).collect())
    }
}
