//! Which records are encoded, and what of them.

use super::encoder::{RecordEncoder, Refusal};
use super::pipeline::{EmbedOptions, LongSequences, UnknownLetters};
use super::pooling::Pooling;
use super::store::{Flags, Status};
use crate::seq::{DIGEST_BYTES, SequenceRecord, digest};

/// What of a record is encoded, or why nothing is.
pub(super) struct Admitted<T> {
    /// Of the letters that are encoded.
    pub digest: [u8; DIGEST_BYTES],
    /// Letters that the encoder does not know.
    pub unknown: u32,
    pub flags: Flags,
    pub outcome: Result<T, Refusal>,
}

impl<T> Admitted<T> {
    pub fn new<'a, E>(record: &'a SequenceRecord, encoder: &E, poolings: &[Pooling], options: EmbedOptions) -> Self
    where
        E: RecordEncoder<Item<'a> = T>,
    {
        let mut flags = if record.dropped_stop { Flags::DROPPED_STOP } else { Flags::default() };
        let unknown = encoder.count_unknown(record);
        let mut letters = record.sequence.as_slice();
        let mut refusal = record.fault.map(|fault| Refusal {
            status: Status::from_name(fault.name()).unwrap_or(Status::NoSequence),
            reason: fault.help().to_owned(),
        });
        let limit = options.max_length.unwrap_or(usize::MAX);
        if refusal.is_none() && letters.len() > limit {
            match options.long {
                LongSequences::Truncate => {
                    letters = &letters[..limit];
                    flags = flags.with(Flags::TRUNCATED);
                }
                LongSequences::Refuse => {
                    let reason = format!("{} letters, --max-length is {limit}", letters.len());
                    refusal = Some(Refusal { status: Status::TooLong, reason });
                }
                LongSequences::Window => {}
            }
        }
        if refusal.is_none() && unknown > 0 && options.unknown == UnknownLetters::Refuse {
            let reason = format!("{unknown} letters outside the alphabet");
            refusal = Some(Refusal { status: Status::UnknownLetters, reason });
        }
        let outcome = match refusal {
            Some(refusal) => Err(refusal),
            None => encoder.prepare(letters, poolings).map(|prepared| {
                flags = flags.with(prepared.flags);
                prepared.item
            }),
        };
        Self { digest: digest(letters), unknown, flags, outcome }
    }
}
