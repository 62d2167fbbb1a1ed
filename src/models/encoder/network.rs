//! The whole encoder: token ids to states.

use super::config::{AttentionResidual, EncoderConfig};
use super::layer::{Layer, Norm};
use super::rotary::frequencies;
use super::trace::{Stage, Trace};
use super::workspace::Workspace;
use crate::backend::{Activation, Matrix, MatrixMut};
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
    /// Its layers are in e4m3.
    with_e4m3: bool,
}

impl<B: Backend> Encoder<B> {
    /// Takes the tensors that `config` asks for. Stored rotary frequencies win over computed ones: a checkpoint in
    /// half precision was trained further with rounded ones.
    ///
    /// # Errors
    /// When a tensor is absent or of another shape; what the device reports.
    pub fn load(backend: &B, config: &EncoderConfig, scope: &Scope, precision: Precision) -> Result<Self> {
        config.check()?;
        backend.check_heads(config.heads())?;
        let with_e4m3 = precision == Precision::Fp8;
        if with_e4m3 {
            config.check_e4m3(backend.padded(config.d_ff))?;
        }
        if backend.padded(config.d_model) != config.d_model {
            return Err(Error::data(
                format!("encoder configuration: this device has no rows of d_model {}", config.d_model),
                "choose --device cpu",
            ));
        }
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
            with_e4m3,
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
    pub fn workspace<A: Activation>(&self, backend: &B) -> Result<Workspace<B, A>> {
        Workspace::new(backend, &self.config, self.with_e4m3)
    }

    /// Runs a batch; [`Workspace::hidden`] then holds the states after the final layer norm.
    ///
    /// # Errors
    /// When an id is no row of the embedding table; what the device reports.
    pub fn forward<A: Activation>(&self, backend: &B, batch: &TokenBatch, work: &mut Workspace<B, A>) -> Result<()> {
        self.admit(backend, batch, work)?;
        let mut recordings = std::mem::take(&mut work.recordings);
        let key = [&[work.n_rows][..], &B::launches(&work.inputs.sequences)].concat();
        let done = backend.replay(&mut recordings, &key, || self.run(backend, work, &mut |_, _| Ok(())));
        work.recordings = recordings;
        let exchanges = self.config.attention_residual == AttentionResidual::Normalised;
        work.settle(exchanges && !self.config.n_layers.is_multiple_of(2));
        done
    }

    /// [`forward`](Self::forward) that shows every intermediate result.
    ///
    /// # Errors
    /// As above, and what `trace` returns.
    pub fn forward_traced<A: Activation>(
        &self,
        backend: &B,
        batch: &TokenBatch,
        work: &mut Workspace<B, A>,
        trace: &mut Trace<'_, B, A>,
    ) -> Result<()> {
        self.admit(backend, batch, work)?;
        self.run(backend, work, trace)
    }

    fn admit<A: Activation>(&self, backend: &B, batch: &TokenBatch, work: &mut Workspace<B, A>) -> Result<()> {
        let config = &self.config;
        if let Some(id) = batch.ids().iter().find(|&&id| id as usize >= config.vocab_size) {
            return Err(Error::data(
                format!("token id {id} is outside the encoder's vocabulary of {}", config.vocab_size),
                "use the vocabulary that belongs to these weights",
            ));
        }
        work.admit(backend, config, &self.frequencies, batch)
    }

    /// The ops of a pass over the batch that was taken in.
    fn run<A: Activation>(&self, backend: &B, work: &mut Workspace<B, A>, trace: &mut Trace<'_, B, A>) -> Result<()> {
        let Self { config, .. } = self;
        let (n, d) = (work.n_rows, config.d_model);
        embed_tokens(
            backend,
            Matrix::of(backend, &work.inputs.ids, n, 1),
            Matrix::of(backend, &work.inputs.scales, n, 1),
            Matrix::of(backend, &self.table, config.vocab_size, d),
            MatrixMut::of(backend, &mut work.state, n, d),
        )?;
        trace(Stage { layer: None, name: "embedding" }, Matrix::of(backend, &work.state, n, d))?;
        for (index, layer) in self.layers.iter().enumerate() {
            layer.forward(backend, config, index, work, trace)?;
        }
        let Workspace { state, normed, .. } = work;
        let states = Matrix::of(backend, state, n, d);
        self.final_norm.apply(backend, config, states, MatrixMut::of(backend, normed, n, d))?;
        trace(Stage { layer: None, name: "final_norm" }, Matrix::of(backend, normed, n, d))
    }

    /// Means of the final states over ranges of tokens (first, and after the last), on their way to the host:
    /// `[segments.len(), d_model]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn fetch_means<A: Activation>(
        &self,
        backend: &B,
        n_tokens: usize,
        segments: &[[u32; 2]],
        work: &Workspace<B, A>,
    ) -> Result<B::Fetch<f32>> {
        let d = self.config.d_model;
        let flat = backend.uploaded(segments.as_flattened())?;
        let mut means = backend.zeros(segments.len() * d)?;
        let segment_rows = Matrix::of(backend, &flat, segments.len(), 2);
        let hidden = work.hidden(backend, &self.config, n_tokens);
        segment_mean(backend, hidden, segment_rows, MatrixMut::of(backend, &mut means, segments.len(), d))?;
        backend.fetch(backend.view(&means, 0..segments.len() * d))
    }

    /// The same, waited for.
    ///
    /// # Errors
    /// What the device reports.
    pub fn means<A: Activation>(
        &self,
        backend: &B,
        n_tokens: usize,
        segments: &[[u32; 2]],
        work: &Workspace<B, A>,
    ) -> Result<Vec<f32>> {
        backend.arrived(self.fetch_means(backend, n_tokens, segments, work)?)
    }
}
