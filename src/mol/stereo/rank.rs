//! Ranks of atoms by what they are and what surrounds them: equal rank means that nothing tells two atoms apart.
//!
//! Classes of equal atoms are split round by round, after P. Labute's scheme for topological R/S chirality: the key of
//! an atom is the descending list of its neighbours' classes, each as often as twice the bond order, then its
//! hydrogens. All keys of a round are read before any class is split. A round looks only at atoms with a neighbour
//! whose class is new, and the largest part of a split class stays the old class, so long chains cost n log n.

use super::super::element;
use super::super::graph::{Geometry, Graph};
use super::super::molecule::BondOrder;
use super::centre::Handedness;

/// Ranks from elements, isotopes and atom classes.
pub(super) fn initial(graph: &Graph) -> Vec<usize> {
    let keys = graph.atoms.iter().map(|atom| {
        let mass = match i64::from(atom.isotope) {
            0 => 0,
            isotope => {
                let heavier = isotope - i64::from(element::common_isotope(atom.element));
                heavier + i64::from(heavier >= 0)
            }
        };
        let mass = (mass + 512).max(0) % 1024;
        (i64::from(atom.element) << 20) | (mass << 10) | i64::from(atom.class)
    });
    Partition::new(graph, &keys.collect::<Vec<_>>()).refined()
}

/// `ranks`, refined by the sides of centres and the geometry of double bonds.
pub(super) fn refined(graph: &Graph, ranks: &[usize], handedness: &[Handedness]) -> Vec<usize> {
    let key = |atom: usize| {
        let side = match handedness[atom] {
            Handedness::Unknown => 0,
            Handedness::Left => 10,
            Handedness::Right => 20,
        };
        let double = graph.bonds_of(atom).filter(|(_, bond)| bond.order == BondOrder::Double);
        let geometry = double.map(|(_, bond)| match bond.geometry {
            Geometry::Unknown => 0,
            Geometry::Opposite => 1,
            Geometry::Together => 2,
        });
        100 * ranks[atom] as i64 + side + geometry.sum::<i64>()
    };
    let keys: Vec<i64> = (0..ranks.len()).map(key).collect();
    Partition::new(graph, &keys).refined()
}

/// Atoms in the order of their keys, cut into classes.
struct Partition<'a> {
    graph: &'a Graph,
    order: Vec<usize>,
    /// Place of each atom in `order`.
    place: Vec<usize>,
    class: Vec<usize>,
    /// First place and size of each class. Its first place is also what ranks it among the classes.
    first: Vec<usize>,
    size: Vec<usize>,
}

impl<'a> Partition<'a> {
    fn new(graph: &'a Graph, keys: &[i64]) -> Self {
        let n = keys.len();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_unstable_by_key(|&atom| (keys[atom], atom));
        let mut partition =
            Self { graph, order, place: vec![0; n], class: vec![0; n], first: Vec::new(), size: Vec::new() };
        for place in 0..n {
            let atom = partition.order[place];
            if place == 0 || keys[atom] != keys[partition.order[place - 1]] {
                partition.first.push(place);
                partition.size.push(0);
            }
            let class = partition.first.len() - 1;
            partition.place[atom] = place;
            partition.class[atom] = class;
            partition.size[class] += 1;
        }
        partition
    }

    /// Splits until nothing changes, at most half as often as there are atoms; then numbers the classes from 0.
    fn refined(mut self) -> Vec<usize> {
        let n = self.order.len();
        let mut touched: Vec<usize> = (0..n).collect();
        let mut is_touched = vec![false; n];
        for _ in 0..=n / 2 {
            touched.retain(|&atom| self.size[self.class[atom]] > 1);
            if touched.is_empty() {
                break;
            }
            let moved = self.split(&touched);
            touched.clear();
            for atom in moved {
                for i in self.graph.around(atom) {
                    if !std::mem::replace(&mut is_touched[i.neighbour], true) {
                        touched.push(i.neighbour);
                    }
                }
            }
            for &atom in &touched {
                is_touched[atom] = false;
            }
        }
        let mut ranks = vec![0; n];
        for place in 1..n {
            let (before, atom) = (self.order[place - 1], self.order[place]);
            ranks[atom] = ranks[before] + usize::from(self.class[atom] != self.class[before]);
        }
        ranks
    }

    /// One round. Returns the atoms whose class is new.
    fn split(&mut self, touched: &[usize]) -> Vec<usize> {
        let mut keys = Keys::default();
        let mut entries: Vec<(usize, usize, usize)> =
            touched.iter().map(|&a| (self.class[a], keys.add(self, a), a)).collect();
        entries.sort_unstable_by_key(|entry| entry.0);
        // One untouched member stands for all of its class: their keys have not changed, so they are equal.
        let mut classes: Vec<(usize, usize, Option<usize>)> = Vec::new();
        let mut start = 0;
        for same in entries.chunk_by(|a, b| a.0 == b.0) {
            let class = same[0].0;
            let untouched = self.size[class] - same.len();
            let witness = (untouched > 0).then(|| self.untouched_member(class, same)).map(|atom| keys.add(self, atom));
            classes.push((start, start + same.len(), witness));
            start += same.len();
        }
        let mut moved = Vec::new();
        for (start, end, witness) in classes {
            let members = &mut entries[start..end];
            members.sort_unstable_by(|a, b| keys.get(a.1).cmp(keys.get(b.1)).then(a.2.cmp(&b.2)));
            self.split_class(members, witness, &keys, &mut moved);
        }
        moved
    }

    fn untouched_member(&self, class: usize, touched: &[(usize, usize, usize)]) -> usize {
        // Among one more member than there are touched ones, one is untouched.
        let mut places: Vec<usize> = touched.iter().map(|entry| self.place[entry.2]).collect();
        places.sort_unstable();
        let first = self.first[class];
        let gap = places.iter().enumerate().position(|(i, &place)| place != first + i).unwrap_or(places.len());
        self.order[first + gap]
    }

    /// `members` are the touched atoms of one class by ascending key; `witness` is the key of all others, if any.
    fn split_class(
        &mut self,
        members: &[(usize, usize, usize)],
        witness: Option<usize>,
        keys: &Keys,
        moved: &mut Vec<usize>,
    ) {
        let class = members[0].0;
        let (first, size) = (self.first[class], self.size[class]);
        let rest = size - members.len();
        // Touched atoms below the others go to the front, those above to the back, those equal to them stay.
        let below = witness.map_or(0, |w| members.partition_point(|m| keys.get(m.1) < keys.get(w)));
        let above = witness.map_or(0, |w| members.partition_point(|m| keys.get(m.1) <= keys.get(w)));
        for (i, member) in members[..below].iter().enumerate() {
            self.swap_to(member.2, first + i);
        }
        for (i, member) in members[above..].iter().rev().enumerate() {
            self.swap_to(member.2, first + size - 1 - i);
        }
        let mut parts: Vec<(usize, usize)> = Vec::new();
        let mut at = first;
        let mut add_runs = |members: &[(usize, usize, usize)], at: &mut usize| {
            for run in members.chunk_by(|a, b| keys.get(a.1) == keys.get(b.1)) {
                parts.push((*at, run.len()));
                *at += run.len();
            }
        };
        add_runs(&members[..below], &mut at);
        if witness.is_some() {
            let middle = rest + above - below;
            let mut after = at + middle;
            add_runs(&members[above..], &mut after);
            parts.push((at, middle));
        } else {
            add_runs(members, &mut at);
        }
        if parts.len() < 2 {
            return;
        }
        let largest = (0..parts.len()).max_by_key(|&i| parts[i].1).unwrap_or(0);
        for (i, (start, len)) in parts.into_iter().enumerate() {
            if i == largest {
                (self.first[class], self.size[class]) = (start, len);
                continue;
            }
            let new = self.first.len();
            self.first.push(start);
            self.size.push(len);
            for place in start..start + len {
                self.class[self.order[place]] = new;
                moved.push(self.order[place]);
            }
        }
    }

    fn swap_to(&mut self, atom: usize, place: usize) {
        let (from, other) = (self.place[atom], self.order[place]);
        self.order.swap(from, place);
        self.place[atom] = place;
        self.place[other] = from;
    }
}

/// Keys of atoms, all in one buffer.
#[derive(Default)]
struct Keys {
    values: Vec<usize>,
    ranges: Vec<(usize, usize)>,
}

impl Keys {
    fn get(&self, key: usize) -> &[usize] {
        let (start, end) = self.ranges[key];
        &self.values[start..end]
    }

    /// Adds the key of `atom` as the classes are now.
    fn add(&mut self, partition: &Partition<'_>, atom: usize) -> usize {
        let start = self.values.len();
        for i in partition.graph.around(atom) {
            let bond = &partition.graph.bonds[i.bond];
            let neighbour_degree = partition.graph.degree(i.neighbour);
            let phosphorus = partition.graph.atoms[i.neighbour].element == 15 && matches!(neighbour_degree, 3 | 4);
            // A double bond to four-bonded phosphorus counts half a bond: its d orbitals are neglected.
            let times = if phosphorus && bond.order == BondOrder::Double { 1 } else { bond.twice_order() };
            let rank = partition.first[partition.class[i.neighbour]] + 1;
            self.values.extend((0..times).map(|_| rank));
        }
        self.values[start..].sort_unstable_by(|a, b| b.cmp(a));
        let hydrogens = partition.graph.atoms[atom].total_h();
        self.values.extend((0..hydrogens).map(|_| 0));
        self.ranges.push((start, self.values.len()));
        self.ranges.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mol::{smiles, valence};
    use proptest::prelude::*;

    fn counted(smiles: &str) -> Graph {
        let mut graph = smiles::read(smiles).unwrap();
        valence::update_all(&mut graph).unwrap();
        graph
    }

    /// The definition itself: all keys anew in every round.
    fn plainly_refined(graph: &Graph, mut ranks: Vec<usize>) -> Vec<usize> {
        for _ in 0..=ranks.len() / 2 {
            let key = |atom: usize| {
                let mut around = Vec::new();
                for (neighbour, bond) in graph.bonds_of(atom) {
                    around.extend((0..bond.twice_order()).map(|_| ranks[neighbour] + 1));
                }
                around.sort_unstable_by(|a, b| b.cmp(a));
                around.extend((0..graph.atoms[atom].total_h()).map(|_| 0));
                (ranks[atom], around)
            };
            let keys: Vec<_> = (0..ranks.len()).map(key).collect();
            let mut sorted = keys.clone();
            sorted.sort();
            sorted.dedup();
            let next = keys.iter().map(|key| sorted.partition_point(|k| k < key)).collect();
            if next == ranks {
                break;
            }
            ranks = next;
        }
        ranks
    }

    #[test]
    fn equal_atoms_have_equal_ranks() {
        assert_eq!(initial(&counted("CC(C)C")), [0, 1, 0, 0]);
        assert_eq!(initial(&counted("OCCO")), [1, 0, 0, 1]);
        let ranks = initial(&counted("[2H]C([2H])[13CH3]"));
        assert_eq!(ranks[0], ranks[2]);
        assert!(ranks[3] > ranks[1]);
    }

    proptest! {
        #[test]
        fn as_by_the_definition(units in prop::collection::vec(0..7_usize, 1..40)) {
            const UNITS: [&str; 7] = ["C", "C(C)", "C(=O)", "O", "N", "C(CC(F)C)", "C1CC1"];
            let graph = counted(&units.into_iter().map(|unit| UNITS[unit]).collect::<String>());
            let elements: Vec<usize> = graph.atoms.iter().map(|atom| usize::from(atom.element)).collect();
            let mut sorted = elements.clone();
            sorted.sort_unstable();
            sorted.dedup();
            let start = elements.iter().map(|e| sorted.partition_point(|s| s < e)).collect();
            prop_assert_eq!(initial(&graph), plainly_refined(&graph, start));
        }
    }
}
