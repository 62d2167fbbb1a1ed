//! Centres in rings with two equal ways around, which mean something only relative to each other
//! (`C[C@H]1CC[C@@H](C)CC1`).

use super::super::graph::{Graph, Tag};
use super::super::refusal::Refusal;
use super::super::rings::Rings;
use super::centre::{Handedness, is_held_nitrogen};
use std::collections::VecDeque;

/// Tagged ring atoms without a side of their own that have a partner in the same ring system.
pub(super) fn find(
    graph: &Graph,
    rings: &Rings,
    handedness: &[Handedness],
    ranks: &[usize],
) -> Result<Vec<bool>, Refusal> {
    let n = graph.atoms.len();
    let mut candidate = vec![false; n];
    for (atom, candidate) in candidate.iter_mut().enumerate() {
        *candidate = graph.atoms[atom].tag != Tag::None
            && handedness[atom] == Handedness::Unknown
            && rings.atom_in_ring[atom]
            && has_two_equal_ways(graph, rings, atom, ranks)?;
    }
    let mut kept = vec![false; n];
    let (mut seen, mut used) = (vec![false; n], vec![false; n]);
    let mut bond_seen = vec![false; graph.bonds.len()];
    for start in 0..n {
        if seen[start] || !candidate[start] {
            continue;
        }
        // Breadth first along ring bonds; no bond is walked twice, by any walk.
        let mut queue = VecDeque::new();
        let mut step_from = |atom: usize, queue: &mut VecDeque<usize>, seen: &[bool], first: bool| {
            for i in graph.around(atom) {
                if std::mem::replace(&mut bond_seen[i.bond], true) || !rings.bond_in_ring[i.bond] {
                    continue;
                }
                if !seen[i.neighbour] && (first || !used[i.neighbour]) {
                    used[i.neighbour] = true;
                    queue.push_back(i.neighbour);
                }
            }
        };
        step_from(start, &mut queue, &seen, true);
        let mut partners = false;
        while let Some(atom) = queue.pop_front() {
            seen[atom] = true;
            if candidate[atom] {
                partners = true;
                kept[atom] = true;
            }
            step_from(atom, &mut queue, &seen, false);
        }
        kept[start] = partners;
        seen[start] = true;
    }
    Ok(kept)
}

/// Ring neighbours of equal rank, and other neighbours, if there are two, of different rank. A nitrogen must be held.
fn has_two_equal_ways(graph: &Graph, rings: &Rings, number: usize, ranks: &[usize]) -> Result<bool, Refusal> {
    if graph.atoms[number].element == 7 && graph.total_degree(number) == 3 && !is_held_nitrogen(graph, rings, number)? {
        return Ok(false);
    }
    let ranks_where = |in_ring: bool| {
        let around = graph.around(number).iter().filter(move |i| rings.bond_in_ring[i.bond] == in_ring);
        around.map(|i| ranks[i.neighbour]).collect::<Vec<_>>()
    };
    let (outside, mut inside) = (ranks_where(false), ranks_where(true));
    let ring_neighbours = inside.len();
    inside.sort_unstable();
    inside.dedup();
    Ok(match outside[..] {
        [a, b] => a != b && inside.len() != ring_neighbours,
        [_] => ring_neighbours > inside.len(),
        [] => matches!((ring_neighbours, inside.len()), (4, 3) | (3, 2)),
        _ => false,
    })
}
