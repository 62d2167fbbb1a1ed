//! Edge-fused unions of rings, judged by their electrons.

use super::super::refusal::{Reason, Refusal};
use super::super::rings::Ring;

/// Most rings of a union.
const LARGEST_UNION: usize = 6;
/// Larger rings are judged alone: a bit more than the perimeter of a porphyrin.
const LARGEST_FUSED_RING: usize = 24;
/// With more rings than this in one system, unions of more than two are not looked for.
const MOST_FUSED_RINGS: usize = 300;
/// Most unions of one system that are judged.
const MOST_UNIONS: usize = 2_000_000;

/// The candidate rings of one system, and which of them share exactly one bond.
pub(super) struct FusedRings<'a> {
    rings: &'a [Ring],
    donated: &'a [Option<u8>],
    neighbours: Vec<Vec<usize>>,
}

impl<'a> FusedRings<'a> {
    pub(super) fn new(rings: &'a [Ring], donated: &'a [Option<u8>]) -> Self {
        let mut neighbours = vec![Vec::new(); rings.len()];
        let small = |ring: &&(usize, &Ring)| ring.1.bonds.len() <= LARGEST_FUSED_RING;
        let small: Vec<(usize, &Ring)> = rings.iter().enumerate().filter(|ring| small(&ring)).collect();
        let mut owners: Vec<(usize, usize)> =
            small.iter().flat_map(|&(i, ring)| ring.bonds.iter().map(move |&bond| (bond, i))).collect();
        owners.sort_unstable();
        let mut shared = Vec::new();
        for same_bond in owners.chunk_by(|a, b| a.0 == b.0) {
            for (place, first) in same_bond.iter().enumerate() {
                shared.extend(same_bond[place + 1..].iter().map(|second| (first.1, second.1)));
            }
        }
        shared.sort_unstable();
        for pair in shared.chunk_by(|a, b| a == b).filter(|pair| pair.len() == 1) {
            let (i, j) = pair[0];
            neighbours[i].push(j);
            neighbours[j].push(i);
        }
        Self { rings, donated, neighbours }
    }

    /// Judges every ring, then every union of two neighbours, of three, … until all bonds of a group are aromatic.
    pub(super) fn mark(&self, aromatic: &mut [bool]) -> Result<(), Refusal> {
        let mut budget = MOST_UNIONS;
        let mut seen = vec![false; self.rings.len()];
        for first in 0..self.rings.len() {
            if !seen[first] {
                self.mark_group(&self.group(first, &mut seen), aromatic, &mut budget)?;
            }
        }
        Ok(())
    }

    /// The rings that are fused with `first`, directly or through others.
    fn group(&self, first: usize, seen: &mut [bool]) -> Vec<usize> {
        let mut group = vec![first];
        seen[first] = true;
        let mut next = 0;
        while let Some(&ring) = group.get(next) {
            next += 1;
            for &neighbour in &self.neighbours[ring] {
                if !seen[neighbour] {
                    seen[neighbour] = true;
                    group.push(neighbour);
                }
            }
        }
        group
    }

    fn mark_group(&self, group: &[usize], aromatic: &mut [bool], budget: &mut usize) -> Result<(), Refusal> {
        let largest = if group.len() > MOST_FUSED_RINGS { 2 } else { group.len().min(LARGEST_UNION) };
        for size in 1..=largest {
            let unfinished = |&ring: &usize| self.rings[ring].bonds.iter().any(|&bond| !aromatic[bond]);
            if size > 1 && !group.iter().any(unfinished) {
                return Ok(());
            }
            for &ring in group {
                let later = |&n: &usize| n > ring;
                let frontier = self.neighbours[ring].iter().copied().filter(later).collect();
                self.unions(&mut vec![ring], frontier, size, aromatic, budget)?;
            }
        }
        Ok(())
    }

    /// All connected unions of `size` rings that extend `union` by rings of `frontier`, each once: a ring joins only
    /// if it is higher than the first ring and new to the neighbourhood.
    fn unions(
        &self,
        union: &mut Vec<usize>,
        mut frontier: Vec<usize>,
        size: usize,
        aromatic: &mut [bool],
        budget: &mut usize,
    ) -> Result<(), Refusal> {
        if union.len() == size {
            let too_many =
                || Refusal::new(Reason::Limit, "a ring system has too many fused rings to look for aromatic ones");
            *budget = budget.checked_sub(1).ok_or_else(too_many)?;
            self.judge(union, aromatic);
            return Ok(());
        }
        while let Some(ring) = frontier.pop() {
            let new = |&n: &usize| {
                n > union[0]
                    && !union.contains(&n)
                    && !frontier.contains(&n)
                    && !union.iter().any(|&member| self.neighbours[member].contains(&n))
            };
            let joined = frontier.iter().copied().chain(self.neighbours[ring].iter().copied().filter(new)).collect();
            union.push(ring);
            self.unions(union, joined, size, aromatic, budget)?;
            union.pop();
        }
        Ok(())
    }

    /// Counts the electrons of the atoms in one or two of the rings; marks the bonds of only one ring.
    fn judge(&self, union: &[usize], aromatic: &mut [bool]) {
        let members = |of: fn(&Ring) -> &Vec<usize>| {
            let mut members: Vec<usize> = union.iter().flat_map(|&ring| of(&self.rings[ring])).copied().collect();
            members.sort_unstable();
            members
        };
        let atoms = members(|ring| &ring.atoms);
        let outer = atoms.chunk_by(|a, b| a == b).filter(|same| same.len() <= 2);
        let electrons: u32 = outer.map(|same| u32::from(self.donated[same[0]].unwrap_or(0))).sum();
        if electrons % 4 == 2 {
            let bonds = members(|ring| &ring.bonds);
            bonds.chunk_by(|a, b| a == b).filter(|same| same.len() == 1).for_each(|same| aromatic[same[0]] = true);
        }
    }
}
