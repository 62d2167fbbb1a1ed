//! The whole encoder: token ids to states.

use super::config::EncoderConfig;
use super::layer::{Layer, Norm};
use super::rotary::frequencies;
use super::trace::{Stage, Trace};
use super::workspace::Workspace;
use crate::backend::{Matrix, MatrixMut};
use crate::error::{Error, Result};
use crate::ops::Backend;
use crate::ops::embed_tokens::embed_tokens;
use crate::ops::linear::Precision;
use crate::ops::segment_mean::segment_mean;
use crate::tokens::TokenBatch;
use crate::weights::Scope;

/// An encoder with its weights on a device.
pub struct Encoder<B: Backend> {
    config: EncoderConfig,
    /// `[vocab_size, d_model]`.
    table: B::Buffer<f32>,
    layers: Vec<Layer<B>>,
    final_norm: Norm<B>,
    frequencies: Vec<f32>,
}

impl<B: Backend> Encoder<B> {
    /// Takes the tensors that `config` asks for. Stored rotary frequencies win over computed ones: a checkpoint in
    /// half precision was trained further with rounded ones.
    ///
    /// # Errors
    /// When a tensor is absent or of another shape; what the device reports.
    pub fn load(backend: &B, config: &EncoderConfig, scope: &Scope, precision: Precision) -> Result<Self> {
        config.check()?;
        let table = scope.take("embed_tokens.weight", &[config.vocab_size, config.d_model])?;
        let stored = scope.take_optional("inv_freq", &[config.d_head() / 2])?;
        Ok(Self {
            table: backend.uploaded(&table.to_f32())?,
            layers: (0..config.n_layers)
                .map(|index| Layer::load(backend, config, scope, index, precision))
                .collect::<Result<_>>()?,
            final_norm: Norm::load(backend, scope, "final_norm", config.d_model)?,
            frequencies: stored.map_or_else(|| frequencies(config.d_head(), config.rope_theta), |t| t.to_f32()),
            config: config.clone(),
        })
    }

    /// Sizes and switches.
    #[must_use]
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Memory for [`forward`](Self::forward); it grows with the batches.
    ///
    /// # Errors
    /// What the device reports.
    pub fn workspace(&self, backend: &B) -> Result<Workspace<B>> {
        Workspace::new(backend)
    }

    /// Runs a batch; [`Workspace::hidden`] then holds the states after the final layer norm.
    ///
    /// # Errors
    /// When an id is no row of the embedding table; what the device reports.
    pub fn forward(&self, backend: &B, batch: &TokenBatch, work: &mut Workspace<B>) -> Result<()> {
        self.forward_traced(backend, batch, work, &mut |_, _| Ok(()))
    }

    /// [`forward`](Self::forward) that shows every intermediate result.
    ///
    /// # Errors
    /// As above, and what `trace` returns.
    pub fn forward_traced(
        &self,
        backend: &B,
        batch: &TokenBatch,
        work: &mut Workspace<B>,
        trace: &mut Trace<'_, B>,
    ) -> Result<()> {
        let Self { config, .. } = self;
        if let Some(id) = batch.ids().iter().find(|&&id| id as usize >= config.vocab_size) {
            return Err(Error::data(
                format!("token id {id} is outside the encoder's vocabulary of {}", config.vocab_size),
                "use the vocabulary that belongs to these weights",
            ));
        }
        let (n, d) = (batch.n_tokens(), config.d_model);
        work.admit(backend, config, &self.frequencies, batch)?;
        embed_tokens(
            backend,
            Matrix::of(backend, &work.inputs.ids, n, 1),
            Matrix::of(backend, &work.inputs.scales, n, 1),
            Matrix::of(backend, &self.table, config.vocab_size, d),
            MatrixMut::of(backend, &mut work.state, n, d),
        )?;
        trace(Stage { layer: None, name: "embedding" }, Matrix::of(backend, &work.state, n, d))?;
        for (index, layer) in self.layers.iter().enumerate() {
            layer.forward(backend, config, index, (n, batch.n_sequences()), work, trace)?;
        }
        let Workspace { state, normed, .. } = work;
        self.final_norm.apply(
            backend,
            config,
            Matrix::of(backend, state, n, d),
            MatrixMut::of(backend, normed, n, d),
        )?;
        trace(Stage { layer: None, name: "final_norm" }, Matrix::of(backend, normed, n, d))
    }

    /// Means of the final states over ranges of tokens (first, and after the last), `[segments.len(), d_model]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn means(&self, backend: &B, n_tokens: usize, segments: &[[u32; 2]], work: &Workspace<B>) -> Result<Vec<f32>> {
        let d = self.config.d_model;
        let flat = backend.uploaded(segments.as_flattened())?;
        let mut means = backend.zeros(segments.len() * d)?;
        let segment_rows = Matrix::of(backend, &flat, segments.len(), 2);
        let hidden = work.hidden(backend, &self.config, n_tokens);
        segment_mean(backend, hidden, segment_rows, MatrixMut::of(backend, &mut means, segments.len(), d))?;
        let mut host = vec![0.0; segments.len() * d];
        backend.download(backend.view(&means, 0..host.len()), &mut host)?;
        Ok(host)
    }
}
