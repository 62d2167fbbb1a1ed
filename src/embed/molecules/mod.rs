//! Encoders of small molecules, as the pipeline sees them.

mod fingerprint;
mod mole_bert;

use rayon::prelude::*;

use super::encoder::{Measure, Prepared, ReadAhead, RecordEncoder, RecordKind, Refusal};
use super::pooling::Pooling;
use super::store::{Flags, Layout, Status};
use super::vectors::Vectors;
use crate::data::EncoderIdentity;
use crate::error::Result;
use crate::mol::{self, Molecule};
use crate::progress::{Progress, check_interrupt};
pub use mole_bert::MoleBertEncoder;

/// Molecules between two looks at the interrupt flag.
const STRETCH: usize = 256;

/// Where the vectors of one molecule go, of each pooling: `[dim]`, or `[n_atoms, dim]` where it is not pooled.
pub type Places<'a> = Vec<&'a mut [f32]>;

/// Turns molecules into vectors. The vectors of a molecule depend on that molecule alone.
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
    /// Most atoms that are computed together; a larger molecule is computed alone.
    fn atoms_together(&self) -> usize {
        1
    }
    /// Writes the vectors of `molecules`, to a place for each pooling.
    ///
    /// # Errors
    /// Those of the network.
    fn encode(&self, molecules: &[Molecule], poolings: &[Pooling], out: &mut [Places<'_>]) -> Result<()>;
}

/// An encoder of molecules that come as SMILES.
pub struct Molecules<M>(M);

impl<M: MoleculeEncoder> Molecules<M> {
    /// Of this encoder.
    #[must_use]
    pub fn new(encoder: M) -> Self {
        Self(encoder)
    }

    fn molecule(&self, smiles: &[u8]) -> Result<Molecule, String> {
        let smiles = std::str::from_utf8(smiles).map_err(|_| "it is not text".to_owned())?;
        let molecule = mol::parse(smiles).map_err(|refusal| refusal.to_string())?;
        if molecule.atoms.is_empty() {
            return Err("it has no atom".to_owned());
        }
        self.0.check(&molecule)?;
        Ok(molecule)
    }
}

impl<M: MoleculeEncoder> RecordEncoder for Molecules<M> {
    type Item<'a> = Molecule;

    fn kind(&self) -> RecordKind {
        RecordKind::Molecules
    }
    fn poolings(&self) -> &[Pooling] {
        self.0.poolings()
    }
    fn identity(&self, pooling: Pooling) -> EncoderIdentity {
        self.0.identity(pooling)
    }
    fn dim(&self, pooling: Pooling) -> usize {
        self.0.dim(pooling)
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
        let mut places: Vec<Places<'_>> = molecules.iter().map(|_| Vec::with_capacity(poolings.len())).collect();
        for vectors in vectors {
            for (place, out) in places.iter_mut().zip(vectors.iter_mut()) {
                place.push(out);
            }
        }
        for (molecules, places) in molecules.chunks(STRETCH).zip(places.chunks_mut(STRETCH)) {
            check_interrupt()?;
            let mut groups = Vec::new();
            let (mut molecules_left, mut places_left) = (molecules, places);
            while !molecules_left.is_empty() {
                let n = group(molecules_left, self.0.atoms_together());
                let (molecules, places) = (molecules_left.split_at(n), places_left.split_at_mut(n));
                groups.push((molecules.0, places.0));
                (molecules_left, places_left) = (molecules.1, places.1);
            }
            let done = groups.into_par_iter();
            done.try_for_each(|(molecules, places)| self.0.encode(molecules, poolings, places))?;
            progress.advance(molecules.len() as u64);
        }
        Ok(())
    }
}

/// How many of the first molecules have at most so many atoms together; at least one.
fn group(molecules: &[Molecule], most_atoms: usize) -> usize {
    let ends = molecules.iter().scan(0, |end, molecule| {
        *end += molecule.atoms.len();
        Some(*end)
    });
    ends.take_while(|&end| end <= most_atoms).count().max(1)
}

#[cfg(test)]
mod tests;
