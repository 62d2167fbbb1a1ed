//! Conjugated bonds and sp³ atoms, which decide whether an atom can be a stereo centre.

use super::electrons;
use super::element;
use super::graph::{Graph, Tag};

/// Per atom.
pub(super) struct Hybridisation {
    /// The atom is sp³.
    pub(super) sp3: Vec<bool>,
    /// One of its bonds is conjugated.
    pub(super) conjugated: Vec<bool>,
}

/// Finds conjugated bonds, then counts orbitals.
pub(super) fn assign(graph: &Graph) -> Hybridisation {
    let bonds = conjugated_bonds(graph);
    let n = graph.atoms.len();
    let conjugated: Vec<bool> = (0..n).map(|atom| graph.around(atom).iter().any(|i| bonds[i.bond])).collect();
    let sp3 = (0..n).map(|atom| is_sp3(graph, atom, conjugated[atom])).collect();
    Hybridisation { sp3, conjugated }
}

/// Aromatic bonds, and a multiple bond with its neighbour bond where all three atoms have electrons to share.
fn conjugated_bonds(graph: &Graph) -> Vec<bool> {
    let mut conjugated: Vec<bool> = graph.bonds.iter().map(|bond| bond.aromatic).collect();
    let shares: Vec<bool> = (0..graph.atoms.len()).map(|atom| can_share(graph, atom)).collect();
    for atom in (0..graph.atoms.len()).filter(|&atom| shares[atom]) {
        if !matches!(graph.total_degree(atom), 2 | 3) {
            continue;
        }
        for first in graph.around(atom) {
            if graph.bonds[first.bond].twice_order() < 3 || !shares[first.neighbour] {
                continue;
            }
            for second in graph.around(atom).iter().filter(|second| second.bond != first.bond) {
                if shares[second.neighbour] && graph.total_degree(second.neighbour) <= 3 {
                    conjugated[first.bond] = true;
                    conjugated[second.bond] = true;
                }
            }
        }
    }
    conjugated
}

/// Not hypervalent, not in the columns of P and S below the first row (but O- and S-like ends), with electrons to share.
fn can_share(graph: &Graph, number: usize) -> bool {
    let atom = &graph.atoms[number];
    let default = element::default_valence(atom.element);
    if atom.charge == 0 && default >= 0 && atom.total_valence() > default {
        return false;
    }
    let outer = element::outer_electrons(atom.element);
    let end = outer == 6 && graph.total_degree(number) < 2;
    (atom.element <= 10 || !matches!(outer, 5 | 6) || end) && electrons::available(graph, number).is_some_and(|e| e > 0)
}

fn is_sp3(graph: &Graph, number: usize, conjugated: bool) -> bool {
    let atom = &graph.atoms[number];
    let degree = graph.total_degree(number);
    if atom.tag.is_tetrahedral() && degree == 4 {
        return true;
    }
    let orbitals = if atom.element <= 1 || atom.element >= 89 { degree } else { degree + lone_pairs(graph, number) };
    orbitals == 4 && (degree > 3 || !conjugated)
}

/// Lone pairs, and below an octet single electrons too.
fn lone_pairs(graph: &Graph, number: usize) -> i32 {
    let atom = &graph.atoms[number];
    let outer = element::outer_electrons(atom.element);
    let charge = i32::from(atom.charge);
    let free = outer - (atom.total_valence() + charge);
    if atom.total_valence() + outer - charge < 8 {
        let radicals = i32::from(atom.radicals);
        (free - radicals) / 2 + radicals
    } else {
        free / 2
    }
}

/// Takes tetrahedral tags away from atoms that are not sp³.
pub(super) fn clear_flat_centres(graph: &mut Graph, hybridisation: &Hybridisation) {
    for (atom, &sp3) in graph.atoms.iter_mut().zip(&hybridisation.sp3) {
        if atom.tag.is_tetrahedral() && !sp3 {
            atom.tag = Tag::None;
        }
    }
}
