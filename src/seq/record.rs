//! One record of a FASTA or SMILES file.

use std::fmt;

/// One record: a sequence, normalised as [`Alphabet`](super::Alphabet) says, or the SMILES of a molecule as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceRecord {
    /// First word after `>`; of a molecule the word after the SMILES.
    pub id: String,
    /// 1-based line where it begins.
    pub line: u64,
    /// Normalised letters, always ASCII, or the SMILES; empty when there is a fault.
    pub sequence: Vec<u8>,
    /// Letters outside the alphabet.
    pub unknown: u32,
    /// True when one final `*` was dropped (proteins only).
    pub dropped_stop: bool,
    /// Why this record cannot be used, `None` for a good one. The records after it are read all the same.
    pub fault: Option<RecordFault>,
}

/// Why one record cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecordFault {
    /// A header without a letter of sequence.
    NoSequence,
    /// Nothing, or a blank, after `>`.
    NoId,
    /// The id is not UTF-8 or holds control characters; it is given with replacement characters.
    BadId,
    /// More than [`MAX_LETTERS`](super::fasta::MAX_LETTERS) letters.
    TooLong,
    /// A `>` inside a sequence line: two records have run together.
    RunTogether,
}

impl RecordFault {
    /// Stable name for tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoSequence => "no-sequence",
            Self::NoId => "no-id",
            Self::BadId => "bad-id",
            Self::TooLong => "too-long",
            Self::RunTogether => "run-together",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(self) -> &'static str {
        match self {
            Self::NoSequence => "add the sequence or remove the header",
            Self::NoId => "write an id directly after '>'",
            Self::BadId => "use printable UTF-8 in ids",
            Self::TooLong => "cut the sequence into the transcripts or domains of interest",
            Self::RunTogether => "put a line break before the inner '>'",
        }
    }
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
