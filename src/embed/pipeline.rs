//! From a FASTA file to a store: reading, encoding on all threads, writing in input order.

use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde_json::json;

use super::store::{Detail, DigestOf, Dtype, Flags, NewRecord, Status, Store, StoreOptions, StoreSummary, StoreWriter};
use crate::error::Result;
use crate::features::SequenceEncoder;
use crate::files::OutputFolder;
use crate::files::digest::digest_file;
use crate::progress::{Progress, check_interrupt};
use crate::seq::fasta::Reader;
use crate::seq::{DIGEST_BYTES, SequenceRecord, digest};

/// A chunk ends at this many records …
const CHUNK_RECORDS: usize = 2048;
/// … or this many letters: enough for every thread, and little memory.
const CHUNK_LETTERS: usize = 4 << 20;

/// What to do with letters outside the alphabet.
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
}

/// How to embed.
#[derive(Debug, Clone, Copy)]
pub struct EmbedOptions {
    /// Type of the stored numbers.
    pub dtype: Dtype,
    /// What to do with letters outside the alphabet.
    pub unknown: UnknownLetters,
    /// Most letters of a sequence; `None` = no limit.
    pub max_length: Option<usize>,
    /// What to do with longer ones.
    pub long: LongSequences,
    /// Leave a finished store of the same input, encoder and options as it is.
    pub resume: bool,
    /// Replace a finished store.
    pub force: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Embedded {
    /// The store is there already, of the same input, encoder and options.
    UpToDate(Detail),
    /// The store was written.
    Written {
        /// What is in it.
        summary: StoreSummary,
        /// Letters that were read.
        letters: u64,
        /// Letters among them that are outside the alphabet.
        unknown: u64,
        /// Time it took, writing included.
        seconds: f64,
    },
}

/// Embeds `input` (a path, or `-` for standard input) into the store `out`.
///
/// The same input gives the same bytes, whatever the number of threads. Memory: a few chunks, and what
/// [`StoreWriter`] holds per record.
///
/// # Errors
/// Those of [`Reader`], [`StoreWriter`] and the progress interrupt; nothing is left of the store then.
pub fn embed(
    input: &Path,
    encoder: &dyn SequenceEncoder,
    options: EmbedOptions,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Embedded> {
    let started = Instant::now();
    let mut reader = Reader::open(input, encoder.alphabet())?;
    // A pipe can be read once only: it has no digest, and what was made from it is never up to date.
    let input_digest = if input.is_file() { Some(digest_file(input)?.1) } else { None };
    let store = StoreOptions {
        encoder: encoder.identity(),
        modality: encoder.alphabet().name().to_owned(),
        dtype: options.dtype,
        dim: encoder.dim(),
        digest_of: DigestOf::Sequence,
        origin: json!({
            "input": input_digest,
            "unknown": if options.unknown == UnknownLetters::Keep { "unk" } else { "error" },
            "max_length": options.max_length,
            "long": if options.long == LongSequences::Refuse { "error" } else { "truncate" },
        }),
        force: options.force,
    };
    if options.resume
        && !options.force
        && input_digest.is_some()
        && let Some(detail) = finished(out, &store)?
    {
        return Ok(Embedded::UpToDate(detail));
    }
    let mut writer = StoreWriter::create(out, store)?;
    let (mut letters, mut unknown) = (0, 0);
    progress.begin("embed", "records", None);
    let mut chunk = read_chunk(&mut reader)?;
    while !chunk.is_empty() {
        check_interrupt()?;
        // The next chunk is read while this one is encoded.
        let (next, done) =
            rayon::join(|| read_chunk(&mut reader), || store_chunk(&chunk, encoder, options, &mut writer));
        done?;
        letters += chunk.iter().map(|record| record.sequence.len() as u64).sum::<u64>();
        unknown += chunk.iter().map(|record| u64::from(record.unknown)).sum::<u64>();
        progress.advance(chunk.len() as u64);
        chunk = next?;
    }
    progress.finish();
    let summary = writer.finish()?;
    Ok(Embedded::Written { summary, letters, unknown, seconds: started.elapsed().as_secs_f64() })
}

/// The detail of the store at `out` when it is finished and made as `wanted`.
fn finished(out: &Path, wanted: &StoreOptions) -> Result<Option<Detail>> {
    OutputFolder::settle(out)?;
    let Ok(store) = Store::open(out) else { return Ok(None) };
    let found = store.detail();
    let same = found.encoder == wanted.encoder && found.dtype == wanted.dtype && found.origin == wanted.origin;
    Ok(same.then(|| found.clone()))
}

fn read_chunk(reader: &mut Reader) -> Result<Vec<SequenceRecord>> {
    let mut chunk = Vec::new();
    let mut letters = 0;
    while chunk.len() < CHUNK_RECORDS && letters < CHUNK_LETTERS {
        let Some(record) = reader.next() else { break };
        let record = record?;
        letters += record.sequence.len();
        chunk.push(record);
    }
    Ok(chunk)
}

fn store_chunk(
    chunk: &[SequenceRecord],
    encoder: &dyn SequenceEncoder,
    options: EmbedOptions,
    writer: &mut StoreWriter,
) -> Result<()> {
    let admitted: Vec<_> = chunk.par_iter().map(|record| Admitted::new(record, options)).collect();
    // Each sequence that is new to the store is encoded once; `slot` is its place among the new vectors.
    let mut slots: FxHashMap<[u8; DIGEST_BYTES], usize> = FxHashMap::default();
    let mut fresh = Vec::new();
    for record in &admitted {
        if record.refusal.is_none() && !writer.knows(record.digest) {
            slots.entry(record.digest).or_insert_with(|| {
                fresh.push(record.sequence);
                fresh.len() - 1
            });
        }
    }
    let dim = encoder.dim();
    let mut vectors = vec![0.0; fresh.len() * dim];
    vectors.par_chunks_mut(dim).zip(&fresh).for_each(|(vector, sequence)| encoder.encode(sequence, vector));
    for (record, admitted) in chunk.iter().zip(&admitted) {
        let entry = NewRecord {
            id: &record.id,
            line: record.line,
            digest: admitted.digest,
            length: record.sequence.len() as u32,
            unknown: record.unknown,
            flags: admitted.flags,
        };
        if let Some((status, reason)) = &admitted.refusal {
            writer.refuse(&entry, *status, reason)?;
        } else {
            let vector = slots.get(&admitted.digest).map_or(&[][..], |slot| &vectors[slot * dim..][..dim]);
            writer.push(&entry, vector)?;
        }
    }
    Ok(())
}

/// What of a record is encoded, or why nothing is.
struct Admitted<'a> {
    sequence: &'a [u8],
    digest: [u8; DIGEST_BYTES],
    flags: Flags,
    refusal: Option<(Status, String)>,
}

impl<'a> Admitted<'a> {
    fn new(record: &'a SequenceRecord, options: EmbedOptions) -> Self {
        let mut flags = if record.dropped_stop { Flags::DROPPED_STOP } else { Flags::default() };
        let mut sequence = record.sequence.as_slice();
        let limit = options.max_length.unwrap_or(usize::MAX);
        let mut refusal = record.fault.map(|fault| {
            let status = Status::from_name(fault.name()).unwrap_or(Status::NoSequence);
            (status, fault.help().to_owned())
        });
        if refusal.is_none() && sequence.len() > limit {
            if options.long == LongSequences::Truncate {
                sequence = &sequence[..limit];
                flags = flags.with(Flags::TRUNCATED);
            } else {
                let reason = format!("{} letters, --max-length is {limit}", sequence.len());
                refusal = Some((Status::TooLong, reason));
            }
        }
        if refusal.is_none() && record.unknown > 0 && options.unknown == UnknownLetters::Refuse {
            refusal = Some((Status::UnknownLetters, format!("{} letters outside the alphabet", record.unknown)));
        }
        Self { sequence, digest: digest(sequence), flags, refusal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::VectorSource;
    use crate::features::Kmer;
    use crate::progress::Silent;
    use crate::seq::RecordFault;
    use std::fs;

    const OPTIONS: EmbedOptions = EmbedOptions {
        dtype: Dtype::F32,
        unknown: UnknownLetters::Keep,
        max_length: None,
        long: LongSequences::Refuse,
        resume: true,
        force: false,
    };

    fn run(fasta: &str, options: EmbedOptions) -> (tempfile::TempDir, Result<Embedded>) {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("in.fa");
        fs::write(&input, fasta).unwrap();
        let outcome = embed(&input, &Kmer, options, &folder.path().join("store"), &Silent);
        (folder, outcome)
    }

    fn statuses(folder: &Path) -> Vec<(String, Status)> {
        let store = Store::open(folder.join("store")).unwrap();
        store.records().map(|r| (r.id.to_owned(), r.status)).collect()
    }

    #[test]
    fn every_record_has_a_row_in_input_order_and_the_encoders_vector() {
        // The conflicting record comes first with a sequence that the next one needs.
        let fasta = ">a\nACGU\n>a\nGGGGA\n>b\nggg ga\n>c\n>d\nACGT\n";
        let (folder, outcome) = run(fasta, OPTIONS);
        let Embedded::Written { summary, letters, unknown, .. } = outcome.unwrap() else { panic!("not written") };
        assert_eq!((summary.records, summary.vectors, letters, unknown), (5, 2, 18, 0));
        let store = Store::open(folder.path().join("store")).unwrap();
        let statuses: Vec<_> = store.records().map(|r| r.status.name()).collect();
        assert_eq!(statuses, ["ok", "conflicting-id", "ok", "no-sequence", "ok"]);
        let rows: Vec<_> = store.records().map(|r| r.row).collect();
        assert_eq!(rows, [Some(0), None, Some(1), None, Some(0)]);
        let (mut found, mut expected) = ([0.0; 256], [0.0; 256]);
        store.copy_row(1, &mut found);
        Kmer.encode(b"GGGGA", &mut expected);
        assert_eq!(found, expected);
    }

    #[test]
    fn limits_refuse_or_cut_and_say_so() {
        let fasta = ">short\nACGU\n>long\nACGUA\n>odd\nAC?U\n";
        let limited = EmbedOptions { max_length: Some(4), unknown: UnknownLetters::Refuse, ..OPTIONS };
        let (folder, outcome) = run(fasta, limited);
        outcome.unwrap();
        let found = statuses(folder.path());
        assert_eq!(found[1], ("long".into(), Status::TooLong));
        assert_eq!(found[2], ("odd".into(), Status::UnknownLetters));
        let cut = EmbedOptions { max_length: Some(4), long: LongSequences::Truncate, ..OPTIONS };
        let (folder, outcome) = run(fasta, cut);
        assert!(matches!(outcome.unwrap(), Embedded::Written { unknown: 1, .. }));
        let store = Store::open(folder.path().join("store")).unwrap();
        let (short, long, odd) = (store.record(0), store.record(1), store.record(2));
        assert_eq!((long.row, long.length), (short.row, 5));
        assert!(long.flags.contains(Flags::TRUNCATED) && short.flags == Flags::default());
        assert_eq!((odd.unknown, odd.status), (1, Status::Ok));
    }

    #[test]
    fn chunks_and_threads_do_not_change_the_bytes() {
        use std::fmt::Write;
        let mut fasta = String::new();
        for i in 0..5000u32 {
            let sequence: String =
                (0..20).map(|k| ['A', 'C', 'G', 'U'][(i % 3000 * 7 + k * k * (i % 11)) as usize % 4]).collect();
            writeln!(fasta, ">r{}\n{sequence}", i % 4900).unwrap();
        }
        let manifests: Vec<_> = [1, 3]
            .into_iter()
            .map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let (folder, outcome) = pool.install(|| run(&fasta, OPTIONS));
                outcome.unwrap();
                fs::read(folder.path().join("store/manifest.json")).unwrap()
            })
            .collect();
        assert_eq!(manifests[0], manifests[1]);
    }

    #[test]
    fn a_finished_store_is_taken_as_it_is_unless_something_differs() {
        let (folder, outcome) = run(">a\nACGU\n", OPTIONS);
        assert!(matches!(outcome.unwrap(), Embedded::Written { .. }));
        let (input, out) = (folder.path().join("in.fa"), folder.path().join("store"));
        let again = |options| embed(&input, &Kmer, options, &out, &Silent);
        assert!(matches!(again(OPTIONS).unwrap(), Embedded::UpToDate(_)));
        assert!(again(EmbedOptions { resume: false, ..OPTIONS }).is_err());
        assert!(again(EmbedOptions { dtype: Dtype::F16, ..OPTIONS }).is_err());
        assert!(again(EmbedOptions { max_length: Some(9), ..OPTIONS }).is_err());
        assert!(matches!(again(EmbedOptions { force: true, ..OPTIONS }).unwrap(), Embedded::Written { .. }));
        fs::write(&input, ">a\nACGA\n").unwrap();
        assert!(again(OPTIONS).is_err());
    }

    #[test]
    fn a_store_whose_commit_was_killed_is_ended_not_made_again() {
        let (folder, outcome) = run(">a\nACGU\n", OPTIONS);
        outcome.unwrap();
        let (input, out) = (folder.path().join("in.fa"), folder.path().join("store"));
        fs::create_dir(out.join(".partial")).unwrap();
        for name in ["ids", "manifest.json"] {
            fs::rename(out.join(name), out.join(".partial").join(name)).unwrap();
        }
        assert!(matches!(embed(&input, &Kmer, OPTIONS, &out, &Silent).unwrap(), Embedded::UpToDate(_)));
        assert!(!out.join(".partial").exists());
    }

    #[test]
    fn every_fault_of_a_record_is_a_status() {
        use RecordFault::{BadId, NoId, NoSequence, RunTogether, TooLong};
        for fault in [BadId, NoId, NoSequence, RunTogether, TooLong] {
            assert!(Status::from_name(fault.name()).is_some(), "{fault}");
        }
    }
}
