//! Writing a store, record by record, in memory that does not grow with the vectors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::claims::{Claim, Claims};
use super::ids::{IdsWriter, NO_ROW, read_groups};
use super::part::PartWriter;
use super::record::{NewRecord, Status};
use super::rejects::Rejects;
use super::{Detail, DigestOf, Dtype, KIND, Layout, Part, SHARD_KIND, ShardDetail};
use crate::data::EncoderIdentity;
use crate::error::{Error, Result};
use crate::files::OutputFolder;
use crate::seq::DIGEST_BYTES;

/// Bytes of numbers in one part.
const PART_BYTES: usize = 4_000_000_000;
/// Place of the list of refused records.
pub(super) const REJECTS: &str = "rejects.tsv";

/// What is known of a store before its first record.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// What makes the vectors.
    pub encoder: EncoderIdentity,
    /// `rna`, `protein`, `molecule`; empty where it is not known.
    pub modality: String,
    /// What a row is.
    pub layout: Layout,
    /// Type of the stored numbers.
    pub dtype: Dtype,
    /// Width of a vector.
    pub dim: usize,
    /// What the digests of the records are taken of.
    pub digest_of: DigestOf,
    /// Digest of the input and the settings that change the result; a later run compares it.
    pub origin: Value,
    /// Replace a finished store.
    pub force: bool,
}

impl StoreOptions {
    /// True for what was made as these options say.
    #[must_use]
    pub fn made(&self, found: &Detail) -> bool {
        found.encoder == self.encoder
            && found.dtype == self.dtype
            && found.layout == self.layout.name()
            && found.origin == self.origin
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSummary {
    /// Input records.
    pub records: usize,
    /// Vectors, that is distinct sequences.
    pub vectors: usize,
    /// Refused records by status.
    pub refused: BTreeMap<String, usize>,
    /// The store.
    pub path: PathBuf,
}

impl StoreSummary {
    /// Refused records.
    #[must_use]
    pub fn n_refused(&self) -> usize {
        self.refused.values().sum()
    }
}

/// A store being written, or a shard of one. Nothing of it is seen until [`finish`](Self::finish); dropped before, it is
/// gone, but for what a [`checkpoint`](Self::checkpoint) keeps.
///
/// Memory does not grow with the records: what finds the duplicates is in temporary files of the output folder beyond
/// 200 000 of them.
pub struct StoreWriter {
    options: StoreOptions,
    shard: Option<ShardDetail>,
    claims: Claims,
    ids: Option<IdsWriter>,
    ids_parts: Vec<Part>,
    rejects: Rejects,
    part: Option<PartWriter>,
    parts: Vec<Part>,
    states_per_part: usize,
    vectors: usize,
    records: usize,
    /// A write has failed: what the open files hold is not known.
    failed: bool,
    /// Dropped last: it removes files that are open until then.
    folder: OutputFolder,
}

impl StoreWriter {
    /// Begins to write the store `path`.
    ///
    /// # Errors
    /// Those of [`OutputFolder::create`]; [`Error::Usage`] for vectors without width.
    pub fn create(path: impl AsRef<Path>, options: StoreOptions) -> Result<Self> {
        let states_per_part = states_per_part(&options);
        Self::with_states_per_part(path.as_ref(), options, states_per_part)
    }

    /// Goes on with the store `path`, or the `shard` of one, where a checkpoint of the same making was left; else begins
    /// it. The records that are there already are [`n_records`](Self::n_records).
    ///
    /// # Errors
    /// Those of [`create`](Self::create); [`Error::Format`]; [`Error::Interrupted`].
    pub fn resume(path: impl AsRef<Path>, options: StoreOptions, shard: Option<ShardDetail>) -> Result<Self> {
        refuse_narrow(&options)?;
        let (folder, found) = OutputFolder::resume(path, kind_of(shard), options.force, |detail| {
            let found: Option<Detail> = serde_json::from_value(detail.clone()).ok();
            found.is_some_and(|found| options.made(&found) && found.shard == shard)
        })?;
        let states_per_part = states_per_part(&options);
        let mut writer = Self::new(folder, options, shard, states_per_part)?;
        let found: Option<Detail> = found.and_then(|detail| serde_json::from_value(detail).ok());
        if let Some(found) = found {
            writer.take_up(found)?;
        }
        Ok(writer)
    }

    fn with_states_per_part(path: &Path, options: StoreOptions, states_per_part: usize) -> Result<Self> {
        refuse_narrow(&options)?;
        let folder = OutputFolder::create(path, KIND, options.force)?;
        Self::new(folder, options, None, states_per_part)
    }

    fn new(
        folder: OutputFolder,
        options: StoreOptions,
        shard: Option<ShardDetail>,
        states_per_part: usize,
    ) -> Result<Self> {
        Ok(Self {
            options,
            shard,
            claims: Claims::new(&folder.staging()),
            ids: None,
            ids_parts: Vec::new(),
            rejects: Rejects::new(folder.place(REJECTS)?),
            part: None,
            parts: Vec::new(),
            states_per_part,
            vectors: 0,
            records: 0,
            failed: false,
            folder,
        })
    }

    /// Takes the parts of a checkpoint for its own.
    fn take_up(&mut self, found: Detail) -> Result<()> {
        for part in &found.ids {
            let claims = &mut self.claims;
            read_groups(&self.folder.place(&part.path)?, part.rows, found.vectors, |group| {
                let mut records = group.ids().zip(&group.digests).zip(&group.rows).filter(|(_, row)| **row != NO_ROW);
                records.try_for_each(|((id, digest), row)| claims.take(id, *digest, *row))
            })?;
        }
        self.rejects.take_up(found.refused);
        (self.vectors, self.records) = (found.vectors, found.records);
        (self.parts, self.ids_parts) = (found.parts, found.ids);
        Ok(())
    }

    /// Records so far, refused ones included.
    #[must_use]
    pub fn n_records(&self) -> usize {
        self.records
    }

    /// Makes what was written so far durable, and ends the parts that hold it: from here a later process can
    /// [go on](Self::resume). Nothing happens where a write has failed: an earlier checkpoint holds.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn checkpoint(&mut self) -> Result<()> {
        if self.failed || self.records == 0 {
            return Ok(());
        }
        self.failed = true;
        self.rejects.flush()?;
        self.end_parts()?;
        let detail = self.detail();
        self.folder.checkpoint(self.as_value(&detail)?)?;
        self.failed = false;
        Ok(())
    }

    /// Says what the vectors were made from, where that is known only once they have been made.
    pub fn set_origin(&mut self, origin: Value) {
        self.options.origin = origin;
    }

    /// True when a record of this sequence needs no vector any more.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn knows(&mut self, digest: [u8; DIGEST_BYTES]) -> Result<bool> {
        Ok(self.claims.row(digest)?.is_some())
    }

    /// Appends a record. `vector` (`[dim]`, per residue `[L, dim]`) is used where the sequence is new, and ignored
    /// otherwise.
    ///
    /// A record whose id was taken, or whose vector is not finite in the type of the store, is refused and listed; the
    /// status says so.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Shape`] for a vector of another width.
    pub fn push(&mut self, record: &NewRecord, vector: &[f32]) -> Result<Status> {
        let (row, fresh) = match self.claims.look(record.id, record.digest)? {
            Claim::Known(row) => (row, false),
            claim => match refusal_of(claim) {
                Some((status, reason)) => return self.refuse(record, status, reason),
                None => (self.vectors as u32, true),
            },
        };
        if fresh && !self.push_vector(vector)? {
            let limit =
                if self.options.dtype == Dtype::F16 { ", or a value beyond ±65504, the limit of f16" } else { "" };
            let reason = format!("its vector holds NaN or an infinity{limit}");
            return self.refuse(record, Status::Nonfinite, &reason);
        }
        let taken = self.claims.take(record.id, record.digest, row);
        self.noted(taken)?;
        self.list(record, Some(row), Status::Ok)
    }

    /// Appends a record that has no vector, and lists it with `reason`; returns `status`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn refuse(&mut self, record: &NewRecord, status: Status, reason: &str) -> Result<Status> {
        let added = self.rejects.add(record, status, reason);
        self.noted(added)?;
        self.list(record, None, status)
    }

    /// Appends a record to the table.
    fn list(&mut self, record: &NewRecord, row: Option<u32>, status: Status) -> Result<Status> {
        let ids = match &mut self.ids {
            Some(ids) => ids,
            slot => slot.insert(IdsWriter::create(self.folder.place(&ids_path(self.ids_parts.len()))?)?),
        };
        let pushed = ids.push(record, row, status);
        self.noted(pushed)?;
        self.records += 1;
        Ok(status)
    }

    /// Remembers that a write has failed.
    fn noted<T>(&mut self, outcome: Result<T>) -> Result<T> {
        self.failed |= outcome.is_err();
        outcome
    }

    /// Ends the last part, writes the manifest and puts the store in place. A shard may be empty.
    ///
    /// # Errors
    /// [`Error::Data`] when there is no record, or none that was accepted; [`Error::Io`]; [`Error::Interrupted`].
    pub fn finish(mut self) -> Result<StoreSummary> {
        self.rejects.finish()?;
        if self.vectors == 0 && self.shard.is_none() {
            return Err(every_record_refused(&self.rejects));
        }
        self.end_parts()?;
        let detail = self.detail();
        let value = self.as_value(&detail)?;
        let path = self.folder.target().to_path_buf();
        self.folder.commit(value)?;
        Ok(StoreSummary { records: detail.records, vectors: detail.vectors, refused: detail.refused, path })
    }

    fn detail(&self) -> Detail {
        let options = self.options.clone();
        Detail {
            layout: options.layout.name().into(),
            encoder: options.encoder,
            modality: options.modality,
            dtype: options.dtype,
            dim: options.dim,
            digest_of: options.digest_of,
            vectors: self.vectors,
            records: self.records,
            refused: self.rejects.counts.clone(),
            parts: self.parts.clone(),
            ids: self.ids_parts.clone(),
            origin: options.origin,
            shard: self.shard,
        }
    }

    fn as_value(&self, detail: &Detail) -> Result<Value> {
        serde_json::to_value(detail).map_err(|e| Error::format(self.folder.target(), e.to_string(), "report this"))
    }

    fn push_vector(&mut self, vector: &[f32]) -> Result<bool> {
        let (dim, layout) = (self.options.dim, self.options.layout);
        let fits = match layout {
            Layout::Pooled => vector.len() == dim,
            Layout::PerResidue => !vector.is_empty() && vector.len().is_multiple_of(dim),
        };
        if !fits {
            return Err(Error::Shape {
                op: "store",
                expected: format!("{} [{dim}]", layout.name()),
                found: format!("[{}]", vector.len()),
            });
        }
        if self.vectors >= u32::MAX as usize {
            return Err(Error::data("more than 4 294 967 294 distinct sequences", "split the input"));
        }
        let full = |part: &PartWriter| part.states() > 0 && part.states() + vector.len() / dim > self.states_per_part;
        if self.part.as_ref().is_some_and(full) {
            self.end_part()?;
        }
        let part = match &mut self.part {
            Some(part) => part,
            slot => {
                let place = self.folder.place(&part_path(self.parts.len()))?;
                slot.insert(PartWriter::create(place, layout, dim, self.options.dtype)?)
            }
        };
        let written = part.push(vector);
        let written = self.noted(written)?;
        self.vectors += usize::from(written);
        Ok(written)
    }

    /// Ends the parts that are open: of vectors and of the table of records.
    fn end_parts(&mut self) -> Result<()> {
        self.end_part()?;
        if let Some(ids) = self.ids.take() {
            let rows = ids.finish()?;
            self.ids_parts.push(Part { path: ids_path(self.ids_parts.len()), rows });
        }
        Ok(())
    }

    fn end_part(&mut self) -> Result<()> {
        if let Some(part) = self.part.take() {
            let finished = part.finish();
            let rows = self.noted(finished)?;
            let path = part_path(self.parts.len());
            if rows > 0 {
                self.parts.push(Part { path, rows });
            } else {
                // A part whose rows were all refused is no part.
                let place = self.folder.place(&path)?;
                std::fs::remove_file(&place).map_err(Error::io("remove", &place))?;
            }
        }
        Ok(())
    }
}

fn states_per_part(options: &StoreOptions) -> usize {
    PART_BYTES / (options.dim * options.dtype.size()).max(1)
}

fn refuse_narrow(options: &StoreOptions) -> Result<()> {
    if options.dim > 0 && states_per_part(options) > 0 {
        return Ok(());
    }
    Err(Error::usage(
        format!("vectors of width {} cannot be stored", options.dim),
        "check the encoder or the imported file",
    ))
}

/// Status and reason of a record whose id is taken.
pub(super) fn refusal_of(claim: Claim) -> Option<(Status, &'static str)> {
    match claim {
        Claim::Known(_) | Claim::New => None,
        Claim::Duplicate => Some((Status::DuplicateId, "an earlier record has this id and the same sequence")),
        Claim::Conflicting => Some((Status::ConflictingId, "an earlier record has this id and another sequence")),
    }
}

/// The error of a store without a vector.
pub(super) fn every_record_refused(rejects: &Rejects) -> Error {
    Error::data(
        match rejects.counts.values().sum::<usize>() {
            0 => "there is no record to store".to_owned(),
            n => format!("every record was rejected ({n}): {}", rejects.quoted.join("; ")),
        },
        "check that the input is the right file, and of the kind that the encoder takes",
    )
}

fn kind_of(shard: Option<ShardDetail>) -> &'static str {
    if shard.is_some() { SHARD_KIND } else { KIND }
}

/// Place of a part of the vectors.
pub(in crate::embed) fn part_path(index: usize) -> String {
    format!("vec/part-{index:05}.safetensors")
}

/// Place of a part of the table of records.
pub(super) fn ids_path(index: usize) -> String {
    format!("ids/part-{index:05}.parquet")
}

#[cfg(test)]
pub(super) fn small_parts(path: &Path, options: StoreOptions, states: usize) -> Result<StoreWriter> {
    StoreWriter::with_states_per_part(path, options, states)
}
