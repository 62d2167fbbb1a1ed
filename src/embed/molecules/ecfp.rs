//! The fingerprint as the pipeline sees it.

use rayon::prelude::*;

use super::MoleculeEncoder;
use crate::data::EncoderIdentity;
use crate::embed::encoder::Refusal;
use crate::embed::pooling::Pooling;
use crate::embed::vectors::Vectors;
use crate::error::Result;
use crate::features::Ecfp;
use crate::mol::Molecule;
use crate::progress::Progress;

impl MoleculeEncoder for Ecfp {
    fn poolings(&self) -> &[Pooling] {
        &[Pooling::Mean]
    }
    fn identity(&self, _pooling: Pooling) -> EncoderIdentity {
        Self::identity(*self)
    }
    fn dim(&self, _pooling: Pooling) -> usize {
        Self::dim(*self)
    }
    fn refusal(&self, _molecule: &Molecule) -> Option<String> {
        None
    }
    fn encode(
        &mut self,
        molecules: &[Molecule],
        _poolings: &[Pooling],
        vectors: &mut [Vectors],
        progress: &dyn Progress,
    ) -> Result<Vec<(usize, Refusal)>> {
        for vectors in vectors {
            let values = vectors.values_mut().par_chunks_mut(Self::dim(*self));
            values.zip(molecules).for_each(|(vector, molecule)| Self::encode(*self, molecule, vector));
        }
        progress.advance(molecules.len() as u64);
        Ok(Vec::new())
    }
}
