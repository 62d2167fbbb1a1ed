//! The circular environments of a molecule as hashes.

use rustc_hash::FxHashSet;

use super::isotope::delta_mass;
use crate::mol::{Atom, BondOrder, Molecule};

/// Bonds from the centre of an environment to its rim, at most.
const RADIUS: u32 = 2;

/// Folds `value` into the running hash.
fn fold(hash: u32, value: u32) -> u32 {
    // 2³² over the golden ratio, as in every hash of this family; other constants would set other bits.
    hash ^ value.wrapping_add(0x9e37_79b9).wrapping_add(hash << 6).wrapping_add(hash >> 2)
}

/// The hash of an atom alone: atomic number, neighbours with implied hydrogens, hydrogens of either kind, charge, whole
/// mass difference of its isotope, and a 1 for atoms in rings.
fn atom_hash(atom: Atom, degree: usize, hydrogen_neighbours: usize) -> u32 {
    let implied = usize::from(atom.n_hydrogens);
    let connectivity = [
        u32::from(atom.atomic_number),
        (degree + implied) as u32,
        (hydrogen_neighbours + implied) as u32,
        i32::from(atom.charge).cast_unsigned(),
        delta_mass(atom.atomic_number, atom.isotope).cast_unsigned(),
    ];
    let hash = connectivity.into_iter().fold(0, fold);
    if atom.in_ring { fold(hash, 1) } else { hash }
}

fn bond_code(order: BondOrder) -> u32 {
    match order {
        BondOrder::Single => 1,
        BondOrder::Double => 2,
        BondOrder::Triple => 3,
        BondOrder::Aromatic => 12,
    }
}

/// An atom on its way from radius to radius.
struct Centre {
    /// `(bond, neighbour)` of each of its bonds.
    bonds: Vec<(usize, usize)>,
    /// Hash of its environment.
    hash: u32,
    /// The environment's bonds, as a set of bits.
    covered: Vec<u64>,
    /// Whether a wider environment can still be new.
    growing: bool,
}

/// Hashes of all environments of at most two bonds around any atom. Environments of the same bonds count once: the
/// narrowest, and of equally wide ones the one with the smallest hash.
pub(super) fn hashes(molecule: &Molecule) -> Vec<u32> {
    let mut centres = centres(molecule);
    let mut found: Vec<u32> = centres.iter().map(|centre| centre.hash).collect();
    let mut seen: FxHashSet<Vec<u64>> = FxHashSet::default();
    let mut order: Vec<usize> = Vec::with_capacity(centres.len());
    for radius in 0..RADIUS {
        let wider: Vec<(u32, Vec<u64>)> =
            centres.iter().map(|centre| widen(centre, radius, &centres, molecule)).collect();
        for (centre, (hash, covered)) in centres.iter_mut().zip(wider) {
            (centre.hash, centre.covered) = (hash, covered);
        }
        order.clear();
        order.extend((0..centres.len()).filter(|&atom| centres[atom].growing));
        order.sort_unstable_by_key(|&atom| centres[atom].hash);
        for &atom in &order {
            let centre = &mut centres[atom];
            centre.growing = !seen.contains(&centre.covered);
            if centre.growing {
                seen.insert(centre.covered.clone());
                found.push(centre.hash);
            }
        }
    }
    found
}

/// Every atom by itself.
fn centres(molecule: &Molecule) -> Vec<Centre> {
    let mut bonds: Vec<Vec<(usize, usize)>> = vec![Vec::with_capacity(4); molecule.atoms.len()];
    for (index, bond) in molecule.bonds.iter().enumerate() {
        bonds[bond.begin].push((index, bond.end));
        bonds[bond.end].push((index, bond.begin));
    }
    let words = molecule.bonds.len().div_ceil(64);
    let is_hydrogen = |&&(_, neighbour): &&(usize, usize)| molecule.atoms[neighbour].atomic_number == 1;
    let alone = |(atom, bonds): (&Atom, Vec<(usize, usize)>)| Centre {
        hash: atom_hash(*atom, bonds.len(), bonds.iter().filter(is_hydrogen).count()),
        covered: vec![0; words],
        growing: !bonds.is_empty(),
        bonds,
    };
    molecule.atoms.iter().zip(bonds).map(alone).collect()
}

/// Hash and bonds of the environment one bond wider than `radius`: the neighbours' environments joined to this one.
fn widen(centre: &Centre, radius: u32, centres: &[Centre], molecule: &Molecule) -> (u32, Vec<u64>) {
    let mut covered = centre.covered.clone();
    let mut rim: Vec<(u32, u32)> = Vec::with_capacity(centre.bonds.len());
    for &(bond, neighbour) in &centre.bonds {
        covered[bond / 64] |= 1 << (bond % 64);
        for (word, other) in covered.iter_mut().zip(&centres[neighbour].covered) {
            *word |= other;
        }
        rim.push((bond_code(molecule.bonds[bond].order), centres[neighbour].hash));
    }
    // Sorted, so that the order of the atoms does not matter.
    rim.sort_unstable();
    let pair = |(bond, neighbour): (u32, u32)| fold(fold(0, bond), neighbour);
    (rim.into_iter().map(pair).fold(fold(radius, centre.hash), fold), covered)
}
