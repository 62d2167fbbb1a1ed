//! The network by a naive one in f64, alone and in company, and what it refuses.

use safetensors::tensor::TensorView;

use super::batch::{N_ATOM_TYPES, N_BOND_DIRECTIONS, N_BOND_ORDERS, N_CHIRALITIES, SELF_LOOP};
use super::*;
use crate::backend::Cpu;
use crate::error::Error;
use crate::mol::{Atom, Bond, BondDirection, BondOrder, Chirality, Molecule};
use crate::ops::Backend;
use crate::ops::linear::Precision;
use crate::weights::{Checkpoint, Scope};

const CONFIG: GinConfig = GinConfig { n_layers: 3, d_model: 20 };

/// The numbers of a tensor, which its name determines: in [−0.5, 0.5), or in [0.5, 1.5) for what a norm divides and
/// multiplies by.
fn numbers(name: &str, len: usize) -> Vec<f32> {
    let mut state = name.bytes().fold(1u32, |state, byte| state.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let is_scale = name.ends_with("running_var") || name.contains("norms") && name.ends_with("weight");
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - if is_scale { -0.5 } else { 0.5 }
    };
    (0..len).map(next).collect()
}

fn wide(name: &str, shape: &[usize]) -> Vec<f64> {
    numbers(name, shape.iter().product()).into_iter().map(f64::from).collect()
}

fn network<B: Backend>(backend: &B, config: GinConfig) -> Gin<B> {
    let (d, inner) = (config.d_model, config.d_inner());
    let mut shapes = vec![("x_embedding1.weight".to_owned(), vec![120, d])];
    shapes.push(("x_embedding2.weight".to_owned(), vec![3, d]));
    for l in 0..config.n_layers {
        let mut add = |name: &str, shape: &[usize]| shapes.push((name.replace('#', &l.to_string()), shape.to_vec()));
        add("gnns.#.mlp.0.weight", &[inner, d]);
        add("gnns.#.mlp.0.bias", &[inner]);
        add("gnns.#.mlp.2.weight", &[d, inner]);
        add("gnns.#.mlp.2.bias", &[d]);
        add("gnns.#.edge_embedding1.weight", &[6, d]);
        add("gnns.#.edge_embedding2.weight", &[3, d]);
        for part in ["weight", "bias", "running_mean", "running_var"] {
            add(&format!("batch_norms.#.{part}"), &[d]);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let bytes = |(name, shape): &(String, Vec<usize>)| -> Vec<u8> {
        numbers(name, shape.iter().product()).into_iter().flat_map(f32::to_le_bytes).collect()
    };
    let bytes: Vec<_> = shapes.iter().map(bytes).collect();
    let views = shapes.iter().zip(&bytes).map(|((name, shape), bytes)| {
        (name.as_str(), TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, &path).unwrap();
    let scope = Scope::new(Checkpoint::open(&path).unwrap());
    let gin = Gin::load(backend, config, &scope, Precision::F32).unwrap();
    assert!(scope.unused().is_empty());
    gin
}

/// A chain of `n` atoms closed to a ring where `ring`, elements, tags, orders and directions by turns.
fn molecule(n: usize, ring: bool, turn: usize) -> Molecule {
    let chirality = |i: usize| [Chirality::Unspecified, Chirality::Clockwise, Chirality::CounterClockwise][i % 3];
    let order = |i: usize| [BondOrder::Single, BondOrder::Double, BondOrder::Triple, BondOrder::Aromatic][i % 4];
    let direction = |i: usize| [BondDirection::None, BondDirection::Up, BondDirection::Down][i % 3];
    let atom = |i: usize| Atom {
        atomic_number: [6, 7, 8, 16, 118, 1][i % 6],
        isotope: 0,
        charge: 0,
        n_hydrogens: 0,
        chirality: chirality(i),
        aromatic: false,
        in_ring: ring,
    };
    let bond = |i: usize| Bond {
        begin: i % n,
        end: (i + 1) % n,
        order: order(i + turn),
        direction: direction(i + turn),
        in_ring: ring,
    };
    let n_bonds = if ring { n } else { n.saturating_sub(1) };
    Molecule { atoms: (turn..turn + n).map(atom).collect(), bonds: (0..n_bonds).map(bond).collect() }
}

fn states<B: Backend>(backend: &B, gin: &Gin<B>, molecules: &[Molecule]) -> Vec<Vec<f32>> {
    let batch = MoleculeBatch::new(molecules).unwrap();
    let mut work = gin.workspace::<f32>(backend).unwrap();
    gin.forward(backend, &batch, &mut work).unwrap();
    let states = work.download(backend, gin.config(), batch.n_atoms()).unwrap();
    let d = gin.config().d_model;
    batch.molecules().map(|atoms| states[atoms.start * d..atoms.end * d].to_vec()).collect()
}

/// The definition, in f64.
fn naive(molecule: &Molecule) -> Vec<f64> {
    let (d, n_layers) = (CONFIG.d_model, CONFIG.n_layers);
    let row = |table: &[f64], i: usize| table[i * d..(i + 1) * d].to_vec();
    let add = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    let (types, tags) =
        (wide("x_embedding1.weight", &[N_ATOM_TYPES, d]), wide("x_embedding2.weight", &[N_CHIRALITIES, d]));
    let mut h: Vec<Vec<f64>> = Vec::new();
    for atom in &molecule.atoms {
        let mut state = row(&types, usize::from(atom.atomic_number) - 1);
        add(&mut state, &row(&tags, atom.chirality as usize));
        h.push(state);
    }
    for l in 0..n_layers {
        let orders = wide(&format!("gnns.{l}.edge_embedding1.weight"), &[N_BOND_ORDERS, d]);
        let directions = wide(&format!("gnns.{l}.edge_embedding2.weight"), &[N_BOND_DIRECTIONS, d]);
        let mut messages = h.clone();
        for message in &mut messages {
            add(message, &row(&orders, SELF_LOOP / N_BOND_DIRECTIONS));
            add(message, &row(&directions, 0));
        }
        for bond in &molecule.bonds {
            for (from, to) in [(bond.begin, bond.end), (bond.end, bond.begin)] {
                add(&mut messages[to], &h[from]);
                add(&mut messages[to], &row(&orders, bond.order as usize));
                add(&mut messages[to], &row(&directions, bond.direction as usize));
            }
        }
        let linear = |x: &[f64], part: usize, n_out: usize| -> Vec<f64> {
            let weight = wide(&format!("gnns.{l}.mlp.{part}.weight"), &[n_out, x.len()]);
            let bias = wide(&format!("gnns.{l}.mlp.{part}.bias"), &[n_out]);
            let dot = |weight: &[f64]| x.iter().zip(weight).map(|(a, b)| a * b).sum::<f64>();
            weight.chunks(x.len()).zip(bias).map(|(weight, bias)| dot(weight) + bias).collect()
        };
        let norm = |part: &str| wide(&format!("batch_norms.{l}.{part}"), &[d]);
        let (gamma, beta, mean, variance) = (norm("weight"), norm("bias"), norm("running_mean"), norm("running_var"));
        for (h, message) in h.iter_mut().zip(&messages) {
            let inner: Vec<f64> = linear(message, 0, 2 * d).into_iter().map(|x| x.max(0.0)).collect();
            *h = linear(&inner, 2, d);
            for (c, h) in h.iter_mut().enumerate() {
                *h = (*h - mean[c]) / (variance[c] + 1e-5).sqrt() * gamma[c] + beta[c];
                *h = if l + 1 < n_layers { h.max(0.0) } else { *h };
            }
        }
    }
    h.concat()
}

fn as_the_definition<B: Backend>(backend: &B) {
    let gin = network(backend, CONFIG);
    for molecule in [molecule(1, false, 0), molecule(2, false, 1), molecule(9, false, 2), molecule(12, true, 3)] {
        let expected = naive(&molecule);
        let found = states(backend, &gin, &[molecule]).remove(0);
        let largest = expected.iter().fold(1f64, |most, x| most.max(x.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            assert!((f64::from(*found) - expected).abs() <= 2e-6 * largest, "{found} {expected}");
        }
    }
}

fn a_molecule_is_the_same_in_any_company<B: Backend>(backend: &B) {
    let gin = network(backend, GinConfig { n_layers: 2, d_model: 37 });
    let molecules: Vec<Molecule> = (0..40).map(|i| molecule(1 + i * 7 % 23, i % 3 == 0 && i % 23 > 2, i)).collect();
    let together = states(backend, &gin, &molecules);
    for (molecule, state) in molecules.iter().zip(&together) {
        assert_eq!(&states(backend, &gin, std::slice::from_ref(molecule))[0], state);
    }
    let reversed: Vec<Molecule> = molecules.into_iter().rev().collect();
    assert!(states(backend, &gin, &reversed).iter().rev().eq(&together));
}

fn a_workspace_serves_batches_of_any_size<B: Backend>(backend: &B) {
    let gin = network(backend, CONFIG);
    let mut work = gin.workspace::<f32>(backend).unwrap();
    for n in [3, 20, 0, 5] {
        let molecules: Vec<Molecule> = (n > 0).then(|| molecule(n, false, 0)).into_iter().collect();
        let batch = MoleculeBatch::new(&molecules).unwrap();
        gin.forward(backend, &batch, &mut work).unwrap();
        let found = work.download(backend, gin.config(), batch.n_atoms()).unwrap();
        assert_eq!(found, states(backend, &gin, &molecules).concat());
    }
}

#[test]
fn cpu() {
    for backend in [Cpu::single(), Cpu::with_threads(2)] {
        as_the_definition(&backend);
        a_molecule_is_the_same_in_any_company(&backend);
        a_workspace_serves_batches_of_any_size(&backend);
    }
}

#[test]
fn a_molecule_without_atoms_or_with_foreign_ones_is_refused() {
    let mut foreign = molecule(3, false, 0);
    foreign.atoms[1].atomic_number = 0;
    let cases = [(Molecule::default(), "has no atoms"), (foreign, "has atom 2 of no element")];
    for (refused, reason) in cases {
        assert_eq!(MoleculeBatch::refusal(&refused).unwrap(), reason);
        let error = MoleculeBatch::new(&[molecule(2, false, 0), refused]).unwrap_err();
        assert_eq!(error.to_string(), format!("molecule 2 of a batch {reason}"));
    }
    assert_eq!(MoleculeBatch::refusal(&molecule(5, true, 0)), None);
}

#[test]
fn sizes_that_make_no_network_are_refused() {
    for config in [GinConfig { n_layers: 0, ..CONFIG }, GinConfig { d_model: 0, ..CONFIG }] {
        assert!(matches!(config.check(), Err(Error::Data { .. })));
    }
    assert_eq!(GinConfig::default(), GinConfig { n_layers: 5, d_model: 300 });
}
