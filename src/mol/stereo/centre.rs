//! Tetrahedral centres: which atoms can be one, and on which side they are.

use super::super::graph::{Graph, Tag, is_odd_permutation};
use super::super::hybridisation::Hybridisation;
use super::super::refusal::Refusal;
use super::super::rings::{Rings, relevant_rings};

/// Side of a centre by the ranks of its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handedness {
    Unknown,
    Left,
    Right,
}

/// Atoms that are stereo centres if their neighbours all differ.
pub(super) fn possible_centres(
    graph: &Graph,
    rings: &Rings,
    hybridisation: &Hybridisation,
) -> Result<Vec<bool>, Refusal> {
    (0..graph.atoms.len()).map(|atom| is_possible(graph, rings, hybridisation, atom)).collect()
}

fn is_possible(graph: &Graph, rings: &Rings, hybridisation: &Hybridisation, number: usize) -> Result<bool, Refusal> {
    let atom = &graph.atoms[number];
    let (degree, hydrogens) = (graph.degree(number), atom.total_h());
    if !(3..=4).contains(&(degree + hydrogens)) {
        return Ok(false);
    }
    Ok(match (degree, hydrogens, atom.element) {
        // Phosphines and arsines count their hydrogens as neighbours.
        (..=2, _, element) => matches!(element, 15 | 33),
        (3, 1, _) => !graph.bonds_of(number).any(|(n, _)| graph.atoms[n].element == 1 && graph.atoms[n].isotope == 0),
        (3, _, 7) => {
            hybridisation.sp3[number] && !hybridisation.conjugated[number] && is_held_nitrogen(graph, rings, number)?
        }
        (3, _, 15 | 33) => true,
        (3, _, 16 | 34) => atom.explicit_valence == 4 || (atom.explicit_valence == 3 && atom.charge == 1),
        (3, ..) => false,
        _ => true,
    })
}

/// A nitrogen that cannot turn inside out: in a three-membered ring or at a bridgehead.
pub(super) fn is_held_nitrogen(graph: &Graph, rings: &Rings, number: usize) -> Result<bool, Refusal> {
    let around = graph.around(number);
    let triangle = around.iter().any(|a| around.iter().any(|b| graph.bond_between(a.neighbour, b.neighbour).is_some()));
    Ok(triangle || is_bridgehead(graph, rings, number)?)
}

/// At least three ring bonds, and every ring of the atom shares two bonds or more with another ring of the atom.
fn is_bridgehead(graph: &Graph, rings: &Rings, number: usize) -> Result<bool, Refusal> {
    if graph.around(number).iter().filter(|i| rings.bond_in_ring[i.bond]).count() < 3 {
        return Ok(false);
    }
    let all = vec![true; graph.atoms.len()];
    let Some(bond) = graph.around(number).iter().map(|i| i.bond).find(|&bond| rings.bond_in_ring[bond]) else {
        return Ok(false);
    };
    // With three ring bonds in all they belong to one system.
    let mut own = relevant_rings(graph, &rings.systems[rings.system_of_bond[bond]], &all)?;
    own.retain(|ring| ring.atoms.contains(&number));
    let overlaps =
        |i: usize, j: usize| i != j && own[i].bonds.iter().filter(|bond| own[j].bonds.contains(bond)).nth(1).is_some();
    Ok((0..own.len()).all(|i| (0..own.len()).any(|j| overlaps(i, j))))
}

/// Gives every tagged centre with distinct neighbours its side. Returns whether a possible centre is left over and
/// whether a side was given.
pub(super) fn assign(graph: &Graph, centres: &[bool], ranks: &[usize], handedness: &mut [Handedness]) -> (bool, bool) {
    let (mut left_over, mut assigned) = (false, false);
    let mut neighbours = Vec::with_capacity(4);
    for number in (0..graph.atoms.len()).filter(|&number| centres[number]) {
        if handedness[number] != Handedness::Unknown {
            continue;
        }
        let atom = &graph.atoms[number];
        neighbours.clear();
        neighbours.extend(graph.around(number).iter().map(|i| (ranks[i.neighbour], i.bond)));
        neighbours.sort_unstable();
        let distinct = neighbours.windows(2).all(|pair| pair[0].0 != pair[1].0);
        if atom.tag == Tag::None || !distinct {
            left_over = true;
            continue;
        }
        let by_rank: Vec<usize> = neighbours.iter().map(|n| n.1).collect();
        let odd = is_odd_permutation(&by_rank) ^ (by_rank.len() == 3 && atom.total_h() == 1);
        let left = atom.tag.mirrored_if(odd) == Tag::CounterClockwise;
        handedness[number] = if left { Handedness::Left } else { Handedness::Right };
        assigned = true;
    }
    (left_over, assigned)
}
