//! A network of `models` on a device.

use std::ops::Range;

use super::TokenEncoder;
use crate::error::Result;
use crate::models::encoder::{Encoder, EncoderConfig, Workspace};
use crate::ops::Backend;
use crate::ops::linear::Precision;
use crate::tokens::TokenBatch;
use crate::weights::Scope;

/// An encoder, the device that it lies on, and the memory that it works in.
pub struct OnDevice<B: Backend> {
    backend: B,
    encoder: Encoder<B>,
    workspace: Workspace<B>,
    /// Tokens of the last batch.
    n_tokens: usize,
}

impl<B: Backend> OnDevice<B> {
    /// Loads the weights.
    ///
    /// # Errors
    /// Those of [`Encoder::load`].
    pub fn load(backend: B, config: &EncoderConfig, scope: &Scope, precision: Precision) -> Result<Self> {
        let encoder = Encoder::load(&backend, config, scope, precision)?;
        let workspace = encoder.workspace(&backend)?;
        Ok(Self { backend, encoder, workspace, n_tokens: 0 })
    }
}

impl<B: Backend + Send + Sync> TokenEncoder for OnDevice<B> {
    fn d_model(&self) -> usize {
        self.encoder.config().d_model
    }
    fn workspace_bytes(&self, n_tokens: usize) -> u64 {
        Workspace::<B>::bytes(self.encoder.config(), n_tokens) as u64
    }
    fn forward(&mut self, batch: &TokenBatch) -> Result<()> {
        self.n_tokens = batch.n_tokens();
        self.encoder.forward(&self.backend, batch, &mut self.workspace)
    }
    fn segment_means(&mut self, segments: &[Range<usize>], out: &mut [f32]) -> Result<()> {
        let segments: Vec<[u32; 2]> = segments.iter().map(|rows| [rows.start as u32, rows.end as u32]).collect();
        out.copy_from_slice(&self.encoder.means(&self.backend, self.n_tokens, &segments, &self.workspace)?);
        Ok(())
    }
    fn copy_states(&mut self, tokens: Range<usize>, out: &mut [f32]) -> Result<()> {
        let states = self.workspace.states(&self.backend, self.encoder.config(), tokens);
        self.backend.download(states.view, out)
    }
}
