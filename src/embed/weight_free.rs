//! Encoders of sequences without weights, as the pipeline sees them.

use rayon::prelude::*;

use super::encoder::{Measure, Prepared, ReadAhead, RecordEncoder, RecordKind, Refusal};
use super::pooling::Pooling;
use super::store::Flags;
use super::vectors::Vectors;
use crate::data::EncoderIdentity;
use crate::error::Result;
use crate::features::SequenceEncoder;
use crate::progress::Progress;

/// A sequence encoder without weights.
pub struct WeightFree(Box<dyn SequenceEncoder>);

impl WeightFree {
    /// Of this encoder.
    #[must_use]
    pub fn new(encoder: Box<dyn SequenceEncoder>) -> Self {
        Self(encoder)
    }
}

impl RecordEncoder for WeightFree {
    type Item<'a> = &'a [u8];

    fn kind(&self) -> RecordKind {
        RecordKind::Sequences(self.0.alphabet())
    }
    fn poolings(&self) -> &[Pooling] {
        &[Pooling::Mean]
    }
    fn identity(&self, _pooling: Pooling) -> EncoderIdentity {
        self.0.identity()
    }
    fn dim(&self, _pooling: Pooling) -> usize {
        self.0.dim()
    }
    fn read_ahead(&self, _poolings: &[Pooling]) -> ReadAhead {
        // Enough for every thread, and little memory.
        ReadAhead { records: 2048, letters: 4 << 20 }
    }
    fn measure(&self) -> Measure {
        Measure::Records
    }
    fn prepare<'a>(&self, letters: &'a [u8], _poolings: &[Pooling]) -> Result<Prepared<&'a [u8]>, Refusal> {
        Ok(Prepared { item: letters, flags: Flags::default() })
    }
    fn rows(&self, _item: &&[u8], _pooling: Pooling) -> usize {
        1
    }
    fn encode(
        &mut self,
        items: &[&[u8]],
        _poolings: &[Pooling],
        vectors: &mut [Vectors],
        progress: &dyn Progress,
    ) -> Result<Vec<(usize, Refusal)>> {
        for vectors in vectors {
            let values = vectors.values_mut().par_chunks_mut(self.0.dim());
            values.zip(items).for_each(|(vector, sequence)| self.0.encode(sequence, vector));
        }
        progress.advance(items.len() as u64);
        Ok(Vec::new())
    }
}
