//! The embedding store: a folder of vectors and the table of the records that they belong to.
//!
//! * `vec/part-00000.safetensors`, …: tensor `emb`, `[rows, dim]`, f16 or f32. Identical sequences share one row.
//!   Per residue: `values`, `[ΣL, dim]`, and `offsets`, `[rows + 1]`.
//! * `ids/part-00000.parquet`: one row per input record in input order, refused records included.
//! * `rejects.tsv`, where records were refused: line, id, status and reason of each.
//! * `manifest.json`: checksums, and [`Detail`].
//!
//! `layout` in the detail is `pooled` (one vector per sequence: [`Store`]) or `per-residue` (one for each letter or
//! atom: [`ResidueStore`]); other layouts are refused by name.

mod claims;
mod ids;
mod joined;
mod part;
mod reader;
mod record;
mod rejects;
mod table;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::data::EncoderIdentity;

pub(crate) use ids::system_error;
pub(super) use joined::JoinedTable;
pub use reader::{ResidueStore, Store};
pub(super) use reader::{check_digest, read_detail};
pub use record::{Flags, NewRecord, Status, StoredRecord};
pub(super) use writer::part_path;
pub use writer::{StoreOptions, StoreSummary, StoreWriter};

#[cfg(target_endian = "big")]
compile_error!("stores are little-endian and mapped into memory as they are");

/// The `kind` of a store in its manifest.
pub const KIND: &str = "store";
/// The `kind` of a shard of a store.
pub const SHARD_KIND: &str = "shard";

/// What a row of a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One vector per sequence.
    Pooled,
    /// One vector for each residue of a sequence, or each atom of a molecule.
    PerResidue,
}

impl Layout {
    /// Its name in the manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pooled => "pooled",
            Self::PerResidue => "per-residue",
        }
    }
}

/// Type of the stored numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
}

impl Dtype {
    /// Bytes of one number.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
    /// `f16` or `f32`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }
}

/// What the digest of a record is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DigestOf {
    /// The normalised sequence.
    Sequence,
    /// The vector, where the sequence is not known: records of equal vectors are taken for the same sequence.
    Vector,
}

/// What a store says about itself in its manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// Name of the [`Layout`].
    pub layout: String,
    /// What made the vectors.
    pub encoder: EncoderIdentity,
    /// `rna`, `protein`, `molecule`; empty where it is not known.
    pub modality: String,
    /// Type of the stored numbers.
    pub dtype: Dtype,
    /// Width of a vector.
    pub dim: usize,
    /// What the digests of the records are taken of.
    pub digest_of: DigestOf,
    /// Vectors, that is distinct sequences.
    pub vectors: usize,
    /// Input records.
    pub records: usize,
    /// Refused records by status.
    pub refused: BTreeMap<String, usize>,
    /// Parts of the vectors, in row order.
    pub parts: Vec<Part>,
    /// Parts of the table of records, in input order.
    pub ids: Vec<Part>,
    /// What the vectors were made from: digest of the input and the settings that change the result.
    pub origin: Value,
    /// Of a shard: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardDetail>,
}

/// Which part of an input a shard holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardDetail {
    /// Number of the shard, from 0.
    pub index: usize,
    /// How many shards there are.
    pub count: usize,
    /// Records of the input before it.
    pub first_record: u64,
    /// Records of the whole input.
    pub whole_records: u64,
    /// Tokens of the whole input, by which it was cut.
    pub whole_tokens: u64,
}

/// One file of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Path below the folder.
    pub path: String,
    /// Rows in it.
    pub rows: usize,
}
