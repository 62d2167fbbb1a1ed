//! Small molecules: SMILES to a graph with RDKit's result.

mod molecule;

pub use molecule::{Atom, Bond, BondDirection, BondOrder, Chirality, Molecule};
