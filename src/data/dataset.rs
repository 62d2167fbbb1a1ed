//! A data set in memory: pairs of indices into two sets of entities, each with vectors that may be memory-mapped.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Rows of vectors, wherever they are: a memory-mapped store or memory. `[n_rows, dim]`.
pub trait VectorSource: Send + Sync {
    /// Width of a vector.
    fn dim(&self) -> usize;
    /// Number of vectors.
    fn n_rows(&self) -> usize;
    /// Copies row `row` into `out` (`[dim]`) as f32.
    ///
    /// `row < n_rows()` and `out.len() == dim()` are the caller's duty: rows come from the reader that made the source.
    fn copy_row(&self, row: usize, out: &mut [f32]);
    /// Gives back the memory of the rows that have been looked at, where it can be read again.
    fn release(&self) {}
}

/// Vectors that live in memory, row-major `[n_rows, dim]`.
#[derive(Debug, Clone)]
pub struct MemoryVectors {
    /// Width of a vector.
    pub dim: usize,
    /// The values, row after row.
    pub values: Vec<f32>,
}

impl VectorSource for MemoryVectors {
    fn dim(&self) -> usize {
        self.dim
    }
    fn n_rows(&self) -> usize {
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }
    fn copy_row(&self, row: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.values[row * self.dim..][..self.dim]);
    }
}

/// Which encoder made a vector; a model refuses vectors of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderIdentity {
    /// `kmer`, `triad`, `esm2-650m`, …
    pub name: String,
    /// Digest of the weights and of everything else that fixes the numbers; of the definition for encoders without weights.
    pub digest: String,
    /// `mean`, `cls`, …
    pub pooling: String,
}

/// The distinct entities of one side of the pairs (all RNAs, or all partners).
#[derive(Clone)]
pub struct Entities {
    /// Id of each entity, distinct.
    pub ids: Vec<String>,
    /// Row of each entity in `source`.
    pub rows: Vec<usize>,
    /// Entities of identical sequence carry the same number, `0..n_groups`.
    pub group: Vec<u32>,
    /// Sequence length in letters (heavy atoms for molecules); 0 where it is not known.
    pub length: Vec<u32>,
    /// Digest of the sequence (hex), empty where it is not known.
    pub digest: Vec<String>,
    /// The vectors.
    pub source: Arc<dyn VectorSource>,
    /// What made them.
    pub encoder: EncoderIdentity,
}

impl Entities {
    /// Number of entities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }
    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
    /// Width of the vectors.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.source.dim()
    }
    /// Number of distinct sequences.
    #[must_use]
    pub fn n_groups(&self) -> usize {
        self.group.iter().max().map_or(0, |&g| g as usize + 1)
    }
    /// Copies the vector of `entity` into `out` (`[dim]`).
    pub fn copy_vector(&self, entity: usize, out: &mut [f32]) {
        self.source.copy_row(self.rows[entity], out);
    }
}

/// One pair: indices into the two sets of entities, and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Index into [`Dataset::rna`].
    pub rna: u32,
    /// Index into [`Dataset::partner`].
    pub partner: u32,
    /// 0-based data row of the pairs file (the header is not counted).
    pub row0: u32,
}

/// One side of the pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Operand b.
    Rna,
    /// Operand a.
    Partner,
}

impl Pair {
    /// Index of the entity on one side.
    #[must_use]
    pub fn entity(self, side: Side) -> usize {
        match side {
            Side::Rna => self.rna as usize,
            Side::Partner => self.partner as usize,
        }
    }
}

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// One label, 0 or 1.
    Binary,
    /// One real number.
    Regression,
    /// Several labels, each 0, 1 or unknown.
    MultiLabel,
}

/// Pairs with labels and vectors: everything that training and evaluation read.
#[derive(Clone)]
pub struct Dataset {
    /// Operand b, weight 1 − σ(g): the RNA (the lncRNA in RNA–RNA sets).
    pub rna: Entities,
    /// Operand a, weight σ(g): the protein, miRNA or molecule.
    pub partner: Entities,
    /// The pairs, in file order, rejected rows left out.
    pub pairs: Vec<Pair>,
    /// Row-major `[n_pairs, n_labels]`; NaN = unknown (multi-label only).
    pub labels: Vec<f32>,
    /// Names of the label columns.
    pub label_names: Vec<String>,
    /// What is predicted.
    pub task: Task,
}

impl Dataset {
    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }
    /// True when there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
    /// Number of label columns.
    #[must_use]
    pub fn n_labels(&self) -> usize {
        self.label_names.len()
    }
    /// The entities of one side.
    #[must_use]
    pub fn entities(&self, side: Side) -> &Entities {
        match side {
            Side::Rna => &self.rna,
            Side::Partner => &self.partner,
        }
    }
    /// The same pairs with the label column `label` alone, as a binary task (multi-label sets only hold 0, 1 or unknown).
    #[must_use]
    pub fn single_label(&self, label: usize) -> Self {
        let labels = self.labels.iter().copied().skip(label).step_by(self.n_labels()).collect();
        Self { labels, label_names: vec![self.label_names[label].clone()], task: Task::Binary, ..self.clone() }
    }
    /// First label of pair `i`.
    #[must_use]
    pub fn label(&self, i: usize) -> f32 {
        self.labels[i * self.n_labels()]
    }
}
