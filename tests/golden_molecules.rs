//! Molecules: graphs, states, readouts and codes beside what the reference implementations make of them.

#[path = "support/golden.rs"]
mod golden;
#[path = "support/standin.rs"]
mod standin;

use std::collections::BTreeMap;
use std::path::Path;

use biollmnet::backend::{Activation, Cpu, Cuda};
use biollmnet::models::backbone::{Backbone, ImportOptions, Network, import};
use biollmnet::models::gin::{Gin, GinConfig, MoleculeBatch, Readout};
use biollmnet::models::mole_bert::Codebook;
use biollmnet::mol::{Molecule, parse};
use biollmnet::ops::Backend;
use biollmnet::ops::linear::Precision;
use biollmnet::progress::Silent;
use golden::{Differences, Expected};
use half::f16;
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
        run(&Cpu::all_threads(), &golden::committed(), checkpoint, codebook, true);
    }
}

#[test]
fn committed_molecules_agree_on_cuda() {
    let Some(_) = standin::load() else { return };
    let (folder, cuda) = (golden::committed(), Cuda::open(0).unwrap());
    for (checkpoint, codebook) in COMMITTED {
        run(&cuda, &folder, checkpoint, codebook, true);
    }
    // In f16 the device may err at most twice what one op after the other, each rounded, errs.
    let plain = worst::<_, f16>(&Cpu::all_threads(), &folder, Precision::F16);
    let found = worst::<_, f16>(&cuda, &folder, Precision::F16);
    println!("f16: largest relative error {found:.1e} on CUDA, {plain:.1e} of the plain computation");
    assert!(found <= 2.0 * plain);
}

/// Largest |Δ| ÷ max(1, largest expected value) of the states of the committed molecules.
fn worst<B: Backend, A: Activation>(backend: &B, folder: &Path, precision: Precision) -> f64 {
    let temporary = tempfile::tempdir().unwrap();
    let (backbone, config) = open(folder, COMMITTED[0].0, None, temporary.path());
    let molecules = molecules(folder);
    let expected = Expected::read(folder, "molebert_tiny");
    let states = states::<B, A>(backend, &backbone, config, precision, &molecules);
    let error = |((id, _), nodes): (&(u32, Molecule), &Vec<f32>)| {
        let values = expected.get(&id.to_string(), "nodes")?;
        let largest = values.iter().fold(1.0, |largest: f64, value| largest.max(value.abs()));
        Some(nodes.iter().zip(values).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max) / largest)
    };
    let errors: Vec<f64> = molecules.iter().zip(&states).filter_map(error).collect();
    assert!(!errors.is_empty());
    errors.into_iter().fold(0.0, f64::max)
}

#[test]
fn shared_molecules_agree() {
    let Some(folder) = golden::shared() else { return };
    for (checkpoint, codebook) in SHARED {
        // The states that are expected there belong to the first checkpoint only.
        run(&Cpu::all_threads(), &folder, checkpoint, codebook, codebook.is_none());
    }
}

#[track_caller]
fn open(folder: &Path, checkpoint: &str, codebook: Option<&str>, temporary: &Path) -> (Backbone, GinConfig) {
    let out = temporary.join("backbone");
    let options = ImportOptions { codebook: codebook.map(|name| folder.join(name)), ..ImportOptions::default() };
    import(&folder.join(checkpoint), &options, &out, &Silent).unwrap();
    let backbone = Backbone::open(&out).unwrap();
    let Network::MoleBert(sizes) = &backbone.config.network else { panic!("{checkpoint} is no Mole-BERT") };
    let config = GinConfig { n_layers: sizes.n_layers, d_model: sizes.d_model };
    (backbone, config)
}

#[track_caller]
fn run<B: Backend>(backend: &B, folder: &Path, checkpoint: &str, codebook: Option<&str>, states_known: bool) {
    let molecules = molecules(folder);
    let temporary = tempfile::tempdir().unwrap();
    let (backbone, config) = open(folder, checkpoint, codebook, temporary.path());
    let d = config.d_model;
    let states = states::<B, f32>(backend, &backbone, config, Precision::F32, &molecules);

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
fn states<B: Backend, A: Activation>(
    backend: &B,
    backbone: &Backbone,
    config: GinConfig,
    precision: Precision,
    molecules: &[(u32, Molecule)],
) -> Vec<Vec<f32>> {
    let gin = Gin::load(backend, config, backbone.scope(), precision).unwrap();
    let batch = MoleculeBatch::new(molecules.iter().map(|(_, molecule)| molecule)).unwrap();
    let mut work = gin.workspace::<A>(backend).unwrap();
    gin.forward(backend, &batch, &mut work).unwrap();
    let states = work.download(backend, gin.config(), batch.n_atoms()).unwrap();
    batch.molecules().map(|atoms| states[atoms.start * config.d_model..atoms.end * config.d_model].to_vec()).collect()
}
