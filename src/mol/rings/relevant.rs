//! The relevant rings of a ring system: all rings that are no sum of smaller ones (the union of all smallest sets).
//!
//! After P. Vismara, "Union of all the minimum cycle bases of a graph", Electronic Journal of Combinatorics 4 (1997) R9:
//! every relevant ring is a largest atom r, two shortest paths down from it through smaller atoms, and the bond or the
//! two bonds that join their ends. One ring per family is tested against the space of the smaller ones; the members
//! of a relevant family differ in the choice of the shortest paths.

mod basis;

use super::super::graph::Graph;
use super::super::refusal::{Reason, Refusal};
use super::RingSystem;
use basis::Basis;

/// Most rings of one ring system.
const MOST_RINGS: usize = 20_000;
/// Most steps of the search, atoms times branching atoms.
const MOST_WORK: usize = 1_000_000;

/// A ring by its atoms and bonds, each in no particular order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Ring {
    pub(in super::super) atoms: Vec<usize>,
    pub(in super::super) bonds: Vec<usize>,
}

/// The relevant rings of `system` that consist of `wanted` atoms, by size.
pub(in super::super) fn relevant_rings(
    graph: &Graph,
    system: &RingSystem,
    wanted: &[bool],
) -> Result<Vec<Ring>, Refusal> {
    if system.atoms.len() == system.bonds.len() {
        let all = system.atoms.iter().all(|&atom| wanted[atom]);
        return Ok(if all { vec![Ring { atoms: system.atoms.clone(), bonds: system.bonds.clone() }] } else { vec![] });
    }
    let local = Local::new(graph, system);
    if (local.len() - local.first_branching) * local.len() > MOST_WORK {
        return Err(too_large());
    }
    let (paths, mut families) = local.families();
    families.sort_by_key(|family| family.length);
    let mut basis = Basis::new();
    let rank = system.bonds.len() + 1 - system.atoms.len();
    let mut rings = Vec::new();
    for same_length in families.chunk_by(|a, b| a.length == b.length) {
        if basis.rank() == rank {
            break;
        }
        let prototypes: Vec<Vec<u64>> =
            same_length.iter().map(|family| local.prototype(&paths[family.paths], family)).collect();
        let relevant: Vec<bool> = prototypes.iter().map(|prototype| !basis.spans(prototype.clone())).collect();
        for ((family, prototype), _) in same_length.iter().zip(prototypes).zip(&relevant).filter(|&(_, &r)| r) {
            basis.add(prototype);
            local.add_members(&paths[family.paths], family, wanted, &mut rings)?;
        }
    }
    Ok(rings)
}

fn too_large() -> Refusal {
    Refusal::new(Reason::Limit, "a ring system is too large or has too many rings to look for aromatic ones")
}

/// The ring system with own numbers: atoms with two ring bonds first, branching atoms last.
struct Local<'a> {
    atoms: Vec<usize>,
    bonds: &'a [usize],
    first_branching: usize,
    offsets: Vec<usize>,
    /// Neighbour and bond, by own numbers.
    steps: Vec<(usize, usize)>,
}

/// Shortest paths from one root.
struct Paths {
    root: usize,
    distance: Vec<usize>,
    /// Reached from the root by a shortest path through smaller atoms only.
    below: Vec<bool>,
}

/// Rings of a root with `p` and `q` as the ends of the two paths: neighbours, or both bound to `middle`.
struct Family {
    length: usize,
    /// Index of the root's paths.
    paths: usize,
    p: usize,
    q: usize,
    middle: Option<usize>,
}

impl<'a> Local<'a> {
    fn new(graph: &'a Graph, system: &'a RingSystem) -> Self {
        // Atoms and bonds of a system are sorted, so their own numbers are found by search.
        let own_atom = |atom: usize| system.atoms.partition_point(|&a| a < atom);
        let ends: Vec<_> =
            system.bonds.iter().map(|&b| (own_atom(graph.bonds[b].begin), own_atom(graph.bonds[b].end))).collect();
        let mut degrees = vec![0_usize; system.atoms.len()];
        for &(a, b) in &ends {
            degrees[a] += 1;
            degrees[b] += 1;
        }
        let mut order: Vec<usize> = (0..degrees.len()).collect();
        order.sort_by_key(|&i| degrees[i] > 2);
        let first_branching = order.partition_point(|&i| degrees[i] <= 2);
        let mut number = vec![0; order.len()];
        let mut offsets = vec![0; order.len() + 1];
        for (new, &old) in order.iter().enumerate() {
            number[old] = new;
            offsets[new + 1] = offsets[new] + degrees[old];
        }
        let mut filled = offsets.clone();
        let mut steps = vec![(0, 0); 2 * ends.len()];
        for (bond, &(a, b)) in ends.iter().enumerate() {
            for (from, to) in [(number[a], number[b]), (number[b], number[a])] {
                steps[filled[from]] = (to, bond);
                filled[from] += 1;
            }
        }
        let atoms = order.iter().map(|&i| system.atoms[i]).collect();
        Self { atoms, bonds: &system.bonds, first_branching, offsets, steps }
    }

    fn len(&self) -> usize {
        self.atoms.len()
    }

    fn steps(&self, atom: usize) -> &[(usize, usize)] {
        &self.steps[self.offsets[atom]..self.offsets[atom + 1]]
    }

    fn bond_between(&self, a: usize, b: usize) -> usize {
        self.steps(a).iter().find(|step| step.0 == b).map_or(0, |step| step.1)
    }

    fn paths_from(&self, root: usize) -> Paths {
        let mut distance = vec![usize::MAX; self.len()];
        let mut below = vec![false; self.len()];
        (distance[root], below[root]) = (0, true);
        let mut queue = Vec::with_capacity(self.len());
        queue.push(root);
        let mut next = 0;
        while let Some(&atom) = queue.get(next) {
            next += 1;
            for &(to, _) in self.steps(atom) {
                if distance[to] == usize::MAX {
                    distance[to] = distance[atom] + 1;
                    queue.push(to);
                }
                below[to] |= to < root && below[atom] && distance[to] == distance[atom] + 1;
            }
        }
        Paths { root, distance, below }
    }

    /// Neighbours of `atom` one step nearer to the root.
    fn nearer<'p>(&'p self, paths: &'p Paths, atom: usize) -> impl Iterator<Item = usize> + 'p {
        let nearer = move |to: usize| paths.below[to] && paths.distance[to] + 1 == paths.distance[atom];
        self.steps(atom).iter().map(|step| step.0).filter(move |&to| nearer(to))
    }

    /// The atoms of one shortest path from `atom` to the root, without the root.
    fn one_path<'p>(&'p self, paths: &'p Paths, atom: usize) -> impl Iterator<Item = usize> + 'p {
        let next = move |&atom: &usize| self.nearer(paths, atom).next();
        std::iter::successors(Some(atom), next).take_while(move |&atom| atom != paths.root)
    }

    fn families(&self) -> (Vec<Paths>, Vec<Family>) {
        let mut all_paths = Vec::with_capacity(self.len() - self.first_branching);
        let mut families = Vec::new();
        let mut on_path = vec![usize::MAX; self.len()];
        let mut stamp = 0;
        for root in self.first_branching..self.len() {
            let paths = self.paths_from(root);
            let mut meet_at_root_only = |p, q| {
                stamp += 1;
                self.one_path(&paths, p).for_each(|atom| on_path[atom] = stamp);
                self.one_path(&paths, q).all(|atom| on_path[atom] != stamp)
            };
            for end in (0..root).filter(|&atom| paths.below[atom]) {
                let distance = paths.distance[end];
                for &(other, _) in self.steps(end) {
                    let level = paths.below[other] && paths.distance[other] == distance;
                    if level && other < end && meet_at_root_only(end, other) {
                        let length = 2 * distance + 1;
                        families.push(Family { length, paths: all_paths.len(), p: end, q: other, middle: None });
                    }
                }
                let nearer: Vec<usize> = self.nearer(&paths, end).collect();
                for (i, &p) in nearer.iter().enumerate() {
                    for &q in &nearer[i + 1..] {
                        if meet_at_root_only(p, q) {
                            let length = 2 * distance;
                            families.push(Family { length, paths: all_paths.len(), p, q, middle: Some(end) });
                        }
                    }
                }
            }
            all_paths.push(paths);
        }
        (all_paths, families)
    }

    /// The ring of `p_side` and `q_side`, paths without the root.
    fn ring_atoms(paths: &Paths, family: &Family, p_side: &[usize], q_side: &[usize]) -> Vec<usize> {
        let mut ring = Vec::with_capacity(family.length);
        ring.push(paths.root);
        ring.extend(p_side.iter().rev());
        ring.extend(family.middle);
        ring.extend(q_side);
        ring
    }

    fn ring_bonds<'r>(&'r self, ring: &'r [usize]) -> impl Iterator<Item = usize> + 'r {
        let next = ring.iter().cycle().skip(1);
        ring.iter().zip(next).map(|(&a, &b)| self.bond_between(a, b))
    }

    /// One ring of the family as a set of bonds.
    fn prototype(&self, paths: &Paths, family: &Family) -> Vec<u64> {
        let side = |end| self.one_path(paths, end).collect::<Vec<_>>();
        let ring = Self::ring_atoms(paths, family, &side(family.p), &side(family.q));
        let mut bits = vec![0; self.bonds.len().div_ceil(64)];
        for bond in self.ring_bonds(&ring) {
            bits[bond / 64] |= 1 << (bond % 64);
        }
        bits
    }

    fn add_members(
        &self,
        paths: &Paths,
        family: &Family,
        wanted: &[bool],
        rings: &mut Vec<Ring>,
    ) -> Result<(), Refusal> {
        let is_wanted = |atom: usize| wanted[self.atoms[atom]];
        if !is_wanted(paths.root) || !family.middle.is_none_or(is_wanted) {
            return Ok(());
        }
        let all_sides = |end: usize| -> Result<Vec<Vec<usize>>, Refusal> {
            let mut sides = if is_wanted(end) { vec![vec![end]] } else { vec![] };
            for _ in 1..paths.distance[end] {
                let longer = |side: &Vec<usize>| {
                    let last = side.last().copied().unwrap_or(end);
                    let next = self.nearer(paths, last).filter(|&atom| is_wanted(atom));
                    next.map(|atom| [side.as_slice(), &[atom]].concat()).collect::<Vec<_>>()
                };
                sides = sides.iter().flat_map(longer).collect();
                if sides.len() > MOST_RINGS {
                    return Err(too_large());
                }
            }
            Ok(sides)
        };
        let (p_sides, q_sides) = (all_sides(family.p)?, all_sides(family.q)?);
        if rings.len() + p_sides.len() * q_sides.len() > MOST_RINGS {
            return Err(too_large());
        }
        for p_side in &p_sides {
            for q_side in &q_sides {
                let ring = Self::ring_atoms(paths, family, p_side, q_side);
                let bonds = self.ring_bonds(&ring).map(|bond| self.bonds[bond]).collect();
                rings.push(Ring { atoms: ring.iter().map(|&atom| self.atoms[atom]).collect(), bonds });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mol::{rings, smiles};

    fn sizes(smiles: &str) -> Vec<usize> {
        let graph = smiles::read(smiles).unwrap();
        let rings = rings::find(&graph);
        let wanted = vec![true; graph.atoms.len()];
        let of_system = |system| relevant_rings(&graph, system, &wanted).unwrap();
        let mut sizes: Vec<usize> = rings.systems.iter().flat_map(of_system).map(|ring| ring.atoms.len()).collect();
        sizes.sort_unstable();
        sizes
    }

    #[test]
    fn known_ring_systems() {
        assert_eq!(sizes("C1CC1"), [3]);
        assert_eq!(sizes("C1CCC2CCCCC2C1"), [6, 6]);
        // Norbornane: the six-ring is the sum of the two five-rings.
        assert_eq!(sizes("C1CC2CC1CC2"), [5, 5]);
        // Bicyclo[2.2.2]octane: any two of its three six-rings make the third; all are relevant.
        assert_eq!(sizes("C1CC2CCC1CC2"), [6, 6, 6]);
        // Cubane: six faces, of which five are independent.
        assert_eq!(sizes("C12C3C4C1C5C2C3C45"), [4; 6]);
        // Two paths of equal length around each small ring of the large one.
        assert_eq!(sizes("C1CC2CCC1CCC1CCC(CC1)CC2"), [6, 6, 12, 12, 12, 12]);
    }

    #[test]
    fn unwanted_atoms_leave_their_rings_out() {
        let graph = smiles::read("C1CCC2CCCCC2C1").unwrap();
        let rings = rings::find(&graph);
        let mut wanted = vec![true; 10];
        wanted[5] = false;
        let found = relevant_rings(&graph, &rings.systems[0], &wanted).unwrap();
        assert_eq!(found.len(), 1);
        assert!(!found[0].atoms.contains(&5));
    }
}
