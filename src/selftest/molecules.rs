//! A small graph network over molecules as a whole: states by the definition, molecules alone and together.

use super::Subject;
use super::bench::{Bench, Compared, difference};
use super::encoder::SINGLE;
use super::linear::precision;
use super::numbers::wide;
use super::reference::{self, Edges, Rounding};
use super::{bench::in_f64, checkpoint};
use crate::backend::{Activation, Cpu};
use crate::error::{Error, Result};
use crate::models::gin::{Gin, GinConfig, MoleculeBatch};
use crate::mol::{self, Molecule};
use crate::ops::Backend;
use crate::weights::Scope;

/// Aspirin, caffeine, a chiral amino acid, a salt whose atoms have no bonds, methane.
const SMILES: [&str; 5] =
    ["CC(=O)Oc1ccccc1C(=O)O", "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "C[C@H](N)C(=O)O", "[Na+].[Cl-]", "C"];
/// A width that a device pads.
const CONFIG: GinConfig = GinConfig { n_layers: 3, d_model: 20 };
const N_DIRECTIONS: usize = 3;
/// The order of the edge from an atom to itself.
const SELF_ORDER: usize = 4;

pub(super) fn check<B: Subject, A: Activation>(bench: &mut Bench<'_, B>) {
    bench.near::<A>("molecules", "states", states_are_near::<B, A>);
    bench.holds::<A>("molecules", "molecules alone", alone::<B, A>);
}

fn molecules() -> Result<Vec<Molecule>> {
    let refused = |reason| Error::data(format!("a molecule of the self-test is refused: {reason:?}"), "report it");
    SMILES.iter().map(|smiles| mol::parse(smiles).map_err(refused)).collect()
}

fn states<B: Backend, A: Activation>(device: &B, scope: &Scope, molecules: &[Molecule]) -> Result<Vec<f32>> {
    let gin = Gin::load(device, CONFIG, scope, precision::<A>())?;
    let batch = MoleculeBatch::new(molecules)?;
    let mut work = gin.workspace::<A>(device)?;
    gin.forward(device, &batch, &mut work)?;
    work.download(device, &CONFIG, batch.n_atoms())
}

fn states_are_near<B: Subject, A: Activation>(device: &B) -> Result<Compared> {
    let (scope, molecules) = (checkpoint::of_gin(&CONFIG), molecules()?);
    let found = in_f64(&states::<B, A>(device, &scope, &molecules)?);
    let twin = in_f64(&states::<Cpu, A>(&Cpu::single(), &scope, &molecules)?);
    let half = A::NAME == "f16";
    let exact = definition(Rounding::None, half, &scope, &molecules)?;
    let plain = || Ok(difference(&definition(Rounding::Half, half, &scope, &molecules)?, &exact));
    let bound = if half { 2.0 * plain()? } else { SINGLE };
    let from_cpu = Some(difference(&found, &twin));
    Ok(Compared { error: Some(difference(&found, &exact)), bound, from_cpu, fault: None })
}

fn alone<B: Subject, A: Activation>(device: &B) -> Result<Option<String>> {
    let (scope, molecules) = (checkpoint::of_gin(&CONFIG), molecules()?);
    let whole = states::<B, A>(device, &scope, &molecules)?;
    let mut one_by_one = Vec::new();
    for molecule in &molecules {
        one_by_one.extend(states::<B, A>(device, &scope, std::slice::from_ref(molecule))?);
    }
    Ok((whole != one_by_one).then(|| "other bits than in a batch".to_owned()))
}

/// The network in f64.
fn definition(rounding: Rounding, half: bool, scope: &Scope, molecules: &[Molecule]) -> Result<Vec<f64>> {
    let d = CONFIG.d_model;
    let take = |name: &str, shape: &[usize]| Ok::<_, Error>(wide(&scope.take(name, shape)?.to_f32()));
    let row = |table: &[f64], i: usize| table[i * d..(i + 1) * d].to_vec();
    let sum = |a: Vec<f64>, b: Vec<f64>| a.into_iter().zip(b).map(|(a, b)| a + b).collect::<Vec<f64>>();
    let (types, tags) = (take("x_embedding1.weight", &[120, d])?, take("x_embedding2.weight", &[3, d])?);
    let atoms = molecules.iter().flat_map(|molecule| &molecule.atoms);
    let embed =
        |atom: &mol::Atom| sum(row(&types, usize::from(atom.atomic_number) - 1), row(&tags, atom.chirality as usize));
    let mut h: Vec<f64> = atoms.flat_map(embed).map(|x| rounding.of(x)).collect();
    let edges = edges(molecules);
    for layer in 0..CONFIG.n_layers {
        let gnn = scope.within(&format!("gnns.{layer}"));
        let part = |name: &str, shape: &[usize]| Ok::<_, Error>(wide(&gnn.take(name, shape)?.to_f32()));
        let linear = |x: &[f64], name: &str, d_out: usize, d_in: usize| {
            let weight = gnn.take(&format!("{name}.weight"), &[d_out, d_in])?;
            let weight = wide(&if half { weight.rounded_to_f16() } else { weight }.to_f32());
            Ok::<_, Error>(reference::linear(rounding, x, &weight, &part(&format!("{name}.bias"), &[d_out])?, d_in))
        };
        let (orders, directions) = (part("edge_embedding1.weight", &[6, d])?, part("edge_embedding2.weight", &[3, d])?);
        let kinds: Vec<f64> = (0..6 * N_DIRECTIONS)
            .flat_map(|kind| sum(row(&orders, kind / N_DIRECTIONS), row(&directions, kind % N_DIRECTIONS)))
            .collect();
        let messages = reference::aggregate(rounding, &edges, SELF_ORDER * N_DIRECTIONS, &h, &kinds, d);
        let inner: Vec<f64> = linear(&messages, "mlp.0", 2 * d, d)?.into_iter().map(|x| x.max(0.0)).collect();
        let norm = |part: &str| take(&format!("batch_norms.{layer}.{part}"), &[d]);
        let (gamma, variance) = (norm("weight")?, norm("running_var")?);
        let scale = gamma.iter().zip(variance).map(|(gamma, variance)| gamma / (variance + 1e-5).sqrt()).collect();
        let statistics = [norm("running_mean")?, scale, norm("bias")?].concat();
        h = reference::batch_norm(
            rounding,
            &linear(&inner, "mlp.2", d, 2 * d)?,
            &statistics,
            layer + 1 < CONFIG.n_layers,
        );
    }
    Ok(h)
}

/// Each bond in both directions, by the atom that it leads to.
fn edges(molecules: &[Molecule]) -> Edges {
    let mut edges = Edges { offsets: vec![0], ..Edges::default() };
    let mut first = 0;
    for molecule in molecules {
        for atom in 0..molecule.atoms.len() {
            for bond in &molecule.bonds {
                let ends = [(bond.begin, bond.end), (bond.end, bond.begin)];
                for (from, _) in ends.into_iter().filter(|&(_, to)| to == atom) {
                    edges.sources.push((first + from) as u32);
                    edges.kinds.push((bond.order as usize * N_DIRECTIONS + bond.direction as usize) as u32);
                }
            }
            edges.offsets.push(edges.sources.len() as u32);
        }
        first += molecule.atoms.len();
    }
    edges
}
