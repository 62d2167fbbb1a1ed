//! Writing a store, record by record, in memory that does not grow with the vectors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::claims::{Claim, Claims};
use super::ids::IdsWriter;
use super::part::PartWriter;
use super::record::{NewRecord, Status};
use super::rejects::Rejects;
use super::{Detail, DigestOf, Dtype, KIND, Layout, Part};
use crate::data::EncoderIdentity;
use crate::error::{Error, Result};
use crate::files::OutputFolder;
use crate::seq::DIGEST_BYTES;

/// Bytes of numbers in one part.
const PART_BYTES: usize = 4_000_000_000;
const IDS: &str = "ids/part-00000.parquet";

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

/// A store being written. Nothing of it is seen until [`finish`](Self::finish); dropped before, it is gone.
///
/// Memory: 24 to 48 bytes per distinct sequence and as much per accepted id, which find the duplicates, and a
/// constant rest.
pub struct StoreWriter {
    folder: OutputFolder,
    options: StoreOptions,
    claims: Claims,
    ids: IdsWriter,
    rejects: Rejects,
    part: Option<PartWriter>,
    parts: Vec<Part>,
    states_per_part: usize,
    vectors: usize,
    records: usize,
}

impl StoreWriter {
    /// Begins to write the store `path`.
    ///
    /// # Errors
    /// Those of [`OutputFolder::create`]; [`Error::Usage`] for vectors without width.
    pub fn create(path: impl AsRef<Path>, options: StoreOptions) -> Result<Self> {
        let states_per_part = PART_BYTES / (options.dim * options.dtype.size()).max(1);
        Self::with_states_per_part(path.as_ref(), options, states_per_part)
    }

    fn with_states_per_part(path: &Path, options: StoreOptions, states_per_part: usize) -> Result<Self> {
        if options.dim == 0 || states_per_part == 0 {
            return Err(Error::usage(
                format!("vectors of width {} cannot be stored", options.dim),
                "check the encoder or the imported file",
            ));
        }
        let folder = OutputFolder::create(path, KIND, options.force)?;
        let ids = IdsWriter::create(folder.place(IDS)?)?;
        let rejects = Rejects::new(folder.place("rejects.tsv")?);
        Ok(Self {
            folder,
            options,
            claims: Claims::default(),
            ids,
            rejects,
            part: None,
            parts: Vec::new(),
            states_per_part,
            vectors: 0,
            records: 0,
        })
    }

    /// Says what the vectors were made from, where that is known only once they have been made.
    pub fn set_origin(&mut self, origin: Value) {
        self.options.origin = origin;
    }

    /// True when a record of this sequence needs no vector any more.
    #[must_use]
    pub fn knows(&self, digest: [u8; DIGEST_BYTES]) -> bool {
        self.claims.row(digest).is_some()
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
        let (row, fresh) = match self.claims.look(record.id, record.digest) {
            Claim::Known(row) => (row, false),
            Claim::New => (self.vectors as u32, true),
            Claim::Duplicate => {
                let reason = "an earlier record has this id and the same sequence";
                return self.refuse(record, Status::DuplicateId, reason);
            }
            Claim::Conflicting => {
                let reason = "an earlier record has this id and another sequence";
                return self.refuse(record, Status::ConflictingId, reason);
            }
        };
        if fresh && !self.push_vector(vector)? {
            let limit =
                if self.options.dtype == Dtype::F16 { ", or a value beyond ±65504, the limit of f16" } else { "" };
            let reason = format!("its vector holds NaN or an infinity{limit}");
            return self.refuse(record, Status::Nonfinite, &reason);
        }
        self.claims.take(record.id, record.digest, row);
        self.records += 1;
        self.ids.push(record, Some(row), Status::Ok)?;
        Ok(Status::Ok)
    }

    /// Appends a record that has no vector, and lists it with `reason`; returns `status`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn refuse(&mut self, record: &NewRecord, status: Status, reason: &str) -> Result<Status> {
        self.records += 1;
        self.rejects.add(record, status, reason)?;
        self.ids.push(record, None, status)?;
        Ok(status)
    }

    /// Ends the last part, writes the manifest and puts the store in place.
    ///
    /// # Errors
    /// [`Error::Data`] when there is no record, or none that was accepted; [`Error::Io`]; [`Error::Interrupted`].
    pub fn finish(mut self) -> Result<StoreSummary> {
        let refused = self.rejects.finish()?;
        if self.vectors == 0 {
            return Err(Error::data(
                match refused {
                    0 => "there is no record to store".to_owned(),
                    n => format!("every record was rejected ({n}): {}", self.rejects.quoted.join("; ")),
                },
                "check that the input is the right file, and of the kind that the encoder takes",
            ));
        }
        self.end_part()?;
        let rows = self.ids.finish()?;
        let detail = Detail {
            layout: self.options.layout.name().into(),
            encoder: self.options.encoder,
            modality: self.options.modality,
            dtype: self.options.dtype,
            dim: self.options.dim,
            digest_of: self.options.digest_of,
            vectors: self.vectors,
            records: self.records,
            refused: self.rejects.counts,
            parts: self.parts,
            ids: vec![Part { path: IDS.into(), rows }],
            origin: self.options.origin,
        };
        let value = serde_json::to_value(&detail)
            .map_err(|e| Error::format(self.folder.target(), e.to_string(), "report this"))?;
        let path = self.folder.target().to_path_buf();
        self.folder.commit(value)?;
        Ok(StoreSummary { records: detail.records, vectors: detail.vectors, refused: detail.refused, path })
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
        let written = part.push(vector)?;
        self.vectors += usize::from(written);
        Ok(written)
    }

    fn end_part(&mut self) -> Result<()> {
        if let Some(part) = self.part.take() {
            let rows = part.finish()?;
            self.parts.push(Part { path: part_path(self.parts.len()), rows });
        }
        Ok(())
    }
}

fn part_path(index: usize) -> String {
    format!("vec/part-{index:05}.safetensors")
}

#[cfg(test)]
pub(super) fn small_parts(path: &Path, options: StoreOptions, states: usize) -> Result<StoreWriter> {
    StoreWriter::with_states_per_part(path, options, states)
}
