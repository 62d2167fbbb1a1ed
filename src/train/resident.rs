//! A data set in the memory of a device: every vector once, however many runs train on it.

use std::sync::Arc;

use super::standardise::{SideScale, Standardiser};
use crate::backend::{Matrix, Memory, Stack};
use crate::data::{Dataset, Entities};
use crate::error::Result;
use crate::ops::gather_pairs::{PairScales, PairTables};

/// A data set whose vectors lie on a device.
pub struct ResidentData<'a, B: Memory> {
    /// The data set.
    pub data: &'a Dataset,
    vectors: Arc<Vectors<B>>,
    /// Partner and RNA of each pair.
    pairs: B::Buffer<u32>,
    labels: B::Buffer<f32>,
}

struct Vectors<B: Memory> {
    partner: B::Buffer<f32>,
    rna: B::Buffer<f32>,
}

impl<'a, B: Memory> ResidentData<'a, B> {
    /// Takes the vectors of `data` to the device.
    ///
    /// # Errors
    /// When the device has no memory left.
    pub fn new(backend: &B, data: &'a Dataset) -> Result<Self> {
        let vectors = Vectors { partner: table(backend, &data.partner)?, rna: table(backend, &data.rna)? };
        Self::with(backend, data, Arc::new(vectors))
    }

    /// Other pairs or labels of the same entities.
    ///
    /// # Errors
    /// When the device has no memory left.
    pub fn of_same_entities<'b>(&self, backend: &B, data: &'b Dataset) -> Result<ResidentData<'b, B>> {
        ResidentData::with(backend, data, Arc::clone(&self.vectors))
    }

    fn with(backend: &B, data: &'a Dataset, vectors: Arc<Vectors<B>>) -> Result<Self> {
        let pairs: Vec<u32> = data.pairs.iter().flat_map(|pair| [pair.partner, pair.rna]).collect();
        Ok(Self { data, vectors, pairs: backend.uploaded(&pairs)?, labels: backend.uploaded(&data.labels)? })
    }

    /// What a batch is gathered from.
    pub(super) fn tables(&self, backend: &B, labelled: bool) -> PairTables<'_, B> {
        let Self { data, vectors, pairs, labels } = self;
        PairTables {
            partner: Matrix::of(backend, &vectors.partner, data.partner.len(), data.partner.dim()),
            rna: Matrix::of(backend, &vectors.rna, data.rna.len(), data.rna.dim()),
            pairs: Matrix::of(backend, pairs, data.len(), 2),
            labels: labelled.then(|| Matrix::of(backend, labels, data.len(), data.n_labels())),
        }
    }
}

fn table<B: Memory>(backend: &B, entities: &Entities) -> Result<B::Buffer<f32>> {
    let dim = entities.dim();
    let mut values = vec![0.0; entities.len() * dim];
    for (entity, row) in values.chunks_exact_mut(dim.max(1)).enumerate() {
        entities.copy_vector(entity, row);
    }
    backend.uploaded(&values)
}

/// The scales of every run on a device.
pub(super) struct ResidentScales<B: Memory> {
    runs: usize,
    partner: B::Buffer<f32>,
    rna: B::Buffer<f32>,
    label: B::Buffer<f32>,
}

impl<B: Memory> ResidentScales<B> {
    /// Of each run how it scales its inputs, and what it divides labels by.
    pub fn new(backend: &B, data: &Dataset, scales: &[(&Standardiser, f32)]) -> Result<Self> {
        let side = |dim: usize, of: fn(&Standardiser) -> &SideScale| {
            let mut values = Vec::with_capacity(scales.len() * 2 * dim);
            for (scale, _) in scales {
                let SideScale { mean, inverse_sd } = of(scale);
                if mean.is_empty() {
                    // x − 0 and x·1 are x itself.
                    values.extend(std::iter::repeat_n(0.0, dim).chain(std::iter::repeat_n(1.0, dim)));
                } else {
                    values.extend(mean.iter().chain(inverse_sd));
                }
            }
            backend.uploaded(&values)
        };
        let label: Vec<f32> = scales.iter().map(|&(_, label)| label).collect();
        Ok(Self {
            runs: scales.len(),
            partner: side(data.partner.dim(), |scale| &scale.partner)?,
            rna: side(data.rna.dim(), |scale| &scale.rna)?,
            label: backend.uploaded(&label)?,
        })
    }

    pub fn view(&self, backend: &B, data: &Dataset) -> PairScales<'_, B> {
        let side = |buffer, dim: usize| Stack::at(backend, buffer, 0, 2 * dim, [self.runs, 2, dim]);
        PairScales {
            partner: side(&self.partner, data.partner.dim()),
            rna: side(&self.rna, data.rna.dim()),
            label: Stack::at(backend, &self.label, 0, 1, [self.runs, 1, 1]),
        }
    }
}
