//! Molecules: graphs, states, readouts and codes beside what the reference implementations make of them.

#[path = "support/golden.rs"]
mod golden;

use std::collections::BTreeMap;
use std::path::Path;

use biollmnet::backend::Cpu;
use biollmnet::models::backbone::{Backbone, ImportOptions, Network, import};
use biollmnet::models::gin::{Gin, GinConfig, MoleculeBatch, Readout};
use biollmnet::models::mole_bert::Codebook;
use biollmnet::mol::{Molecule, parse};
use biollmnet::ops::linear::Precision;
use biollmnet::progress::Silent;
use golden::{Differences, Expected};
use serde::Deserialize;

/// |Δ| ÷ max(1, largest expected value). The reference in f32 reaches 6e-7.
const RELATIVE: f64 = 2e-5;

/// Checkpoint, its codebook, and the name of the expected files.
const COMMITTED: [(&str, Option<&str>); 2] =
    [("molebert_tiny.pth", Some("molebert_tiny_vqquantizer.pth")), ("molebert_tiny_legacy.pth", None)];
const SHARED: [(&str, Option<&str>); 2] =
    [("molebert_tiny.pth", None), ("molebert_tiny_vqencoder.pth", Some("molebert_tiny_vqquantizer.pth"))];

#[derive(Deserialize)]
struct Features {
    molecules: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    id: u32,
    smiles: String,
    ok: bool,
    /// Atomic number - 1, chirality.
    #[serde(default)]
    x: Vec<[usize; 2]>,
    /// Begin, end, type, direction.
    #[serde(default)]
    bonds: Vec<[usize; 4]>,
}

#[derive(Deserialize)]
struct Codes {
    codes: Vec<u16>,
}

#[test]
fn committed_molecules_agree() {
    for (checkpoint, codebook) in COMMITTED {
        run(&golden::committed(), checkpoint, codebook, true);
    }
}

#[test]
fn shared_molecules_agree() {
    let Some(folder) = golden::shared() else { return };
    for (checkpoint, codebook) in SHARED {
        // The states that are expected there belong to the first checkpoint only.
        run(&folder, checkpoint, codebook, codebook.is_none());
    }
}

#[track_caller]
fn run(folder: &Path, checkpoint: &str, codebook: Option<&str>, states_known: bool) {
    let molecules = molecules(folder);
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("backbone");
    let options = ImportOptions { codebook: codebook.map(|name| folder.join(name)), ..ImportOptions::default() };
    import(&folder.join(checkpoint), &options, &out, &Silent).unwrap();
    let backbone = Backbone::open(&out).unwrap();
    let Network::MoleBert(sizes) = &backbone.config.network else { panic!("{checkpoint} is no Mole-BERT") };
    let (config, d) = (GinConfig { n_layers: sizes.n_layers, d_model: sizes.d_model }, sizes.d_model);
    let states = states(&backbone, config, &molecules);

    let codes = codebook.map(|_| {
        let codes: BTreeMap<String, Codes> = golden::json(&folder.join("molebert_tiny_codes.json"));
        (Codebook::load(d, backbone.scope()).unwrap(), codes)
    });
    let expected = Expected::read(folder, "molebert_tiny");
    let mut differences = Differences::of(checkpoint);
    for ((id, molecule), nodes) in molecules.iter().zip(&states) {
        let id = id.to_string();
        if let Some((codebook, expected)) = &codes {
            assert_eq!(codebook.codes(molecule, nodes), expected[&id].codes, "{checkpoint}: codes of molecule {id}");
        }
        for what in expected.kinds(&id).into_iter().filter(|_| states_known) {
            let readout = match what {
                "mean" => Some(Readout::Mean),
                "sum" => Some(Readout::Sum),
                "max" => Some(Readout::Max),
                "nodes" => None,
                // What lies between the layers is for whoever looks for a fault.
                _ => continue,
            };
            let found = readout.map_or_else(
                || nodes.clone(),
                |readout| {
                    let mut out = vec![0.0; d];
                    readout.write(nodes, &mut out);
                    out
                },
            );
            let values = expected.get(&id, what).unwrap();
            let largest = values.iter().fold(1.0, |largest: f64, value| largest.max(value.abs()));
            differences.compare(&id, what, &found, values, RELATIVE * largest);
        }
    }
    if states_known {
        differences.report();
    }
}

/// The molecules that the reference accepts, read from SMILES; their graphs must be the reference's.
#[track_caller]
fn molecules(folder: &Path) -> Vec<(u32, Molecule)> {
    let features: Features = golden::json(&folder.join("mol_features.json"));
    let accepted = features.molecules.into_iter().filter(|feature| feature.ok);
    let read = |feature: Feature| {
        let Feature { id, smiles, x, bonds, .. } = feature;
        let molecule = parse(&smiles).unwrap_or_else(|e| panic!("molecule {id}, {smiles}: {e}"));
        let atom = |atom: &biollmnet::mol::Atom| [usize::from(atom.atomic_number) - 1, atom.chirality as usize];
        let bond = |b: &biollmnet::mol::Bond| [b.begin, b.end, b.order as usize, b.direction as usize];
        assert_eq!(molecule.atoms.iter().map(atom).collect::<Vec<_>>(), x, "atoms of {smiles}");
        assert_eq!(molecule.bonds.iter().map(bond).collect::<Vec<_>>(), bonds, "bonds of {smiles}");
        (id, molecule)
    };
    accepted.map(read).collect()
}

/// States of the atoms of each molecule, all in one batch.
fn states(backbone: &Backbone, config: GinConfig, molecules: &[(u32, Molecule)]) -> Vec<Vec<f32>> {
    let cpu = Cpu::all_threads();
    let gin = Gin::load(&cpu, config, backbone.scope(), Precision::F32).unwrap();
    let batch = MoleculeBatch::new(molecules.iter().map(|(_, molecule)| molecule)).unwrap();
    let mut work = gin.workspace(&cpu).unwrap();
    gin.forward(&cpu, &batch, &mut work).unwrap();
    let states = work.download(&cpu, gin.config(), batch.n_atoms()).unwrap();
    batch.molecules().map(|atoms| states[atoms.start * config.d_model..atoms.end * config.d_model].to_vec()).collect()
}
