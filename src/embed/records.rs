//! The records of an input, or of one shard of it.

use std::path::Path;

use super::encoder::{ReadAhead, RecordKind};
use super::pipeline::{EmbedOptions, LongSequences};
use crate::error::Result;
use crate::files::Shard;
use crate::progress::check_interrupt;
use crate::seq::{SequenceRecord, fasta, smi};
use crate::tokens::SPECIAL_TOKENS;

/// The records of an input.
pub(super) enum Records {
    Fasta(fasta::Reader),
    Smiles(smi::Reader),
}

impl Records {
    pub fn open(input: &Path, kind: RecordKind) -> Result<Self> {
        Ok(match kind {
            RecordKind::Sequences(alphabet) => Self::Fasta(fasta::Reader::open(input, alphabet)?),
            RecordKind::Molecules => Self::Smiles(smi::Reader::open(input)?),
        })
    }
}

impl Iterator for Records {
    type Item = Result<SequenceRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Fasta(reader) => reader.next(),
            Self::Smiles(reader) => reader.next(),
        }
    }
}

/// Letters of a record that are encoded, whatever becomes of it.
pub(super) fn letters(record: &SequenceRecord, options: EmbedOptions) -> usize {
    let limit = match options.long {
        LongSequences::Truncate => options.max_length.unwrap_or(usize::MAX),
        LongSequences::Refuse | LongSequences::Window => usize::MAX,
    };
    record.sequence.len().min(limit)
}

/// What an input amounts to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub records: u64,
    pub letters: u64,
    /// Bytes of all ids.
    pub ids: u64,
}

impl Amount {
    /// Reads all of `input`.
    pub fn of(input: &Path, kind: RecordKind, options: EmbedOptions) -> Result<Self> {
        let mut amount = Self::default();
        for record in Records::open(input, kind)? {
            if amount.records.is_multiple_of(4096) {
                check_interrupt()?;
            }
            amount.add(&record?, options);
        }
        Ok(amount)
    }

    fn add(&mut self, record: &SequenceRecord, options: EmbedOptions) {
        self.records += 1;
        self.letters += letters(record, options) as u64;
        self.ids += record.id.len() as u64;
    }

    /// Tokens, special ones included: what shards are cut by, whatever the encoder.
    pub fn tokens(self) -> u64 {
        self.letters + self.records * SPECIAL_TOKENS as u64
    }
}

/// The records of a shard: those that begin in its share of the tokens.
pub(super) struct Share {
    records: Records,
    options: EmbedOptions,
    shard: Shard,
    /// Tokens of the input.
    whole: u64,
    /// What was read before the record in `ahead`, and that record.
    before: Amount,
    ahead: Option<SequenceRecord>,
}

impl Share {
    /// Reads up to the first record of the share; `whole` is what the input amounts to, which matters to shards only.
    pub fn open(input: &Path, kind: RecordKind, options: EmbedOptions, whole: Amount) -> Result<Self> {
        let records = Records::open(input, kind)?;
        let (shard, before) = (options.shard, Amount::default());
        let mut share = Self { records, options, shard, whole: whole.tokens(), before, ahead: None };
        share.read()?;
        while share.ahead.is_some() && share.number() < shard.index {
            share.skip()?;
        }
        Ok(share)
    }

    /// Records of the input before the one that comes next.
    pub fn before(&self) -> u64 {
        self.before.records
    }

    /// Tokens of the input before the record that comes next.
    pub fn tokens_before(&self) -> u64 {
        self.before.tokens()
    }

    /// Leaves out one record.
    pub fn skip(&mut self) -> Result<()> {
        if self.before.records.is_multiple_of(4096) {
            check_interrupt()?;
        }
        if let Some(record) = self.ahead.take() {
            self.before.add(&record, self.options);
        }
        self.read()
    }

    /// Some records of the share, as many as may be read ahead.
    pub fn chunk(&mut self, most: ReadAhead) -> Result<Vec<SequenceRecord>> {
        let mut chunk = Vec::new();
        let mut letters = 0;
        while chunk.len() < most.records && letters < most.letters && self.number() == self.shard.index {
            let Some(record) = self.ahead.take() else { break };
            self.before.add(&record, self.options);
            letters += record.sequence.len();
            chunk.push(record);
            self.read()?;
        }
        Ok(chunk)
    }

    /// The shard of the record that comes next.
    fn number(&self) -> usize {
        if self.shard.is_whole() { 0 } else { self.shard.number_at(self.before.tokens(), self.whole) }
    }

    fn read(&mut self) -> Result<()> {
        self.ahead = self.records.next().transpose()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::embed::store::Dtype;
    use crate::seq::Alphabet;

    #[test]
    fn the_shards_of_an_input_are_the_input_at_equal_cost() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("in.fa");
        let mut text = String::new();
        for i in 0..200 {
            writeln!(text, ">r{i}\n{}", "ACGU".repeat(1 + i * i % 37)).unwrap();
        }
        std::fs::write(&input, text).unwrap();
        let kind = RecordKind::Sequences(Alphabet::Rna);
        let whole = Amount::of(&input, kind, EmbedOptions::of(Dtype::F32)).unwrap();
        let all: Vec<String> = Records::open(&input, kind).unwrap().map(|record| record.unwrap().id).collect();
        for count in [1, 2, 7, 200, 1000] {
            let (mut ids, mut heaviest) = (Vec::new(), 0);
            for index in 0..count {
                let options = EmbedOptions { shard: Shard { index, count }, ..EmbedOptions::of(Dtype::F32) };
                let mut share = Share::open(&input, kind, options, whole).unwrap();
                assert_eq!(share.before(), ids.len() as u64);
                let begin = share.tokens_before();
                loop {
                    let chunk = share.chunk(ReadAhead { records: 3, letters: 1000 }).unwrap();
                    if chunk.is_empty() {
                        break;
                    }
                    ids.extend(chunk.into_iter().map(|record| record.id));
                }
                heaviest = heaviest.max(share.tokens_before() - begin);
            }
            assert_eq!(ids, all, "{count} shards");
            assert!(heaviest <= whole.tokens() / count as u64 + 150, "{count} shards");
        }
    }
}
