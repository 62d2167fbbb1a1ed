//! How the states of a record become what is stored.

use super::store::Layout;

/// How the states of letters or atoms become the vector of a sequence or molecule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pooling {
    /// Average over the residues (without `<cls>` and `<eos>`), or over the atoms.
    Mean,
    /// State of `<cls>`.
    Cls,
    /// Average over all tokens, `<cls>` and `<eos>` included.
    MeanWithSpecial,
    /// One vector for each residue.
    PerResidue,
    /// Sum over the atoms.
    Sum,
    /// Largest value over the atoms, number by number.
    Max,
    /// Share of each code of the atom tokenizer among the atoms.
    Codes,
    /// One vector for each atom.
    PerAtom,
}

impl Pooling {
    /// Every pooling.
    pub const ALL: [Self; 8] = [
        Self::Mean,
        Self::Cls,
        Self::MeanWithSpecial,
        Self::PerResidue,
        Self::Sum,
        Self::Max,
        Self::Codes,
        Self::PerAtom,
    ];

    /// Its name on the command line and in stores.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::MeanWithSpecial => "mean-with-special",
            Self::PerResidue => "per-residue",
            Self::Sum => "sum",
            Self::Max => "max",
            Self::Codes => "codes",
            Self::PerAtom => "per-atom",
        }
    }

    /// The pooling of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|pooling| pooling.name() == name)
    }

    /// What a row of its store is.
    #[must_use]
    pub fn layout(self) -> Layout {
        match self {
            Self::PerResidue | Self::PerAtom => Layout::PerResidue,
            _ => Layout::Pooled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for pooling in Pooling::ALL {
            assert_eq!(Pooling::from_name(pooling.name()), Some(pooling));
        }
        assert_eq!(Pooling::from_name("median"), None);
    }
}
