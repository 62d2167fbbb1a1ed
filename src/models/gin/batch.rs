//! Molecules packed as one graph.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::mol::Molecule;

/// Rows of the table of atom types: elements, and two for masked atoms.
pub(super) const N_ATOM_TYPES: usize = 120;
/// Rows of the table of chiral tags.
pub(super) const N_CHIRALITIES: usize = 3;
/// Rows of the table of bond orders: four orders, the self loop, and one for masked bonds.
pub(super) const N_BOND_ORDERS: usize = 6;
/// Rows of the table of bond directions.
pub(super) const N_BOND_DIRECTIONS: usize = 3;
/// Kinds of edges: order and direction together.
pub(super) const N_KINDS: usize = N_BOND_ORDERS * N_BOND_DIRECTIONS;
/// The kind of the edge from an atom to itself.
pub(super) const SELF_LOOP: usize = 4 * N_BOND_DIRECTIONS;
const N_ELEMENTS: u8 = 118;

/// Molecules packed as one graph: atoms one molecule after the other, each bond in both directions.
#[derive(Debug, Clone)]
pub struct MoleculeBatch {
    /// `(type, chirality)` of each atom; the type is the atomic number − 1.
    pub(super) atoms: Vec<(u8, u8)>,
    /// Where the edges into each atom begin, `[n_atoms + 1]`.
    pub(super) offsets: Vec<u32>,
    /// Atom at the other end of each edge.
    pub(super) sources: Vec<u32>,
    /// Kind of each edge.
    pub(super) kinds: Vec<u32>,
    /// Where the atoms of each molecule begin, `[n_molecules + 1]`.
    first_atoms: Vec<usize>,
}

impl MoleculeBatch {
    /// Packs `molecules`.
    ///
    /// # Errors
    /// [`Error::Data`] for what [`Self::refusal`] refuses.
    pub fn new<'a>(molecules: impl IntoIterator<Item = &'a Molecule>) -> Result<Self> {
        let mut batch =
            Self { atoms: Vec::new(), offsets: vec![0], sources: Vec::new(), kinds: Vec::new(), first_atoms: vec![0] };
        for molecule in molecules {
            if let Some(reason) = Self::refusal(molecule) {
                let which = batch.n_molecules() + 1;
                return Err(Error::data(format!("molecule {which} of a batch {reason}"), "leave it out"));
            }
            batch.push(molecule);
        }
        Ok(batch)
    }

    /// Why the network cannot take `molecule`; `None` where it can.
    #[must_use]
    pub fn refusal(molecule: &Molecule) -> Option<String> {
        if molecule.atoms.is_empty() {
            return Some("has no atoms".to_owned());
        }
        let foreign = molecule.atoms.iter().position(|atom| !(1..=N_ELEMENTS).contains(&atom.atomic_number));
        foreign.map(|atom| format!("has atom {} of no element", atom + 1))
    }

    fn push(&mut self, molecule: &Molecule) {
        let first = self.atoms.len();
        self.atoms.extend(molecule.atoms.iter().map(|atom| (atom.atomic_number - 1, atom.chirality as u8)));
        // `(target, source, kind)` in the order of the bonds, then gathered by target.
        let mut edges = Vec::with_capacity(2 * molecule.bonds.len());
        for bond in &molecule.bonds {
            let kind = bond.order as usize * N_BOND_DIRECTIONS + bond.direction as usize;
            edges.extend([(bond.begin, bond.end, kind), (bond.end, bond.begin, kind)]);
        }
        edges.sort_by_key(|edge| edge.0);
        let before = self.sources.len();
        let into = |atom: usize| before + edges.partition_point(|edge| edge.0 <= atom);
        self.offsets.extend((0..molecule.atoms.len()).map(|atom| into(atom) as u32));
        self.sources.extend(edges.iter().map(|edge| (first + edge.1) as u32));
        self.kinds.extend(edges.iter().map(|edge| edge.2 as u32));
        self.first_atoms.push(self.atoms.len());
    }

    /// Atoms of all molecules.
    #[must_use]
    pub fn n_atoms(&self) -> usize {
        self.atoms.len()
    }
    /// Molecules.
    #[must_use]
    pub fn n_molecules(&self) -> usize {
        self.first_atoms.len() - 1
    }
    /// The atoms of each molecule, in order.
    #[must_use]
    pub fn molecules(&self) -> impl ExactSizeIterator<Item = Range<usize>> {
        self.first_atoms.windows(2).map(|ends| ends[0]..ends[1])
    }
}
