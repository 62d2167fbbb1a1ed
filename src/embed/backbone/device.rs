//! A network of `models` on a device.

use std::collections::VecDeque;
use std::ops::Range;

use super::{TokenEncoder, Wanted};
use crate::backend::Activation;
use crate::error::Result;
use crate::models::encoder::{Encoder, EncoderConfig, Workspace};
use crate::ops::Backend;
use crate::ops::linear::Precision;
use crate::tokens::TokenBatch;
use crate::weights::Scope;

/// An encoder, the device that it lies on, and the memory that it works in; states lie in `A`.
pub struct OnDevice<B: Backend, A: Activation = f32> {
    backend: B,
    encoder: Encoder<B>,
    workspace: Workspace<B, A>,
    /// What batches wanted that have been begun, the oldest first.
    begun: VecDeque<Vec<Coming<B, A>>>,
}

/// Numbers on their way to the host.
enum Coming<B: Backend, A: Activation> {
    Means(B::Fetch<f32>),
    States(B::Fetch<A>),
}

impl<B: Backend, A: Activation> OnDevice<B, A> {
    /// Loads the weights.
    ///
    /// # Errors
    /// Those of [`Encoder::load`].
    pub fn load(backend: B, config: &EncoderConfig, scope: &Scope, precision: Precision) -> Result<Self> {
        let encoder = Encoder::load(&backend, config, scope, precision)?;
        let workspace = encoder.workspace(&backend)?;
        Ok(Self { backend, encoder, workspace, begun: VecDeque::new() })
    }

    fn begin_one(&self, n_tokens: usize, wanted: &Wanted) -> Result<Coming<B, A>> {
        let Self { backend, encoder, workspace, .. } = self;
        Ok(match wanted {
            Wanted::Means(segments) => {
                let segments: Vec<_> = segments.iter().map(|rows| [rows.start as u32, rows.end as u32]).collect();
                Coming::Means(encoder.fetch_means(backend, n_tokens, &segments, workspace)?)
            }
            Wanted::States(rows) => {
                let Range { start, end } = *rows;
                Coming::States(backend.fetch(workspace.states(backend, encoder.config(), start..end).view)?)
            }
        })
    }
}

impl<B: Backend + Send + Sync, A: Activation> TokenEncoder for OnDevice<B, A> {
    fn d_model(&self) -> usize {
        self.encoder.config().d_model
    }
    fn workspace_bytes(&self, n_tokens: usize) -> u64 {
        self.workspace.bytes(&self.backend, self.encoder.config(), n_tokens) as u64
    }
    fn begin(&mut self, batch: &TokenBatch, wanted: &[Wanted]) -> Result<()> {
        self.encoder.forward(&self.backend, batch, &mut self.workspace)?;
        let coming = wanted.iter().map(|wanted| self.begin_one(batch.n_tokens(), wanted)).collect::<Result<_>>()?;
        self.begun.push_back(coming);
        Ok(())
    }
    fn end(&mut self) -> Result<Vec<Vec<f32>>> {
        let arrived = |coming| match coming {
            Coming::Means(fetch) => self.backend.arrived(fetch),
            Coming::States(fetch) => Ok(A::widened(&self.backend.arrived(fetch)?).into_owned()),
        };
        self.begun.pop_front().into_iter().flatten().map(arrived).collect()
    }
}
