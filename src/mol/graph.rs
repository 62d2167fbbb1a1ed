//! The graph while it is cleaned up: what the SMILES says, and what each step finds out.

use super::molecule::{BondDirection, BondOrder};

/// Chiral tag, with the one other class that clean-up may still delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tag {
    #[default]
    None,
    Clockwise,
    CounterClockwise,
    /// `@AL`: never supported, but deleted where the atom is no centre.
    Allene,
}

impl Tag {
    /// The mirror image if `odd`; what is not tetrahedral stays.
    pub(super) fn mirrored_if(self, odd: bool) -> Self {
        match self {
            Self::Clockwise if odd => Self::CounterClockwise,
            Self::CounterClockwise if odd => Self::Clockwise,
            other => other,
        }
    }

    pub(super) fn is_tetrahedral(self) -> bool {
        matches!(self, Self::Clockwise | Self::CounterClockwise)
    }
}

/// An atom of the graph.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GraphAtom {
    pub(super) element: u8,
    pub(super) isotope: u16,
    pub(super) charge: i8,
    /// Hydrogens that are not atoms: written in the bracket, or fixed by clean-up.
    pub(super) explicit_h: u8,
    /// No hydrogens are added to reach a valence.
    pub(super) no_implicit: bool,
    pub(super) aromatic: bool,
    pub(super) tag: Tag,
    /// Atom class of the bracket plus one, 0 where there is none.
    pub(super) class: u16,
    /// First atom of the SMILES or of a part after a dot.
    pub(super) starts_part: bool,
    pub(super) radicals: u8,
    /// Valence of the bonds and fixed hydrogens when it was last counted.
    pub(super) explicit_valence: i32,
    /// Hydrogens added to reach a valence when they were last counted.
    pub(super) implicit_valence: i32,
    /// Number in the SMILES, for messages.
    pub(super) written_as: u32,
}

impl GraphAtom {
    pub(super) fn new(element: u8) -> Self {
        Self { element, ..Self::default() }
    }

    pub(super) fn implicit_h(&self) -> i32 {
        if self.no_implicit { 0 } else { self.implicit_valence }
    }

    pub(super) fn total_h(&self) -> i32 {
        i32::from(self.explicit_h) + self.implicit_h()
    }

    pub(super) fn total_valence(&self) -> i32 {
        self.explicit_valence + self.implicit_h()
    }
}

/// E or Z of a double bond, once it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Geometry {
    #[default]
    Unknown,
    Together,
    Opposite,
}

/// A bond of the graph.
#[derive(Debug, Clone, Copy)]
pub(super) struct GraphBond {
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) order: BondOrder,
    /// Part of an aromatic system; the order may be another one meanwhile.
    pub(super) aromatic: bool,
    pub(super) direction: BondDirection,
    pub(super) geometry: Geometry,
}

impl GraphBond {
    pub(super) fn new(begin: usize, end: usize, order: BondOrder, direction: BondDirection) -> Self {
        let aromatic = order == BondOrder::Aromatic;
        Self { begin, end, order, aromatic, direction, geometry: Geometry::Unknown }
    }

    pub(super) fn other(&self, atom: usize) -> usize {
        if self.begin == atom { self.end } else { self.begin }
    }

    /// Twice the order, so that an aromatic bond is an integer too.
    pub(super) fn twice_order(&self) -> i32 {
        match self.order {
            BondOrder::Single => 2,
            BondOrder::Double => 4,
            BondOrder::Triple => 6,
            BondOrder::Aromatic => 3,
        }
    }
}

/// One bond seen from one of its atoms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Incidence {
    pub(super) neighbour: usize,
    pub(super) bond: usize,
}

/// Atoms, bonds, and the bonds around each atom in ascending order.
#[derive(Debug, Clone, Default)]
pub(super) struct Graph {
    pub(super) atoms: Vec<GraphAtom>,
    pub(super) bonds: Vec<GraphBond>,
    offsets: Vec<usize>,
    incidences: Vec<Incidence>,
}

impl Graph {
    pub(super) fn new(atoms: Vec<GraphAtom>, bonds: Vec<GraphBond>) -> Self {
        let mut offsets = vec![0; atoms.len() + 2];
        for bond in &bonds {
            offsets[bond.begin + 2] += 1;
            offsets[bond.end + 2] += 1;
        }
        for i in 2..offsets.len() {
            offsets[i] += offsets[i - 1];
        }
        let mut incidences = vec![Incidence { neighbour: 0, bond: 0 }; 2 * bonds.len()];
        for (number, bond) in bonds.iter().enumerate() {
            for (atom, neighbour) in [(bond.begin, bond.end), (bond.end, bond.begin)] {
                incidences[offsets[atom + 1]] = Incidence { neighbour, bond: number };
                offsets[atom + 1] += 1;
            }
        }
        offsets.pop();
        Self { atoms, bonds, offsets, incidences }
    }

    /// The bonds of an atom in ascending order.
    pub(super) fn around(&self, atom: usize) -> &[Incidence] {
        &self.incidences[self.offsets[atom]..self.offsets[atom + 1]]
    }

    pub(super) fn degree(&self, atom: usize) -> i32 {
        self.around(atom).len() as i32
    }

    /// Bonds of the atom, with its neighbours.
    pub(super) fn bonds_of(&self, atom: usize) -> impl Iterator<Item = (usize, &GraphBond)> + '_ {
        self.around(atom).iter().map(|i| (i.neighbour, &self.bonds[i.bond]))
    }

    /// Neighbours and hydrogens.
    pub(super) fn total_degree(&self, atom: usize) -> i32 {
        self.degree(atom) + self.atoms[atom].total_h()
    }

    /// Aromatic itself or by one of its bonds.
    pub(super) fn is_aromatic(&self, atom: usize) -> bool {
        self.atoms[atom].aromatic
            || self.bonds_of(atom).any(|(_, bond)| bond.aromatic || bond.order == BondOrder::Aromatic)
    }

    pub(super) fn bond_between(&self, a: usize, b: usize) -> Option<usize> {
        self.around(a).iter().find(|i| i.neighbour == b).map(|i| i.bond)
    }
}

/// Whether it takes an odd number of swaps to bring the distinct numbers into ascending order.
pub(super) fn is_odd_permutation(numbers: &[usize]) -> bool {
    let inversions =
        (1..numbers.len()).map(|i| numbers[..i].iter().filter(|&&n| n > numbers[i]).count()).sum::<usize>();
    inversions % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bonds_around_an_atom_ascend() {
        let bond = |a, b| GraphBond::new(a, b, BondOrder::Single, BondDirection::None);
        let graph = Graph::new(vec![GraphAtom::new(6); 4], vec![bond(0, 1), bond(1, 2), bond(3, 1)]);
        let around: Vec<_> = graph.around(1).iter().map(|i| (i.neighbour, i.bond)).collect();
        assert_eq!(around, [(0, 0), (2, 1), (3, 2)]);
        assert_eq!(graph.around(2).len(), 1);
        assert_eq!(graph.bond_between(1, 3), Some(2));
        assert_eq!(graph.bond_between(0, 3), None);
    }

    #[test]
    fn parity_of_permutations() {
        assert!(!is_odd_permutation(&[0, 1, 2, 3]));
        assert!(is_odd_permutation(&[1, 0, 2, 3]));
        assert!(is_odd_permutation(&[1, 2, 3, 0]));
        assert!(!is_odd_permutation(&[1, 2, 0, 3]));
        assert!(!is_odd_permutation(&[]));
    }
}
