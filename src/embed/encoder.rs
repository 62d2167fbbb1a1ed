//! What the pipeline asks of an encoder, be it of sequences or molecules, with or without weights.

use super::pooling::Pooling;
use super::store::{Flags, Status};
use super::vectors::Vectors;
use crate::data::EncoderIdentity;
use crate::error::Result;
use crate::progress::Progress;
use crate::seq::{Alphabet, SequenceRecord};

/// Turns records into vectors.
///
/// The vectors of a record depend on that record alone: not on the records that come with it, nor on the number of
/// threads.
pub trait RecordEncoder: Send + Sync {
    /// A record made ready.
    type Item<'a>: Send + Sync;

    /// The records that it takes.
    fn kind(&self) -> RecordKind;
    /// The poolings that it offers.
    fn poolings(&self) -> &[Pooling];
    /// What made the vectors of this pooling.
    fn identity(&self, pooling: Pooling) -> EncoderIdentity;
    /// Width of a vector of this pooling.
    fn dim(&self, pooling: Pooling) -> usize;
    /// How much is read before anything of it is computed.
    fn read_ahead(&self, poolings: &[Pooling]) -> ReadAhead;
    /// How its progress is counted.
    fn measure(&self) -> Measure;
    /// Letters beyond which a sequence is encoded as overlapping windows of that many; `None` = never.
    fn window(&self) -> Option<usize> {
        None
    }

    /// Letters of a record that the encoder does not know.
    fn count_unknown(&self, record: &SequenceRecord) -> u32 {
        record.unknown
    }
    /// Makes the letters of a record ready, or says why it cannot be encoded; nothing costly is done yet.
    ///
    /// # Errors
    /// The refusal.
    fn prepare<'a>(&self, letters: &'a [u8], poolings: &[Pooling]) -> Result<Prepared<Self::Item<'a>>, Refusal>;
    /// Vectors that an item has in the store of this pooling: 1 where it is pooled.
    fn rows(&self, item: &Self::Item<'_>, pooling: Pooling) -> usize;
    /// Encodes `items` into `vectors`, one of each pooling, with [`rows`](Self::rows) rows for each item. Tells
    /// `progress` of each item's [`Measure::cost`]. Returns the items that could not be encoded after all.
    ///
    /// # Errors
    /// Those of the network, and [`Error::Interrupted`](crate::error::Error::Interrupted).
    fn encode(
        &mut self,
        items: &[Self::Item<'_>],
        poolings: &[Pooling],
        vectors: &mut [Vectors],
        progress: &dyn Progress,
    ) -> Result<Vec<(usize, Refusal)>>;
}

/// The kind of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// FASTA.
    Sequences(Alphabet),
    /// SMILES, one a line.
    Molecules,
}

impl RecordKind {
    /// Name of the modality: `rna`, `protein`, `molecule`.
    #[must_use]
    pub fn modality(self) -> &'static str {
        match self {
            Self::Sequences(alphabet) => alphabet.name(),
            Self::Molecules => "molecule",
        }
    }
}

/// How the progress of an encoder is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Records: the work is done about as fast as they are read.
    Records,
    /// Tokens, special ones included: the work is slow enough to count them beforehand.
    Tokens,
}

impl Measure {
    /// What a record of so many letters counts.
    #[must_use]
    pub fn cost(self, letters: usize) -> u64 {
        match self {
            Self::Records => 1,
            Self::Tokens => (letters + crate::tokens::SPECIAL_TOKENS) as u64,
        }
    }
    /// Its unit.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Tokens => "tokens",
        }
    }
}

/// How much is read before anything of it is computed: reading ends at the first of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadAhead {
    /// Most records.
    pub records: usize,
    /// Letters beyond which no further record is read.
    pub letters: usize,
}

/// A record made ready, with remarks.
#[derive(Debug)]
pub struct Prepared<T> {
    /// What is encoded.
    pub item: T,
    /// Remarks.
    pub flags: Flags,
}

/// Why a record has no vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What became of it.
    pub status: Status,
    /// Why, in words.
    pub reason: String,
}
