//! Chiral tags from the order of neighbours in the SMILES to the order of bonds in the graph.

use super::super::graph::{Graph, is_odd_permutation};
use super::super::molecule::BondOrder;
use super::ring_closure::RingDigit;

/// Mirrors each tag whose neighbours stand in another order among the bonds than in the SMILES:
/// preceding atom, ring digits as written, branches and the next atom; a hydrogen in the bracket counts as last.
pub(super) fn to_bond_order(graph: &mut Graph, digits: &[RingDigit], ends: &[usize]) {
    let mut written = Vec::new();
    // The digits of one atom follow each other except behind branches: find each atom's digits by a stable sort.
    let mut by_atom: Vec<usize> = (0..digits.len()).collect();
    by_atom.sort_by_key(|&i| digits[i].atom);
    let mut next_digit = 0;
    for atom in 0..graph.atoms.len() {
        let first = next_digit;
        while by_atom.get(next_digit).is_some_and(|&i| digits[i].atom == atom) {
            next_digit += 1;
        }
        if !graph.atoms[atom].tag.is_tetrahedral() {
            continue;
        }
        let own = &by_atom[first..next_digit];
        let closures = own.iter().map(|&i| ends[i]);
        // A part of the SMILES is a tree: the one chain neighbour with a lower number is the preceding atom.
        let chain = |before: bool| {
            let chain = graph.around(atom).iter().filter(move |i| (i.neighbour < atom) == before);
            chain.filter(|i| !own.iter().any(|&d| ends[d] == i.bond)).map(|i| (i.neighbour, i.bond))
        };
        written.clear();
        written.extend(chain(true).map(|(_, bond)| bond));
        written.extend(closures);
        let following = written.len();
        written.extend(chain(false).map(|(_, bond)| bond));
        written[following..].sort_unstable();
        let mut odd = is_odd_permutation(&written);
        odd ^= graph.degree(atom) == 3 && sees_three_neighbours_from_elsewhere(graph, atom, own.len());
        graph.atoms[atom].tag = graph.atoms[atom].tag.mirrored_if(odd);
    }
}

/// With three neighbours the fourth place is the hydrogen or the lone pair. At the start of a part the written hydrogen
/// stands first instead of last; an atom without hydrogen whose one ring digit stands before its next neighbours is
/// read with the lone pair on the other side, unless it has a multiple bond.
fn sees_three_neighbours_from_elsewhere(graph: &Graph, atom: usize, closures: usize) -> bool {
    let one_hydrogen = graph.atoms[atom].explicit_h == 1;
    let saturated = || graph.bonds_of(atom).all(|(_, bond)| bond.order == BondOrder::Single);
    (graph.atoms[atom].starts_part && one_hydrogen) || (!one_hydrogen && closures == 1 && saturated())
}
