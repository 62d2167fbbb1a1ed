//! Targets that pass the library together.

use super::folded_model::{FoldedModel, Tables};
use super::library::Library;
use crate::error::Result;
use crate::models::fusion::fold::{Features, Reach};
use crate::ops::pair_score::PairScore;

/// Some targets, folded.
pub(super) struct TargetTile<B: PairScore> {
    /// Their records.
    pub records: Vec<u32>,
    /// Their ids.
    pub ids: Vec<String>,
    /// In f64, of each member.
    pub features: Vec<Features>,
    /// In f32, on the device.
    pub rows: B::Buffer<f32>,
    /// Offsets `[n_members, n]`, on the device.
    pub offsets: B::Buffer<f32>,
    /// How far each reaches, by member.
    pub reaches: Vec<Vec<Reach>>,
}

impl<B: PairScore> TargetTile<B> {
    /// Folds these records.
    ///
    /// # Errors
    /// A vector that is not finite; what the device reports.
    pub fn new(backend: &B, model: &FoldedModel<'_, B>, targets: &Library, records: &[u32]) -> Result<Self> {
        let vectors = targets.vectors_of(records)?;
        let n = records.len();
        let features = model.features(1, &vectors)?;
        let Tables { rows, .. } = model.tables::<f32>(n, &features);
        Ok(Self {
            records: records.to_vec(),
            ids: records.iter().map(|&record| targets.id(record).to_owned()).collect(),
            reaches: (0..n).map(|i| model.reach(&features, i)).collect(),
            features,
            offsets: backend.uploaded(&model.offsets(&rows, n))?,
            rows: backend.uploaded(&rows)?,
        })
    }

    /// Number of targets.
    pub fn len(&self) -> usize {
        self.records.len()
    }
}
