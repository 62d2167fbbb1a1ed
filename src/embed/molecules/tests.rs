//! The whole way from SMILES to stores.

use std::fs;

use super::*;
use crate::data::VectorSource;
use crate::embed::Store;
use crate::embed::pipeline::{EmbedOptions, LongSequences, UnknownLetters, embed};
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
    fn check(&self, molecule: &Molecule) -> Result<(), String> {
        if molecule.atoms.len() < 9 { Ok(()) } else { Err("too many atoms".into()) }
    }
    fn atoms_together(&self) -> usize {
        4
    }
    fn encode(&self, molecules: &[Molecule], poolings: &[Pooling], out: &mut [Places<'_>]) -> Result<()> {
        let n_atoms: usize = molecules.iter().map(|molecule| molecule.atoms.len()).sum();
        assert!(molecules.len() == 1 || n_atoms <= 4);
        for (molecule, out) in molecules.iter().zip(out) {
            for (pooling, out) in poolings.iter().zip(out) {
                for (i, atom) in molecule.atoms.iter().enumerate() {
                    out[if *pooling == Pooling::Sum { 0 } else { i }] += f32::from(atom.atomic_number);
                }
            }
        }
        Ok(())
    }
}

#[test]
fn a_smiles_file_becomes_stores() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("in.smi"), folder.path().join("out"));
    fs::write(&input, "CCO\ta\nC1CC\topen\nCCO\tb\n\nO\nCC(C)(C)(C)C five\nCCCCCCCCC large\nN\ta\n").unwrap();
    let options = EmbedOptions {
        dtype: Dtype::F32,
        unknown: UnknownLetters::Keep,
        max_length: None,
        long: LongSequences::Refuse,
        resume: true,
        force: false,
    };
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
