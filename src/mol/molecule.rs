//! The graph of a molecule after clean-up, in RDKit's order of atoms and bonds.

/// A molecule: all dot-separated parts of one SMILES as one graph.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Molecule {
    /// Atoms in order of appearance; explicit hydrogens that RDKit removes are gone.
    pub atoms: Vec<Atom>,
    /// Chain and branch bonds in order of creation, then ring closures by ring number.
    pub bonds: Vec<Bond>,
}

/// One atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Atom {
    /// 1 = H … 118.
    pub atomic_number: u8,
    /// Mass number where the SMILES gives one, else 0.
    pub isotope: u16,
    /// Formal charge.
    pub charge: i8,
    /// Hydrogens that are not atoms of the graph: written in the bracket, or implied by the valence.
    pub n_hydrogens: u8,
    /// Chiral tag.
    pub chirality: Chirality,
    /// Member of an aromatic ring system by RDKit's model.
    pub aromatic: bool,
    /// Member of a ring.
    pub in_ring: bool,
}

/// One bond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bond {
    /// Index of the atom where the bond begins.
    pub begin: usize,
    /// Index of the atom where it ends.
    pub end: usize,
    /// Order.
    pub order: BondOrder,
    /// Direction mark beside a double bond.
    pub direction: BondDirection,
    /// Part of a ring.
    pub in_ring: bool,
}

/// RDKit's chiral tags, with Mole-BERT's codes as discriminants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Chirality {
    /// None.
    #[default]
    Unspecified = 0,
    /// `CHI_TETRAHEDRAL_CW`.
    Clockwise = 1,
    /// `CHI_TETRAHEDRAL_CCW`.
    CounterClockwise = 2,
}

/// Bond orders, with Mole-BERT's codes as discriminants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BondOrder {
    /// Single.
    Single = 0,
    /// Double.
    Double = 1,
    /// Triple.
    Triple = 2,
    /// Aromatic.
    Aromatic = 3,
}

/// Direction marks, with Mole-BERT's codes as discriminants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BondDirection {
    /// None.
    #[default]
    None = 0,
    /// `ENDUPRIGHT`, `/`.
    Up = 1,
    /// `ENDDOWNRIGHT`, `\`.
    Down = 2,
}

impl BondDirection {
    /// The same mark seen from the other end of its bond.
    #[must_use]
    pub(super) fn reversed(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
            Self::None => Self::None,
        }
    }
}
