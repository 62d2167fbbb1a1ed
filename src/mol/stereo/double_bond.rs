//! Double bonds: which side the higher-ranked substituents are on.

use super::super::graph::{Geometry, Graph};
use super::super::molecule::{BondDirection, BondOrder};
use super::super::rings::{Rings, SmallRings};

/// Rings up to this size hold their double bonds.
const LARGEST_RIGID_RING: usize = 7;

/// Double bonds that can have a geometry: two or three bonds at either end, not in a small ring.
pub(super) fn candidates(graph: &Graph, rings: &Rings) -> Vec<usize> {
    let mut small_rings = SmallRings::new(graph);
    let mut free = |bond: usize| !rings.bond_in_ring[bond] || !small_rings.through(bond, LARGEST_RIGID_RING);
    let two_or_three = |atom| matches!(graph.degree(atom), 2 | 3);
    (0..graph.bonds.len())
        .filter(|&number| {
            let bond = &graph.bonds[number];
            bond.order == BondOrder::Double && two_or_three(bond.begin) && two_or_three(bond.end) && free(number)
        })
        .collect()
}

/// Finds the geometry of the candidates; those found are no candidates any more. Returns whether one without marks is
/// left over and whether anything was found. Contradicting marks are deleted.
pub(super) fn assign(graph: &mut Graph, ranks: &[usize], candidates: &mut Vec<usize>) -> (bool, bool) {
    let (mut left_over, mut found) = (false, false);
    let mut contradicting = Vec::new();
    let mut rest = Vec::new();
    for &number in candidates.iter() {
        let (begin, end) = (graph.bonds[number].begin, graph.bonds[number].end);
        let sides = (marks(graph, begin, number, ranks), marks(graph, end, number, ranks));
        let (Some(begin_side), Some(end_side)) = sides else {
            left_over = true;
            rest.push(number);
            continue;
        };
        found = true;
        let wrong = [&begin_side, &end_side].into_iter().filter(|side| side.contradiction);
        let before = contradicting.len();
        contradicting.extend(wrong.flat_map(|side| side.bonds.clone()));
        if contradicting.len() > before {
            rest.push(number);
            continue;
        }
        let together = begin_side.highest == end_side.highest;
        graph.bonds[number].geometry = if together { Geometry::Together } else { Geometry::Opposite };
    }
    for bond in contradicting {
        graph.bonds[bond].direction = BondDirection::None;
    }
    *candidates = rest;
    (left_over, found)
}

/// Marks at one end of a double bond, seen from that end.
struct Side {
    /// Mark of the higher-ranked substituent.
    highest: BondDirection,
    bonds: Vec<usize>,
    contradiction: bool,
}

/// `None` where there is no mark or the two substituents are equal.
fn marks(graph: &Graph, atom: usize, double: usize, ranks: &[usize]) -> Option<Side> {
    let mut substituents: Vec<(usize, usize, BondDirection)> = Vec::with_capacity(2);
    for i in graph.around(atom).iter().filter(|i| i.bond != double) {
        let bond = &graph.bonds[i.bond];
        let seen_from_here = if bond.begin == atom { bond.direction } else { bond.direction.reversed() };
        substituents.push((ranks[i.neighbour], i.bond, seen_from_here));
    }
    let bonds = substituents.iter().map(|s| s.1).collect();
    match substituents[..] {
        [(_, _, mark)] if mark != BondDirection::None => Some(Side { highest: mark, bonds, contradiction: false }),
        [(rank_a, _, a), (rank_b, _, b)] if rank_a != rank_b => {
            // One mark says where both substituents are.
            let (a, b) = match (a, b) {
                (BondDirection::None, BondDirection::None) => return None,
                (BondDirection::None, b) => (b.reversed(), b),
                (a, BondDirection::None) => (a, a.reversed()),
                both => both,
            };
            Some(Side { highest: if rank_a > rank_b { a } else { b }, bonds, contradiction: a == b })
        }
        _ => None,
    }
}
