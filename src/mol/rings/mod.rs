//! Rings: which atoms and bonds are in one, the ring systems, and the rings that make them up.

mod relevant;

use super::graph::Graph;
pub(super) use relevant::{Ring, relevant_rings};

/// A ring system: a largest set of bonds any two of which lie on one ring. Systems share at most single atoms.
#[derive(Debug, Clone, Default)]
pub(super) struct RingSystem {
    pub(super) atoms: Vec<usize>,
    pub(super) bonds: Vec<usize>,
}

/// Ring membership of a graph.
#[derive(Debug, Clone, Default)]
pub(super) struct Rings {
    pub(super) atom_in_ring: Vec<bool>,
    pub(super) bond_in_ring: Vec<bool>,
    /// Ring system of each ring bond; of no meaning for others.
    pub(super) system_of_bond: Vec<usize>,
    pub(super) systems: Vec<RingSystem>,
}

const UNSEEN: usize = usize::MAX;

/// Finds the ring systems: the two-connected components with more than one bond, by one depth-first walk.
pub(super) fn find(graph: &Graph) -> Rings {
    let n = graph.atoms.len();
    let mut rings = Rings {
        atom_in_ring: vec![false; n],
        bond_in_ring: vec![false; graph.bonds.len()],
        system_of_bond: vec![0; graph.bonds.len()],
        systems: Vec::new(),
    };
    if graph.bonds.len() < 3 {
        return rings;
    }
    let mut entered = vec![UNSEEN; n];
    // Lowest entry number that a walk down from the atom and one bond back up can reach.
    let mut lowest = vec![UNSEEN; n];
    let mut next_number = 0;
    let mut path: Vec<(usize, usize, usize)> = Vec::new();
    let mut open_bonds: Vec<usize> = Vec::new();
    for root in 0..n {
        if entered[root] != UNSEEN {
            continue;
        }
        (entered[root], lowest[root]) = (next_number, next_number);
        next_number += 1;
        path.push((root, UNSEEN, 0));
        while let Some((atom, arrived_by, next)) = path.last_mut() {
            let (atom, arrived_by) = (*atom, *arrived_by);
            if let Some(step) = graph.around(atom).get(*next) {
                *next += 1;
                if step.bond == arrived_by {
                    continue;
                }
                let to = step.neighbour;
                if entered[to] == UNSEEN {
                    open_bonds.push(step.bond);
                    (entered[to], lowest[to]) = (next_number, next_number);
                    next_number += 1;
                    path.push((to, step.bond, 0));
                } else if entered[to] < entered[atom] {
                    open_bonds.push(step.bond);
                    lowest[atom] = lowest[atom].min(entered[to]);
                }
                continue;
            }
            path.pop();
            let Some(&(parent, _, _)) = path.last() else { break };
            lowest[parent] = lowest[parent].min(lowest[atom]);
            if lowest[atom] >= entered[parent] {
                let first = open_bonds.iter().rposition(|&bond| bond == arrived_by).unwrap_or(0);
                rings.add_system(graph, &open_bonds[first..]);
                open_bonds.truncate(first);
            }
        }
    }
    rings
}

impl Rings {
    fn add_system(&mut self, graph: &Graph, bonds: &[usize]) {
        if bonds.len() < 3 {
            return;
        }
        let mut atoms: Vec<usize> = bonds.iter().flat_map(|&b| [graph.bonds[b].begin, graph.bonds[b].end]).collect();
        atoms.sort_unstable();
        atoms.dedup();
        let mut bonds = bonds.to_vec();
        bonds.sort_unstable();
        for &atom in &atoms {
            self.atom_in_ring[atom] = true;
        }
        for &bond in &bonds {
            self.bond_in_ring[bond] = true;
            self.system_of_bond[bond] = self.systems.len();
        }
        self.systems.push(RingSystem { atoms, bonds });
    }
}

/// Looks for small rings; its marks are reused from search to search.
pub(super) struct SmallRings<'a> {
    graph: &'a Graph,
    /// Number of the last search that met the atom.
    met: Vec<usize>,
    searches: usize,
}

impl<'a> SmallRings<'a> {
    pub(super) fn new(graph: &'a Graph) -> Self {
        Self { graph, met: Vec::new(), searches: 0 }
    }

    /// Whether some ring through `bond` has at most `limit` atoms.
    pub(super) fn through(&mut self, bond: usize, limit: usize) -> bool {
        let (begin, end) = (self.graph.bonds[bond].begin, self.graph.bonds[bond].end);
        self.met.resize(self.graph.atoms.len(), 0);
        self.searches += 1;
        let mut shell = vec![begin];
        self.met[begin] = self.searches;
        for _ in 1..limit {
            let mut next = Vec::new();
            for &atom in &shell {
                for step in self.graph.around(atom).iter().filter(|step| step.bond != bond) {
                    if step.neighbour == end {
                        return true;
                    }
                    if std::mem::replace(&mut self.met[step.neighbour], self.searches) != self.searches {
                        next.push(step.neighbour);
                    }
                }
            }
            shell = next;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mol::smiles;

    fn rings_of(smiles: &str) -> (Graph, Rings) {
        let graph = smiles::read(smiles).unwrap();
        let rings = find(&graph);
        (graph, rings)
    }

    #[test]
    fn systems_meet_in_atoms_only() {
        let (graph, rings) = rings_of("C1CC12CC2CCC3CC3.C1CC1");
        let mut sizes: Vec<_> = rings.systems.iter().map(|s| (s.atoms.len(), s.bonds.len())).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [(3, 3), (3, 3), (3, 3), (3, 3)]);
        assert_eq!(rings.atom_in_ring.iter().filter(|&&r| r).count(), 11);
        assert!(!rings.bond_in_ring[graph.bond_between(4, 5).unwrap()]);
    }

    #[test]
    fn chains_have_none() {
        let (_, rings) = rings_of("CC(C)(C)CC.C");
        assert!(rings.systems.is_empty());
        assert!(!rings.atom_in_ring.contains(&true) && !rings.bond_in_ring.contains(&true));
    }

    #[test]
    fn sizes_of_rings_through_a_bond() {
        let (graph, rings) = rings_of("C1CC2CCCCC2C1");
        let fusion = graph.bond_between(2, 7).unwrap();
        assert!(rings.bond_in_ring[fusion]);
        let mut small = SmallRings::new(&graph);
        assert!(!small.through(fusion, 4) && small.through(fusion, 5));
        let six = graph.bond_between(4, 5).unwrap();
        assert!(!small.through(six, 5) && small.through(six, 6));
    }
}
