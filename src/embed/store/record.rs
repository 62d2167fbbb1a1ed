//! One record of a store: an id, its sequence in figures, and what became of it.

use crate::seq::DIGEST_BYTES;

/// What became of an input record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// It has a vector.
    Ok,
    /// An earlier record has the same id and the same sequence.
    DuplicateId,
    /// An earlier record has the same id and another sequence.
    ConflictingId,
    /// Its vector holds NaN or an infinity (for f16: or a value beyond ±65 504).
    Nonfinite,
    /// It is longer than allowed.
    TooLong,
    /// It holds letters outside the alphabet, which were asked to be refused.
    UnknownLetters,
    /// It has no sequence.
    NoSequence,
    /// It has no id.
    NoId,
    /// Its id is not printable text.
    BadId,
    /// Its id is too long.
    LongId,
    /// Two records have run together.
    RunTogether,
    /// Its work space is beyond the memory allowed.
    TooLarge,
    /// Its SMILES is not that of a molecule.
    InvalidSmiles,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::DuplicateId,
        Self::ConflictingId,
        Self::Nonfinite,
        Self::TooLong,
        Self::UnknownLetters,
        Self::NoSequence,
        Self::NoId,
        Self::BadId,
        Self::LongId,
        Self::RunTogether,
        Self::TooLarge,
        Self::InvalidSmiles,
    ];

    /// Its name in the table of records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::DuplicateId => "duplicate-id",
            Self::ConflictingId => "conflicting-id",
            Self::Nonfinite => "nonfinite",
            Self::TooLong => "too-long",
            Self::UnknownLetters => "unknown-letters",
            Self::NoSequence => "no-sequence",
            Self::NoId => "no-id",
            Self::BadId => "bad-id",
            Self::LongId => "long-id",
            Self::RunTogether => "run-together",
            Self::TooLarge => "too-large",
            Self::InvalidSmiles => "invalid-smiles",
        }
    }

    /// The status of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// Remarks on a record that has a vector all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u8);

impl Flags {
    /// One final `*` of a protein was dropped.
    pub const DROPPED_STOP: Self = Self(1);
    /// Only the first letters were encoded, as asked for.
    pub const TRUNCATED: Self = Self(2);
    /// It was encoded as the average over overlapping windows, as asked for.
    pub const WINDOWED: Self = Self(4);
    /// More residues were encoded at once than the encoder was trained with.
    pub const BEYOND_TRAINING: Self = Self(8);

    const NAMES: [(Self, &'static str); 4] = [
        (Self::DROPPED_STOP, "dropped-stop"),
        (Self::TRUNCATED, "truncated"),
        (Self::WINDOWED, "windowed"),
        (Self::BEYOND_TRAINING, "beyond-training"),
    ];

    /// The set as a number.
    pub(super) fn bits(self) -> u8 {
        self.0
    }
    /// The set of this [number](Self::bits).
    pub(super) fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
    /// Both sets.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// True when all of `other` are set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    /// Names, separated by commas.
    #[must_use]
    pub fn names(self) -> String {
        let names: Vec<_> =
            Self::NAMES.iter().filter(|(flag, _)| self.contains(*flag)).map(|(_, name)| *name).collect();
        names.join(",")
    }
    /// The set of these names; `None` when one is not known.
    #[must_use]
    pub fn from_names(names: &str) -> Option<Self> {
        names.split(',').filter(|name| !name.is_empty()).try_fold(Self::default(), |flags, name| {
            Self::NAMES.iter().find(|(_, known)| *known == name).map(|(flag, _)| flags.with(*flag))
        })
    }
}

/// A record to be written.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord<'a> {
    /// Id.
    pub id: &'a str,
    /// 1-based line of the input, 0 where there is none.
    pub line: u64,
    /// [`digest`](crate::seq::digest) of the sequence that was encoded.
    pub digest: [u8; DIGEST_BYTES],
    /// Letters of the input sequence.
    pub length: u32,
    /// Letters outside the alphabet.
    pub unknown: u32,
    /// Remarks.
    pub flags: Flags,
}

/// A record of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredRecord<'a> {
    /// Id.
    pub id: &'a str,
    /// Row of its vector; `None` for a refused record.
    pub row: Option<usize>,
    /// Digest of the sequence.
    pub digest: [u8; DIGEST_BYTES],
    /// Letters of the sequence; 0 where it is not known.
    pub length: u32,
    /// Letters outside the alphabet.
    pub unknown: u32,
    /// Remarks.
    pub flags: Flags,
    /// What became of it.
    pub status: Status,
}

impl StoredRecord<'_> {
    /// The digest in hexadecimal, 32 letters.
    #[must_use]
    pub fn digest_hex(&self) -> String {
        to_hex(&self.digest)
    }
}

pub(super) fn to_hex(digest: &[u8; DIGEST_BYTES]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    digest.iter().flat_map(|b| [b >> 4, b & 15]).map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

pub(super) fn from_hex(text: &[u8]) -> Option<[u8; DIGEST_BYTES]> {
    let mut digest = [0; DIGEST_BYTES];
    if text.len() != 2 * DIGEST_BYTES {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for (i, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(Status::from_name(status.name()), Some(status));
            assert_eq!(status as usize, i);
        }
        let both = Flags::DROPPED_STOP.with(Flags::TRUNCATED);
        assert_eq!(both.names(), "dropped-stop,truncated");
        for flags in [Flags::default(), Flags::TRUNCATED, both, both.with(Flags::WINDOWED).with(Flags::BEYOND_TRAINING)]
        {
            assert_eq!(Flags::from_names(&flags.names()), Some(flags));
        }
        assert_eq!(Flags::from_names("folded"), None);
    }

    #[test]
    fn hexadecimal_leads_back() {
        let digest = crate::seq::digest(b"ACGT");
        assert_eq!(to_hex(&digest), crate::seq::digest_hex(b"ACGT"));
        assert_eq!(from_hex(to_hex(&digest).as_bytes()), Some(digest));
        assert_eq!(from_hex(b"zz"), None);
        assert_eq!(from_hex(&[b'g'; 32]), None);
    }
}
