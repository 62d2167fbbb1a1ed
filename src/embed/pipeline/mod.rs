//! From a file of records to stores: reading, encoding, writing in input order.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::admission::Admitted;
use super::destination::Destination;
use super::encoder::{Measure, RecordEncoder, RecordKind, Refusal};
use super::pooling::Pooling;
use super::records::{Amount, Share, letters};
use super::room::Room;
use super::store::{Detail, Dtype, NewRecord, ShardDetail, StoreSummary, StoreWriter};
use super::vectors::Vectors;
use crate::error::{Error, Result};
use crate::files::Shard;
use crate::files::digest::digest_file;
use crate::progress::{Progress, check_interrupt};
use crate::seq::{DIGEST_BYTES, SequenceRecord};

/// What to do with letters outside the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownLetters {
    /// Count them; the encoder takes them as unknown.
    #[default]
    Keep,
    /// Refuse the record.
    Refuse,
}

/// What to do with sequences beyond the longest length allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LongSequences {
    /// Refuse the record.
    #[default]
    Refuse,
    /// Encode the first letters only, and flag the record.
    Truncate,
    /// Encode overlapping windows of that length, average them by residue, and flag the record. For encoders with a
    /// [window](RecordEncoder::window) only.
    Window,
}

/// How to embed.
#[derive(Debug, Clone, Copy)]
pub struct EmbedOptions {
    /// Type of the stored numbers.
    pub dtype: Dtype,
    /// What to do with letters outside the vocabulary.
    pub unknown: UnknownLetters,
    /// Most letters of a sequence; `None` = no limit.
    pub max_length: Option<usize>,
    /// What to do with longer ones.
    pub long: LongSequences,
    /// Leave a finished store of the same input, encoder and options as it is.
    pub resume: bool,
    /// Replace a finished store.
    pub force: bool,
    /// The share of the input that is embedded: into a folder of its own, unless it is all of it.
    pub shard: Shard,
    /// How often what was written is made durable, so that a later process goes on from there.
    pub checkpoint: Duration,
}

impl EmbedOptions {
    /// All of the input into a store of this type, refusing nothing that can be encoded.
    #[must_use]
    pub const fn of(dtype: Dtype) -> Self {
        Self {
            dtype,
            unknown: UnknownLetters::Keep,
            max_length: None,
            long: LongSequences::Refuse,
            resume: true,
            force: false,
            shard: Shard::WHOLE,
            checkpoint: CHECKPOINT,
        }
    }
}

/// How often what was written is made durable, unless said otherwise.
pub const CHECKPOINT: Duration = Duration::from_secs(600);

/// What came of it: a store for each pooling, in the order asked for, and the work that was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// The stores.
    pub stores: Vec<Filled>,
    /// The work; nothing where every store was there already.
    pub work: Work,
}

/// One store.
#[derive(Debug, Clone, PartialEq)]
pub enum Filled {
    /// It is there already, of the same input, encoder and options.
    UpToDate(Box<Detail>),
    /// It was written.
    Written(StoreSummary),
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Work {
    /// Letters that were read.
    pub letters: u64,
    /// Letters among them that the encoder does not know.
    pub unknown: u64,
    /// What was encoded, in the unit of the encoder's [`Measure`].
    pub encoded: u64,
    /// Time it took, writing included.
    pub seconds: f64,
}

/// Embeds `input` (a path, or `-` for standard input) into the store `out`; where there are several `poolings`, each
/// into its own store `out/<pooling>`. A shard goes to a folder beside its store ([`Shard::place`]), from where
/// [`merge_shards`](super::merge_shards) joins it.
///
/// The same input gives the same bytes, whatever the number of threads. What an earlier process left at a checkpoint is
/// gone on with. Memory: what the encoder reads ahead, its vectors, and what [`StoreWriter`] holds per record.
///
/// # Errors
/// [`Error::Usage`] for a pooling or a policy that the encoder has not; [`Error::NoSpace`] where the stores would not fit
/// on their disk; those of the readers, of the encoder, of [`StoreWriter`], and the progress interrupt. What a checkpoint
/// holds is left then, and nothing else.
pub fn embed<E: RecordEncoder>(
    input: &Path,
    encoder: &mut E,
    poolings: &[Pooling],
    options: EmbedOptions,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Embedded> {
    let started = Instant::now();
    refuse_unfit(encoder, poolings, options)?;
    let kind = encoder.kind();
    if !options.shard.is_whole() && !input.is_file() {
        return Err(Error::usage(
            format!("{} cannot be read by shards: each reads it from the beginning", input.display()),
            "name a file",
        ));
    }
    // A pipe can be read once only: it has no digest, and what was made from it is never up to date.
    let input_digest = if input.is_file() { Some(digest_file(input)?.1) } else { None };
    let destinations = Destination::plan(out, encoder, poolings, options, input_digest.as_deref())?;
    let repeatable = options.resume && input_digest.is_some();
    let mut stores = Vec::with_capacity(poolings.len());
    let mut wanted = Vec::new();
    for destination in destinations {
        let finished = if repeatable && !options.force { destination.finished()? } else { None };
        if finished.is_none() {
            wanted.push(destination);
        }
        stores.push(finished.map(|detail| Filled::UpToDate(Box::new(detail))));
    }
    let mut work = Work::default();
    if !wanted.is_empty() {
        let measure = encoder.measure();
        let counts = input_digest.is_some() && (measure == Measure::Tokens || !options.shard.is_whole());
        let amount = if counts { Some(Amount::of(input, kind, options)?) } else { None };
        let room = Room::check(input, encoder, &wanted, options, amount, progress)?;
        let whole = amount.unwrap_or_default();
        let mut share = Share::open(input, kind, options, whole)?;
        let shard = (!options.shard.is_whole()).then(|| ShardDetail {
            index: options.shard.index,
            count: options.shard.count,
            first_record: share.before(),
            whole_records: whole.records,
            whole_tokens: whole.tokens(),
        });
        let poolings: Vec<Pooling> = wanted.iter().map(|destination| destination.pooling).collect();
        let writers = wanted.into_iter().map(|destination| {
            if repeatable {
                StoreWriter::resume(&destination.path, destination.options, shard)
            } else {
                StoreWriter::create(&destination.path, destination.options)
            }
        });
        let writers: Vec<StoreWriter> = writers.collect::<Result<_>>()?;
        let total = (measure == Measure::Tokens).then_some(whole.tokens() / options.shard.count as u64);
        progress.begin("embed", measure.unit(), total.filter(|_| counts));
        let mut job = Job {
            encoder,
            poolings: &poolings,
            options,
            writers,
            first: share.before(),
            next: 0,
            vectors: Vec::new(),
            work,
        };
        let done = job.run(&mut share, repeatable, progress).and_then(|()| {
            progress.finish();
            work = job.work;
            job.writers.into_iter().map(|writer| writer.finish().map(Filled::Written)).collect::<Result<Vec<_>>>()
        });
        let mut summaries = done.map_err(|error| room.explain(error))?.into_iter();
        for slot in stores.iter_mut().filter(|slot| slot.is_none()) {
            *slot = summaries.next();
        }
        work.seconds = started.elapsed().as_secs_f64();
    }
    Ok(Embedded { stores: stores.into_iter().flatten().collect(), work })
}

fn refuse_unfit<E: RecordEncoder>(encoder: &E, poolings: &[Pooling], options: EmbedOptions) -> Result<()> {
    let offered: Vec<_> = encoder.poolings().iter().map(|pooling| pooling.name()).collect();
    let unknown = poolings.iter().find(|pooling| !encoder.poolings().contains(pooling));
    if let Some(pooling) = unknown {
        return Err(Error::usage(
            format!("this encoder has no pooling '{}'", pooling.name()),
            format!("choose from: {}", offered.join(", ")),
        ));
    }
    let cuts = options.long == LongSequences::Truncate && options.max_length.is_some();
    if cuts && encoder.kind() == RecordKind::Molecules {
        return Err(Error::usage("a SMILES cannot be cut short", "choose --long error, or leave --max-length out"));
    }
    if options.long == LongSequences::Window && (encoder.window().is_none() || encoder.window() != options.max_length) {
        return Err(Error::usage(
            "this encoder does not average over windows",
            "a backbone does, with --max-length N; others take a sequence of any length whole",
        ));
    }
    Ok(())
}

/// The work in progress.
struct Job<'a, E> {
    encoder: &'a mut E,
    /// One for each writer.
    poolings: &'a [Pooling],
    options: EmbedOptions,
    writers: Vec<StoreWriter>,
    /// Records of the input before those of this share.
    first: u64,
    /// Records of the share before the chunk at hand.
    next: usize,
    /// Of a chunk; kept, since memory that is given back and asked for again lies scattered in the end.
    vectors: Vec<Vectors>,
    work: Work,
}

impl<E: RecordEncoder> Job<'_, E> {
    /// Encodes the share, and leaves a checkpoint where it is stopped by something that passes.
    fn run(&mut self, share: &mut Share, keep: bool, progress: &dyn Progress) -> Result<()> {
        let done = self.encode(share, keep, progress);
        if keep && done.as_ref().is_err_and(|error| error.exit_code() == 75) {
            // What cannot be written now was not lost: an earlier checkpoint holds.
            let _ = self.checkpoint();
        }
        done
    }

    fn encode(&mut self, share: &mut Share, keep: bool, progress: &dyn Progress) -> Result<()> {
        // What every writer has already is not read again.
        self.next = self.writers.iter().map(StoreWriter::n_records).min().unwrap_or(0);
        let begin = (share.before(), share.tokens_before());
        while share.before() < self.first + self.next as u64 {
            share.skip()?;
        }
        progress.advance(match self.encoder.measure() {
            Measure::Records => share.before() - begin.0,
            Measure::Tokens => share.tokens_before() - begin.1,
        });
        let ahead = self.encoder.read_ahead(self.poolings);
        let mut written = Instant::now();
        let mut chunk = share.chunk(ahead)?;
        while !chunk.is_empty() {
            check_interrupt()?;
            // The next chunk is read while this one is encoded, where that takes long. Whatever is short is done by this
            // thread: allocators keep what each thread gave back, and memory would grow with the threads and the records.
            let is_short = self.encoder.measure() == Measure::Records;
            let (next, done) = if is_short || rayon::current_num_threads() == 1 {
                let done = self.store(&chunk, progress);
                (share.chunk(ahead), done)
            } else {
                thread::scope(|scope| {
                    let reader = scope.spawn(|| share.chunk(ahead));
                    let done = self.store(&chunk, progress);
                    (reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), done)
                })
            };
            done?;
            self.next += chunk.len();
            chunk = next?;
            if keep && written.elapsed() >= self.options.checkpoint {
                self.checkpoint()?;
                written = Instant::now();
            }
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<()> {
        self.writers.iter_mut().try_for_each(StoreWriter::checkpoint)
    }

    fn store(&mut self, chunk: &[SequenceRecord], progress: &dyn Progress) -> Result<()> {
        let (encoder, options) = (&*self.encoder, self.options);
        let admitted: Vec<_> =
            chunk.par_iter().map(|record| Admitted::new(record, encoder, self.poolings, options)).collect();
        // Each sequence that is new to a store is encoded once; `slot` is its place among the new vectors.
        let mut slots: FxHashMap<[u8; DIGEST_BYTES], usize> = FxHashMap::default();
        let mut fresh = Vec::new();
        let mut entries = Vec::with_capacity(chunk.len());
        let mut skipped = 0;
        for (record, admitted) in chunk.iter().zip(admitted) {
            let entry = NewRecord {
                id: &record.id,
                line: record.line,
                digest: admitted.digest,
                length: record.sequence.len() as u32,
                unknown: admitted.unknown,
                flags: admitted.flags,
            };
            self.work.letters += record.sequence.len() as u64;
            self.work.unknown += u64::from(admitted.unknown);
            let cost = encoder.measure().cost(letters(record, options));
            let refusal = match admitted.outcome {
                Ok(item) if !slots.contains_key(&admitted.digest) && !all_know(&mut self.writers, admitted.digest)? => {
                    slots.insert(admitted.digest, fresh.len());
                    fresh.push(item);
                    self.work.encoded += cost;
                    None
                }
                outcome => {
                    skipped += cost;
                    outcome.err()
                }
            };
            entries.push((entry, refusal));
        }
        progress.advance(skipped);
        self.vectors.resize_with(self.poolings.len(), Vectors::default);
        for (vectors, &pooling) in self.vectors.iter_mut().zip(self.poolings) {
            vectors.reset(encoder.dim(pooling), fresh.iter().map(|item| encoder.rows(item, pooling)));
        }
        let failed: FxHashMap<usize, Refusal> =
            self.encoder.encode(&fresh, self.poolings, &mut self.vectors, progress)?.into_iter().collect();
        for (writer, vectors) in self.writers.iter_mut().zip(&self.vectors) {
            // A store may be ahead of another that was stopped at an earlier checkpoint.
            let behind = writer.n_records().saturating_sub(self.next);
            for (entry, refusal) in entries.iter().skip(behind) {
                let slot = slots.get(&entry.digest);
                let failure = slot.and_then(|slot| failed.get(slot));
                if let Some(Refusal { status, reason }) = refusal.as_ref().or(failure) {
                    writer.refuse(entry, *status, reason)?;
                } else {
                    writer.push(entry, slot.map_or(&[][..], |&slot| vectors.get(slot)))?;
                }
            }
        }
        Ok(())
    }
}

/// True when every store has the vector of this sequence.
fn all_know(writers: &mut [StoreWriter], digest: [u8; DIGEST_BYTES]) -> Result<bool> {
    for writer in writers {
        if !writer.knows(digest)? {
            return Ok(false);
        }
    }
    Ok(true)
}
