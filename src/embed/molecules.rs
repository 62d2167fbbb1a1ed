//! Encoders of small molecules, as the pipeline sees them.

use rayon::prelude::*;

use super::encoder::{Measure, Prepared, ReadAhead, RecordEncoder, RecordKind, Refusal};
use super::pooling::Pooling;
use super::store::{Flags, Layout, Status};
use super::vectors::Vectors;
use crate::data::EncoderIdentity;
use crate::error::Result;
use crate::mol::Molecule;
use crate::progress::{Progress, check_interrupt};

/// Molecules between two looks at the interrupt flag.
const STRETCH: usize = 256;

/// Turns one molecule into vectors.
pub trait MoleculeEncoder: Send + Sync {
    /// The poolings that it offers.
    fn poolings(&self) -> &[Pooling];
    /// What made the vectors of this pooling.
    fn identity(&self, pooling: Pooling) -> EncoderIdentity;
    /// Width of a vector of this pooling.
    fn dim(&self, pooling: Pooling) -> usize;
    /// Why this molecule cannot be encoded, where that is so.
    ///
    /// # Errors
    /// The reason, in words.
    fn check(&self, _molecule: &Molecule) -> Result<(), String> {
        Ok(())
    }
    /// Writes the molecule's vectors of each pooling: `[dim]`, or `[n_atoms, dim]` where it is not pooled.
    ///
    /// # Errors
    /// Those of the network.
    fn encode(&self, molecule: &Molecule, poolings: &[Pooling], out: &mut [&mut [f32]]) -> Result<()>;
}

/// How the text of a SMILES becomes a molecule; the error says why it does not.
pub type ParseSmiles = fn(&str) -> Result<Molecule, String>;

/// An encoder of molecules that come as SMILES.
pub struct Molecules<M> {
    encoder: M,
    parse: ParseSmiles,
}

impl<M: MoleculeEncoder> Molecules<M> {
    /// Of this encoder and this reader of SMILES.
    #[must_use]
    pub fn new(encoder: M, parse: ParseSmiles) -> Self {
        Self { encoder, parse }
    }

    fn molecule(&self, smiles: &[u8]) -> Result<Molecule, String> {
        let smiles = std::str::from_utf8(smiles).map_err(|_| "it is not text".to_owned())?;
        let molecule = (self.parse)(smiles)?;
        if molecule.atoms.is_empty() {
            return Err("it has no atom".to_owned());
        }
        self.encoder.check(&molecule)?;
        Ok(molecule)
    }
}

impl<M: MoleculeEncoder> RecordEncoder for Molecules<M> {
    type Item<'a> = Molecule;

    fn kind(&self) -> RecordKind {
        RecordKind::Molecules
    }
    fn poolings(&self) -> &[Pooling] {
        self.encoder.poolings()
    }
    fn identity(&self, pooling: Pooling) -> EncoderIdentity {
        self.encoder.identity(pooling)
    }
    fn dim(&self, pooling: Pooling) -> usize {
        self.encoder.dim(pooling)
    }
    fn read_ahead(&self, _poolings: &[Pooling]) -> ReadAhead {
        ReadAhead { records: 4096, letters: 1 << 20 }
    }
    fn measure(&self) -> Measure {
        Measure::Records
    }
    fn prepare(&self, letters: &[u8], _poolings: &[Pooling]) -> Result<Prepared<Molecule>, Refusal> {
        match self.molecule(letters) {
            Ok(item) => Ok(Prepared { item, flags: Flags::default() }),
            Err(reason) => Err(Refusal { status: Status::InvalidSmiles, reason }),
        }
    }
    fn rows(&self, molecule: &Molecule, pooling: Pooling) -> usize {
        match pooling.layout() {
            Layout::Pooled => 1,
            Layout::PerResidue => molecule.atoms.len(),
        }
    }
    fn encode(
        &mut self,
        molecules: &[Molecule],
        poolings: &[Pooling],
        vectors: &mut [Vectors],
        progress: &dyn Progress,
    ) -> Result<()> {
        // For each molecule its place in the vectors of each pooling.
        let mut places: Vec<Vec<&mut [f32]>> = molecules.iter().map(|_| Vec::with_capacity(poolings.len())).collect();
        for vectors in vectors {
            for (place, out) in places.iter_mut().zip(vectors.iter_mut()) {
                place.push(out);
            }
        }
        for (molecules, places) in molecules.chunks(STRETCH).zip(places.chunks_mut(STRETCH)) {
            check_interrupt()?;
            let done = molecules.par_iter().zip(places);
            done.try_for_each(|(molecule, out)| self.encoder.encode(molecule, poolings, out))?;
            progress.advance(molecules.len() as u64);
        }
        Ok(())
    }
}
