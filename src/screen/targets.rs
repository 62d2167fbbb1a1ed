//! Targets that pass the library together.

use super::folded_model::FoldedModel;
use super::library::Library;
use crate::error::Result;
use crate::models::fusion::fold::{Features, FoldedTables, Reach};
use crate::ops::linear::Linear;
use crate::ops::pair_score::PairScore;

/// Some targets, folded.
pub(super) struct TargetTile<B: PairScore + Linear> {
    /// Their records.
    pub records: Vec<u32>,
    /// Their ids.
    pub ids: Vec<String>,
    /// In f64, of each member.
    pub features: Vec<Features>,
    /// In f32, on the device.
    pub tables: FoldedTables<B>,
    /// Offsets `[n_members, n]`, on the device.
    pub offsets: B::Buffer<f32>,
    /// How far each reaches, by member.
    pub reaches: Vec<Vec<Reach>>,
}

impl<B: PairScore + Linear> TargetTile<B> {
    /// Folds these records.
    ///
    /// # Errors
    /// A vector that is not finite; what the device reports.
    pub fn new(backend: &B, model: &FoldedModel<'_, B>, targets: &Library, records: &[u32]) -> Result<Self> {
        let vectors = targets.vectors_of(records)?;
        let (n, d) = (records.len(), targets.dim());
        let x = model.standardised(1, &vectors);
        let tables = model.fold(1, n, &x)?;
        let len = model.n_tables() * n * tables.row;
        let mut host = vec![0.0; len];
        backend.download(backend.view(&tables.buffer, 0..len), &mut host)?;
        let reach = |vector: &[f32]| model.reach(1, model.standardised(1, vector).norms());
        Ok(Self {
            records: records.to_vec(),
            ids: records.iter().map(|&record| targets.id(record).to_owned()).collect(),
            features: model.features(1, &x)?,
            offsets: backend.uploaded(&model.offsets(&host, n, tables.row))?,
            tables,
            reaches: vectors.chunks_exact(d).map(reach).collect(),
        })
    }

    /// Number of targets.
    pub fn len(&self) -> usize {
        self.records.len()
    }
}
