//! Unpaired electrons of atoms whose hydrogens are given.

use super::element;
use super::graph::Graph;

/// Counts the unpaired electrons of every atom that may not take hydrogens by itself.
pub(super) fn assign(graph: &mut Graph) {
    for atom in 0..graph.atoms.len() {
        if graph.atoms[atom].no_implicit {
            graph.atoms[atom].radicals = unpaired(graph, atom).clamp(0, 255) as u8;
        }
    }
}

fn unpaired(graph: &Graph, number: usize) -> i32 {
    let atom = &graph.atoms[number];
    let charge = i32::from(atom.charge);
    let outer = element::outer_electrons(atom.element);
    if !element::has_valences(atom.element) {
        // A transition metal: only a lone atom is asked whether its electrons pair up.
        return if graph.degree(number) > 0 { 0 } else { (outer - charge).max(0) % 2 };
    }
    let bonds = graph.bonds_of(number).map(|(_, bond)| bond.twice_order()).sum::<i32>();
    let valence = bonds / 2 + i32::from(atom.explicit_h);
    let shell = if atom.element <= 2 { 2 } else { 8 };
    let mut missing = shell - outer - valence + charge;
    if missing < 0 {
        let valences = element::valences(atom.element);
        let higher = valences.iter().map(|v| v - valence + charge).find(|&missing| missing >= 0);
        missing = if valences.len() > 1 { higher.unwrap_or(0) } else { 0 };
    }
    let left = outer - valence - charge;
    if left >= 0 { missing.min(left) } else { missing }
}
