//! Aromatic rings by RDKit's model: rings and edge-fused unions of up to six of them with 4n + 2 electrons.

use super::electrons;
use super::element;
use super::graph::Graph;
use super::molecule::BondOrder;
use super::refusal::Refusal;
use super::rings::{Ring, RingSystem, Rings, has_ring_up_to, relevant_rings};
use super::valence;

/// Most rings of a union.
const LARGEST_UNION: usize = 6;
/// Larger rings are judged alone: a bit more than the perimeter of a porphyrin.
const LARGEST_FUSED_RING: usize = 24;
/// With more rings than this in one system, unions of more than two are not looked for.
const MOST_FUSED_RINGS: usize = 300;
/// From this size on, an ether or thioether bridge of a ring gives no electrons.
const MACROCYCLE: usize = 9;

/// Marks aromatic atoms and bonds.
pub(super) fn perceive(graph: &mut Graph, rings: &Rings) -> Result<(), Refusal> {
    let mut donated: Vec<Option<u8>> = vec![None; graph.atoms.len()];
    for system in &rings.systems {
        for &atom in &system.atoms {
            donated[atom] = donation(graph, rings, atom);
        }
    }
    let mut aromatic = vec![false; graph.bonds.len()];
    for system in &rings.systems {
        let wanted = on_candidate_rings(graph, system, &donated);
        if system.atoms.iter().any(|&atom| wanted[atom]) {
            let rings = relevant_rings(graph, system, &wanted)?;
            FusedRings::new(&rings, &donated).mark(&mut aromatic);
        }
    }
    for (bond, _) in aromatic.into_iter().enumerate().filter(|&(_, aromatic)| aromatic) {
        let bond = &mut graph.bonds[bond];
        bond.aromatic = true;
        if matches!(bond.order, BondOrder::Single | BondOrder::Double) {
            bond.order = BondOrder::Aromatic;
            graph.atoms[bond.begin].aromatic = true;
            graph.atoms[bond.end].aromatic = true;
        }
    }
    Ok(())
}

/// Atoms of the system that are left when candidates with fewer than two candidate neighbours are taken away.
fn on_candidate_rings(graph: &Graph, system: &RingSystem, donated: &[Option<u8>]) -> Vec<bool> {
    let mut left = vec![false; graph.atoms.len()];
    system.atoms.iter().for_each(|&atom| left[atom] = donated[atom].is_some());
    let mut leaves: Vec<usize> = system.atoms.clone();
    while let Some(atom) = leaves.pop() {
        let neighbours = || graph.around(atom).iter().map(|i| i.neighbour).filter(|&n| left[n]);
        if left[atom] && neighbours().count() < 2 {
            leaves.extend(neighbours());
            left[atom] = false;
        }
    }
    left
}

/// Electrons that a ring atom gives to its rings; `None` when it cannot be part of an aromatic one.
fn donation(graph: &Graph, rings: &Rings, number: usize) -> Option<u8> {
    let electrons = donated_electrons(graph, rings, number)?;
    is_candidate(graph, number).then_some(electrons)
}

fn donated_electrons(graph: &Graph, rings: &Rings, number: usize) -> Option<u8> {
    let atom = &graph.atoms[number];
    let available = electrons::available(graph, number)?;
    let multiple = |in_ring: bool| {
        let mut around = graph.around(number).iter();
        around.find(|i| rings.bond_in_ring[i.bond] == in_ring && graph.bonds[i.bond].twice_order() >= 4).copied()
    };
    let outside = multiple(false);
    let drawn_out =
        outside.is_some_and(|i| element::draws_electrons_from(graph.atoms[i.neighbour].element, atom.element));
    match (available, outside) {
        (0, Some(_)) => Some(0),
        (0, None) => multiple(true).map(|_| 1),
        (1, Some(_)) => Some(if drawn_out { 0 } else { 1 }),
        (1, None) => {
            let neighbours = graph.degree(number) + i32::from(atom.explicit_h);
            if atom.explicit_valence != neighbours {
                Some(1)
            } else {
                // Tropylium and cyclopropenylium.
                (atom.charge == 1).then_some(0)
            }
        }
        (more, _) => {
            let odd = (more - i32::from(drawn_out)) % 2 == 1;
            (odd || !is_macrocyclic_ether(graph, rings, number)).then_some(if odd { 1 } else { 2 })
        }
    }
}

/// A neutral two-bonded O or S with single bonds, in no ring smaller than a macrocycle.
fn is_macrocyclic_ether(graph: &Graph, rings: &Rings, number: usize) -> bool {
    let atom = &graph.atoms[number];
    matches!(atom.element, 8 | 16)
        && graph.degree(number) == 2
        && atom.charge == 0
        && graph.bonds_of(number).all(|(_, bond)| !matches!(bond.order, BondOrder::Double | BondOrder::Triple))
        && graph.around(number).iter().all(|i| rings.bond_in_ring[i.bond])
        && !has_ring_up_to(graph, graph.around(number)[0].bond, MACROCYCLE - 1)
}

/// First and second row, Se or Te; no valence above the default one; no radical but at neutral carbon; at most one
/// multiple bond.
fn is_candidate(graph: &Graph, number: usize) -> bool {
    let atom = &graph.atoms[number];
    if atom.element > 18 && !matches!(atom.element, 34 | 52) {
        return false;
    }
    let like = valence::isoelectronic(atom);
    if element::default_valence(atom.element) > 0 && atom.total_valence() > element::default_valence(like) {
        return false;
    }
    if atom.radicals > 0 && (atom.element != 6 || atom.charge != 0) {
        return false;
    }
    let multiple =
        |(_, bond): &(usize, &super::graph::GraphBond)| matches!(bond.order, BondOrder::Double | BondOrder::Triple);
    atom.explicit_valence - graph.degree(number) <= 1 || graph.bonds_of(number).filter(multiple).count() <= 1
}

/// The candidate rings of one system, and which of them share exactly one bond.
struct FusedRings<'a> {
    rings: &'a [Ring],
    donated: &'a [Option<u8>],
    neighbours: Vec<Vec<usize>>,
}

impl<'a> FusedRings<'a> {
    fn new(rings: &'a [Ring], donated: &'a [Option<u8>]) -> Self {
        let mut neighbours = vec![Vec::new(); rings.len()];
        for (i, ring) in rings.iter().enumerate() {
            for (j, other) in rings.iter().enumerate().skip(i + 1) {
                let small = ring.bonds.len().max(other.bonds.len()) <= LARGEST_FUSED_RING;
                if small && ring.bonds.iter().filter(|bond| other.bonds.contains(bond)).count() == 1 {
                    neighbours[i].push(j);
                    neighbours[j].push(i);
                }
            }
        }
        Self { rings, donated, neighbours }
    }

    /// Judges every ring, then every union of two neighbours, of three, … until all bonds of a group are aromatic.
    fn mark(&self, aromatic: &mut [bool]) {
        let mut seen = vec![false; self.rings.len()];
        for first in 0..self.rings.len() {
            if !seen[first] {
                self.mark_group(&self.group(first, &mut seen), aromatic);
            }
        }
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

    fn mark_group(&self, group: &[usize], aromatic: &mut [bool]) {
        let largest = if group.len() > MOST_FUSED_RINGS { 2 } else { group.len().min(LARGEST_UNION) };
        for size in 1..=largest {
            let unfinished = |&ring: &usize| self.rings[ring].bonds.iter().any(|&bond| !aromatic[bond]);
            if size > 1 && !group.iter().any(unfinished) {
                return;
            }
            for &ring in group {
                let later = |&n: &usize| n > ring;
                let frontier = self.neighbours[ring].iter().copied().filter(later).collect();
                self.unions(&mut vec![ring], frontier, size, aromatic);
            }
        }
    }

    /// All connected unions of `size` rings that extend `union` by rings of `frontier`, each once: a ring joins only
    /// if it is higher than the first ring and new to the neighbourhood.
    fn unions(&self, union: &mut Vec<usize>, mut frontier: Vec<usize>, size: usize, aromatic: &mut [bool]) {
        if union.len() == size {
            self.judge(union, aromatic);
            return;
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
            self.unions(union, joined, size, aromatic);
            union.pop();
        }
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
