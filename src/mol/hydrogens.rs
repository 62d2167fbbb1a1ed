//! Written hydrogen atoms become counts of their neighbours, except where they carry information.

use super::graph::{Graph, GraphBond, is_odd_permutation};
use super::molecule::{BondDirection, BondOrder};

/// Removes the hydrogens, highest number first, keeping chirality and bond marks true.
pub(super) fn remove(graph: Graph) -> Graph {
    if graph.atoms.iter().all(|atom| atom.element != 1) {
        return graph;
    }
    let goes: Vec<bool> = (0..graph.atoms.len()).map(|atom| can_go(&graph, atom)).collect();
    if !goes.contains(&true) {
        return graph;
    }
    let mut graph = graph;
    let mut gone = vec![false; graph.bonds.len()];
    for hydrogen in (0..goes.len()).rev().filter(|&atom| goes[atom]) {
        let bond = graph.around(hydrogen)[0].bond;
        fold_into_neighbour(&mut graph, bond, hydrogen, &gone);
        gone[bond] = true;
    }
    renumbered(&graph, &goes, &gone)
}

/// Bonded to exactly one atom that is no hydrogen, not labelled, no hydride, and not the only mark of a double bond.
fn can_go(graph: &Graph, number: usize) -> bool {
    let atom = &graph.atoms[number];
    let &[only] = graph.around(number) else { return false };
    let neighbour = only.neighbour;
    let marks_a_double_bond = graph.degree(neighbour) == 2
        && graph.bonds[only.bond].direction != BondDirection::None
        && graph.bonds_of(neighbour).any(|(_, bond)| bond.order == BondOrder::Double);
    atom.element == 1
        && atom.isotope == 0
        && atom.charge != -1
        && graph.atoms[neighbour].element != 1
        && !marks_a_double_bond
}

fn fold_into_neighbour(graph: &mut Graph, bond: usize, hydrogen: usize, gone: &[bool]) {
    let removed = graph.bonds[bond];
    let heavy = removed.other(hydrogen);
    let left: Vec<usize> = graph.around(heavy).iter().map(|i| i.bond).filter(|&b| b != bond && !gone[b]).collect();
    // The hydrogen now counts as the last neighbour.
    let mut order = left.clone();
    order.push(bond);
    let atom = &mut graph.atoms[heavy];
    atom.explicit_h = atom.explicit_h.saturating_add(1);
    atom.tag = atom.tag.mirrored_if(is_odd_permutation(&order));
    if removed.direction != BondDirection::None {
        hand_over_mark(&mut graph.bonds, &removed, heavy, &left);
    }
}

/// The mark of a removed bond goes to the last unmarked single bond of the heavy atom, unless another one is marked.
fn hand_over_mark(bonds: &mut [GraphBond], removed: &GraphBond, heavy: usize, left: &[usize]) {
    let single = || left.iter().copied().filter(|&b| bonds[b].order == BondOrder::Single);
    if single().any(|b| bonds[b].direction != BondDirection::None) {
        return;
    }
    if let Some(heir) = single().next_back() {
        let both_begin_here = bonds[heir].begin == heavy && removed.begin == heavy;
        bonds[heir].direction = if both_begin_here { removed.direction.reversed() } else { removed.direction };
    }
}

fn renumbered(graph: &Graph, atom_goes: &[bool], bond_goes: &[bool]) -> Graph {
    let mut number = vec![0; atom_goes.len()];
    let mut atoms = Vec::with_capacity(atom_goes.len());
    for (atom, state) in graph.atoms.iter().enumerate().filter(|&(atom, _)| !atom_goes[atom]) {
        number[atom] = atoms.len();
        atoms.push(*state);
    }
    let kept = graph.bonds.iter().zip(bond_goes).filter(|&(_, &goes)| !goes);
    let bonds = kept.map(|(b, _)| GraphBond { begin: number[b.begin], end: number[b.end], ..*b }).collect();
    Graph::new(atoms, bonds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mol::graph::Tag;
    use crate::mol::smiles::read;

    #[test]
    fn plain_hydrogens_become_counts() {
        let graph = remove(read("[H]C([H])([H])O[H]").unwrap());
        let counts: Vec<_> = graph.atoms.iter().map(|atom| (atom.element, atom.explicit_h)).collect();
        assert_eq!(counts, [(6, 3), (8, 1)]);
        assert_eq!((graph.bonds[0].begin, graph.bonds[0].end), (0, 1));
    }

    #[test]
    fn hydrogens_with_a_meaning_stay() {
        for kept in ["[H][H]", "[H]", "[2H]C", "[H-][Na+]", "[H]/N=C/C", "C[H]C"] {
            assert!(remove(read(kept).unwrap()).atoms.iter().any(|atom| atom.element == 1), "{kept}");
        }
    }

    #[test]
    fn chirality_and_marks_stay_true() {
        let tag = |smiles: &str| {
            let graph = remove(read(smiles).unwrap());
            graph.atoms.iter().map(|atom| atom.tag).find(|&tag| tag != Tag::None)
        };
        assert_eq!(tag("[H][C@](C)(N)F"), Some(Tag::Clockwise));
        assert_eq!(tag("C[C@]([H])(N)F"), Some(Tag::CounterClockwise));
        let graph = remove(read("[H]/C(F)=C/C").unwrap());
        let bond = graph.bonds[0];
        assert_eq!((bond.begin, bond.end, bond.direction), (0, 1, BondDirection::Up));
    }
}
