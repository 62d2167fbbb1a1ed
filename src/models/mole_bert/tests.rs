//! Against the published implementation's states, means and codes, on the reference cases beside the repository.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::backend::Cpu;
use crate::models::gin::{Gin, GinConfig, MoleculeBatch, Readout};
use crate::mol::{Atom, Bond, BondDirection, BondOrder, Chirality, Molecule};
use crate::ops::linear::Precision;
use crate::weights::naming::{Naming, Rule};
use crate::weights::{Checkpoint, Scope};

const TINY: GinConfig = GinConfig { n_layers: 3, d_model: 64 };

fn golden() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: ../shared is absent");
    None
}

/// The molecules that the reference accepted, by their number. Of their atoms the table has what the network reads.
fn molecules(golden: &Path) -> Vec<(u64, Molecule)> {
    let table: Value = serde_json::from_slice(&fs::read(golden.join("mol_features.json")).unwrap()).unwrap();
    let number = |value: &Value| value.as_u64().unwrap() as usize;
    let atom = |x: &Value| Atom {
        atomic_number: number(&x[0]) as u8 + 1,
        isotope: 0,
        charge: 0,
        n_hydrogens: 0,
        chirality: [Chirality::Unspecified, Chirality::Clockwise, Chirality::CounterClockwise][number(&x[1])],
        aromatic: false,
        in_ring: false,
    };
    let bond = |x: &Value| Bond {
        begin: number(&x[0]),
        end: number(&x[1]),
        order: [BondOrder::Single, BondOrder::Double, BondOrder::Triple, BondOrder::Aromatic][number(&x[2])],
        direction: [BondDirection::None, BondDirection::Up, BondDirection::Down][number(&x[3])],
        in_ring: false,
    };
    let accepted = table["molecules"].as_array().unwrap().iter().filter(|molecule| molecule["ok"] == true);
    let read = |molecule: &Value| Molecule {
        atoms: molecule["x"].as_array().unwrap().iter().map(atom).collect(),
        bonds: molecule["bonds"].as_array().unwrap().iter().map(bond).collect(),
    };
    accepted.map(|molecule| (molecule["id"].as_u64().unwrap(), read(molecule))).collect()
}

/// States of the atoms of each molecule, all in one batch.
fn states(weights: &Path, molecules: &[(u64, Molecule)]) -> Vec<Vec<f32>> {
    let backend = Cpu::with_threads(2);
    let gin = Gin::load(&backend, TINY, &Scope::new(Checkpoint::open(weights).unwrap()), Precision::F32).unwrap();
    let batch = MoleculeBatch::new(molecules.iter().map(|(_, molecule)| molecule)).unwrap();
    let mut work = gin.workspace::<f32>(&backend).unwrap();
    gin.forward(&backend, &batch, &mut work).unwrap();
    let states = work.download(&backend, gin.config(), batch.n_atoms()).unwrap();
    batch.molecules().map(|atoms| states[atoms.start * 64..atoms.end * 64].to_vec()).collect()
}

#[test]
fn states_and_means_are_those_of_the_published_network() {
    let Some(golden) = golden() else { return };
    let molecules = molecules(&golden);
    let bytes = fs::read(golden.join("molebert_tiny.expected.safetensors")).unwrap();
    let expected = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let (mut compared, mut worst) = ([0, 0], 0f64);
    for ((id, molecule), found) in molecules.iter().zip(states(&golden.join("molebert_tiny.pth"), &molecules)) {
        let mut mean = vec![0.0; 64];
        Readout::Mean.write(&found, &mut mean);
        for (count, (what, found)) in compared.iter_mut().zip([("mean", mean), ("nodes", found)]) {
            let Ok(tensor) = expected.tensor(&format!("{id}.{what}")) else { continue };
            let expected: Vec<f64> = bytemuck::pod_collect_to_vec(tensor.data());
            assert_eq!(expected.len(), found.len(), "{id} {} atoms", molecule.atoms.len());
            let largest = expected.iter().fold(1f64, |most, x| most.max(x.abs()));
            let difference = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs() / largest;
            worst = found.iter().zip(&expected).map(difference).fold(worst, f64::max);
            *count += 1;
        }
    }
    println!("{compared:?} means and states compared, largest difference {worst:.1e} of max(1, largest value)");
    // States are there of every third molecule.
    assert!(compared[0] == molecules.len() && compared[1] > molecules.len() / 4, "{compared:?}");
    assert!(worst <= 2e-5, "{worst}");
}

#[test]
fn codes_are_those_of_the_published_tokenizer() {
    let Some(golden) = golden() else { return };
    let molecules = molecules(&golden);
    let quantizer = Checkpoint::open(&golden.join("molebert_tiny_vqquantizer.pth")).unwrap();
    let rules = &[Rule { from: "embeddings.weight", to: &["codebook.weight"] }];
    let naming = Naming { prefixes: &[], rules, ignored: &[] };
    let codebook = Codebook::load(64, &Scope::renamed(quantizer, &naming).unwrap()).unwrap();
    let expected: Value = serde_json::from_slice(&fs::read(golden.join("molebert_tiny_codes.json")).unwrap()).unwrap();
    let states = states(&golden.join("molebert_tiny_vqencoder.pth"), &molecules);
    let mut compared = 0;
    for ((id, molecule), states) in molecules.iter().zip(&states) {
        let codes = codebook.codes(molecule, states);
        let expected = &expected[id.to_string()]["codes"];
        assert_eq!(serde_json::json!(codes), *expected, "molecule {id}");
        compared += codes.len();
    }
    println!("{compared} codes compared");
}
