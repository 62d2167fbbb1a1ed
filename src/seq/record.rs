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

/// Most bytes of an id. The longest of the public databases have about 200; one that is a SMILES may be longer.
pub const MAX_ID: usize = 4096;

/// The id that `word` is, and what is wrong with it.
pub(crate) fn id_of(word: &[u8]) -> (String, Option<RecordFault>) {
    let kept = &word[..word.len().min(MAX_ID)];
    let id = String::from_utf8_lossy(kept).into_owned();
    let fault = if word.is_empty() {
        Some(RecordFault::NoId)
    } else if word.len() > MAX_ID {
        Some(RecordFault::LongId)
    } else if word != id.as_bytes() || id.chars().any(char::is_control) {
        Some(RecordFault::BadId)
    } else {
        None
    };
    (id, fault)
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
    /// The id has more than [`MAX_ID`] bytes; it is given up to there.
    LongId,
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
            Self::LongId => "long-id",
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
            Self::LongId => "an id has at most 4 096 bytes: write a shorter one",
            Self::TooLong => {
                "a record has at most 134 217 728 letters: cut it into the transcripts or domains of interest"
            }
            Self::RunTogether => "put a line break before the inner '>'",
        }
    }
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded_and_the_limits_are_named() {
        let longest = "é".repeat(MAX_ID / 2);
        assert_eq!(id_of(longest.as_bytes()), (longest.clone(), None));
        let (id, fault) = id_of(&[longest.as_bytes(), b"x"].concat());
        assert_eq!((id, fault), (longest, Some(RecordFault::LongId)));
        // Cut inside a letter.
        assert_eq!(id_of("€".repeat(MAX_ID).as_bytes()).1, Some(RecordFault::LongId));
        let digits = |fault: RecordFault| fault.help().chars().filter(char::is_ascii_digit).collect::<String>();
        assert_eq!(digits(RecordFault::LongId), MAX_ID.to_string());
        assert_eq!(digits(RecordFault::TooLong), crate::seq::fasta::MAX_LETTERS.to_string());
    }
}
