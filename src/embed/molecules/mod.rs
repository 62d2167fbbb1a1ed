//! Encoders of small molecules, as the pipeline sees them.

mod ecfp;
mod mole_bert;

pub use mole_bert::MoleBert;

use super::encoder::{Measure, Prepared, ReadAhead, RecordEncoder, RecordKind, Refusal};
use super::pooling::Pooling;
use super::store::{Flags, Layout, Status};
use super::vectors::Vectors;
use crate::data::EncoderIdentity;
use crate::error::Result;
use crate::mol::{self, Molecule};
use crate::progress::Progress;

/// Turns molecules into vectors, those of each from that molecule alone.
pub trait MoleculeEncoder: Send + Sync {
    /// The poolings that it offers.
    fn poolings(&self) -> &[Pooling];
    /// What made the vectors of this pooling.
    fn identity(&self, pooling: Pooling) -> EncoderIdentity;
    /// Width of a vector of this pooling.
    fn dim(&self, pooling: Pooling) -> usize;
    /// Why this molecule cannot be encoded, where that is so.
    fn refusal(&self, molecule: &Molecule) -> Option<String>;
    /// Encodes `molecules` into `vectors`, one of each pooling: a row for each, and for each atom where it is not
    /// pooled. Tells `progress` of each molecule. Returns the molecules that could not be encoded after all.
    ///
    /// # Errors
    /// Those of the network, and [`Error::Interrupted`](crate::error::Error::Interrupted).
    fn encode(
        &mut self,
        molecules: &[Molecule],
        poolings: &[Pooling],
        vectors: &mut [Vectors],
        progress: &dyn Progress,
    ) -> Result<Vec<(usize, Refusal)>>;
}

impl<M: MoleculeEncoder + ?Sized> MoleculeEncoder for Box<M> {
    fn poolings(&self) -> &[Pooling] {
        (**self).poolings()
    }
    fn identity(&self, pooling: Pooling) -> EncoderIdentity {
        (**self).identity(pooling)
    }
    fn dim(&self, pooling: Pooling) -> usize {
        (**self).dim(pooling)
    }
    fn refusal(&self, molecule: &Molecule) -> Option<String> {
        (**self).refusal(molecule)
    }
    fn encode(
        &mut self,
        molecules: &[Molecule],
        poolings: &[Pooling],
        vectors: &mut [Vectors],
        progress: &dyn Progress,
    ) -> Result<Vec<(usize, Refusal)>> {
        (**self).encode(molecules, poolings, vectors, progress)
    }
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
        let refusal = if molecule.atoms.is_empty() { Some("it has no atom".into()) } else { self.0.refusal(&molecule) };
        refusal.map_or(Ok(molecule), Err)
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
    ) -> Result<Vec<(usize, Refusal)>> {
        self.0.encode(molecules, poolings, vectors, progress)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::VectorSource;
    use crate::embed::Store;
    use crate::embed::pipeline::{EmbedOptions, embed};
    use crate::embed::store::{Dtype, ResidueStore};
    use crate::progress::Silent;

    /// Atomic numbers: their sum, and one for each atom.
    struct Weights;

    impl MoleculeEncoder for Weights {
        fn poolings(&self) -> &[Pooling] {
            &[Pooling::Sum, Pooling::PerAtom]
        }
        fn identity(&self, pooling: Pooling) -> EncoderIdentity {
            EncoderIdentity { name: "weights".into(), digest: "w".into(), pooling: pooling.name().into() }
        }
        fn dim(&self, _pooling: Pooling) -> usize {
            1
        }
        fn refusal(&self, molecule: &Molecule) -> Option<String> {
            (molecule.atoms.len() > 8).then(|| "too many atoms".into())
        }
        fn encode(
            &mut self,
            molecules: &[Molecule],
            poolings: &[Pooling],
            vectors: &mut [Vectors],
            _progress: &dyn Progress,
        ) -> Result<Vec<(usize, Refusal)>> {
            for (pooling, vectors) in poolings.iter().zip(vectors) {
                for (molecule, out) in molecules.iter().zip(vectors.iter_mut()) {
                    for (i, atom) in molecule.atoms.iter().enumerate() {
                        out[if *pooling == Pooling::Sum { 0 } else { i }] += f32::from(atom.atomic_number);
                    }
                }
            }
            Ok(Vec::new())
        }
    }

    #[test]
    fn a_smiles_file_becomes_stores() {
        let folder = tempfile::tempdir().unwrap();
        let (input, out) = (folder.path().join("in.smi"), folder.path().join("out"));
        fs::write(&input, "CCO\ta\nC1CC\topen\nCCO\tb\n\nO\nCC(C)(C)(C)C five\nCCCCCCCCC large\nN\ta\n").unwrap();
        let options = EmbedOptions::of(Dtype::F32);
        let poolings = [Pooling::Sum, Pooling::PerAtom];
        let embedded = embed(&input, &mut Molecules::new(Weights), &poolings, options, &out, &Silent).unwrap();
        assert_eq!((embedded.stores.len(), embedded.work.encoded), (2, 3));
        let store = Store::open(out.join("sum")).unwrap();
        assert_eq!(store.detail().modality, "molecule");
        let found: Vec<_> = store.records().map(|r| (r.id, r.row, r.status.name())).collect();
        let invalid = "invalid-smiles";
        let expected = [
            ("a", Some(0), "ok"),
            ("open", None, invalid),
            ("b", Some(0), "ok"),
            ("O", Some(1), "ok"),
            ("five", None, invalid),
            ("large", None, invalid),
            ("a", None, "conflicting-id"),
        ];
        assert_eq!(found, expected);
        let mut vector = [0.0];
        store.copy_row(0, &mut vector);
        assert_eq!(vector, [20.0]);
        let atoms = ResidueStore::open_residues(out.join("per-atom")).unwrap();
        let mut states = [0.0; 3];
        atoms.copy_states(0, &mut states);
        assert_eq!(states, [6.0, 6.0, 8.0]);
        let rejects = fs::read_to_string(out.join("sum/rejects.tsv")).unwrap();
        assert!(rejects.contains("7\tlarge\tinvalid-smiles\ttoo many atoms"), "{rejects}");
    }
}
