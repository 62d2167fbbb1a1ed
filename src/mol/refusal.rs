//! Why a SMILES has no molecule.

use std::fmt;

/// The kind of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The string is not a SMILES.
    Parse,
    /// An atom has more bonds than its element and charge allow.
    Valence,
    /// Aromatic atoms to which no alternating double bonds can be given.
    Kekulise,
    /// A molecule, but with something that the molecule encoder has no number for.
    OutOfVocabulary,
    /// Larger than this program handles.
    Limit,
}

impl Reason {
    /// The name for machines: `parse-error`, `valence`, `kekulise`, `out-of-vocabulary`, `limit`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse-error",
            Self::Valence => "valence",
            Self::Kekulise => "kekulise",
            Self::OutOfVocabulary => "out-of-vocabulary",
            Self::Limit => "limit",
        }
    }
}

/// A refused SMILES: the kind, and a sentence that says what is wrong and where.
///
/// Characters are counted from 1; atoms from 0 in order of appearance, written hydrogens included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    reason: Reason,
    sentence: String,
}

impl Refusal {
    pub(super) fn new(reason: Reason, sentence: impl Into<String>) -> Self {
        Self { reason, sentence: sentence.into() }
    }

    /// A grammar error at the byte `at` (0-based; a SMILES is ASCII up to its first error).
    pub(super) fn at_character(at: usize, what: impl fmt::Display) -> Self {
        Self::new(Reason::Parse, format!("{what} at character {}", at + 1))
    }

    /// What to do next.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self.reason {
            Reason::Parse => "correct the SMILES at this place, or leave the molecule out",
            Reason::Valence => "write the charge that the atom has, or correct its bonds",
            Reason::Kekulise => "write aromatic nitrogen that has a hydrogen as [nH], or correct the ring",
            Reason::OutOfVocabulary => "leave the molecule out: the encoder was never trained on this",
            Reason::Limit => "leave the molecule out",
        }
    }

    /// The kind.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Refusal {}
