//! Pairs into the network and logits out of it.

use super::standardise::Standardiser;
use super::trainer::Trained;
use crate::backend::Memory;
use crate::data::Dataset;
use crate::error::Result;
use crate::models::fusion::{FusionNetwork, GateShare, Mode, Workspace};
use crate::ops::TrainingBackend;

/// Pairs that are scored together: enough to fill the matrix unit, small enough for the second-level cache.
///
/// The last bits of a logit depend on the size of its batch, not on its place: whole batches give a pair the same
/// logit in any company.
const SCORING_BATCH: usize = 256;

/// Vectors of a batch on their way from the memory map to the device.
pub(super) struct Staging {
    partner: Vec<f32>,
    rna: Vec<f32>,
    labels: Vec<f32>,
}

impl Staging {
    pub(super) fn new(data: &Dataset, capacity: usize) -> Self {
        Self {
            partner: vec![0.0; capacity * data.partner.dim()],
            rna: vec![0.0; capacity * data.rna.dim()],
            labels: vec![0.0; capacity * data.n_labels()],
        }
    }

    /// Copies, standardises and uploads the vectors of `rows`.
    pub(super) fn load_vectors<B: Memory>(
        &mut self,
        backend: &B,
        data: &Dataset,
        rows: &[u32],
        scale: &Standardiser,
        work: &mut Workspace<B, f32>,
    ) -> Result<()> {
        let (d_partner, d_rna) = (data.partner.dim(), data.rna.dim());
        for (i, &row) in rows.iter().enumerate() {
            let pair = data.pairs[row as usize];
            let partner = &mut self.partner[i * d_partner..][..d_partner];
            data.partner.copy_vector(pair.partner as usize, partner);
            scale.partner.apply(partner);
            let rna = &mut self.rna[i * d_rna..][..d_rna];
            data.rna.copy_vector(pair.rna as usize, rna);
            scale.rna.apply(rna);
        }
        let (p, r) = (rows.len() * d_partner, rows.len() * d_rna);
        backend.upload(&self.partner[..p], backend.view_mut(&mut work.partner, 0..p))?;
        backend.upload(&self.rna[..r], backend.view_mut(&mut work.rna, 0..r))
    }

    /// Copies and uploads the labels of `rows`, divided by `label_scale`.
    pub(super) fn load_labels<B: Memory>(
        &mut self,
        backend: &B,
        data: &Dataset,
        rows: &[u32],
        label_scale: f32,
        work: &mut Workspace<B, f32>,
    ) -> Result<()> {
        let width = data.n_labels();
        for (i, &row) in rows.iter().enumerate() {
            let from = &data.labels[row as usize * width..][..width];
            for (to, &label) in self.labels[i * width..][..width].iter_mut().zip(from) {
                *to = label / label_scale;
            }
        }
        let n = rows.len() * width;
        backend.upload(&self.labels[..n], backend.view_mut(&mut work.labels, 0..n))
    }
}

/// Runs the network over `rows` and hands every batch to `read`, with its number of pairs.
fn each_batch<B: TrainingBackend>(
    backend: &B,
    network: &FusionNetwork,
    parameters: &B::Buffer<f32>,
    scale: &Standardiser,
    data: &Dataset,
    rows: &[u32],
    mut read: impl FnMut(&Workspace<B, f32>, usize) -> Result<()>,
) -> Result<()> {
    let capacity = SCORING_BATCH.min(rows.len().max(1));
    let mut work = Workspace::new(backend, &network.config, capacity, false)?;
    let mut staging = Staging::new(data, capacity);
    for rows in rows.chunks(capacity) {
        staging.load_vectors(backend, data, rows, scale, &mut work)?;
        network.forward(backend, parameters, &mut work, rows.len(), Mode::Inference)?;
        read(&work, rows.len())?;
    }
    Ok(())
}

/// Logits of `rows` of `data`, `[n, n_outputs]` (for a regression: label ÷ label scale).
///
/// # Errors
/// What the ops report.
pub fn score<B: TrainingBackend>(
    backend: &B,
    network: &FusionNetwork,
    parameters: &B::Buffer<f32>,
    scale: &Standardiser,
    data: &Dataset,
    rows: &[u32],
) -> Result<Vec<f32>> {
    let mut logits = Vec::with_capacity(rows.len() * network.config.n_outputs);
    each_batch(backend, network, parameters, scale, data, rows, |work, n| {
        logits.extend(work.download_logits(backend, n, network.config.n_outputs)?);
        Ok(())
    })?;
    Ok(logits)
}

/// What the gate of `trained` does to `rows`; `None` for a concatenation.
///
/// # Errors
/// What the ops report.
pub fn gate_shares<B: TrainingBackend>(
    backend: &B,
    trained: &Trained,
    data: &Dataset,
    rows: &[u32],
) -> Result<Option<GateShare>> {
    let parameters = trained.upload(backend)?;
    let mut whole: Option<GateShare> = None;
    each_batch(backend, &trained.network, &parameters, &trained.scale, data, rows, |work, n| {
        let Some(mut share) = trained.network.gate_share(backend, &parameters, work, n)? else { return Ok(()) };
        let weight = n as f64 / rows.len() as f64;
        share.per_dimension.iter_mut().for_each(|s| *s *= weight);
        match &mut whole {
            None => whole = Some(share),
            Some(whole) => {
                whole.per_dimension.iter_mut().zip(&share.per_dimension).for_each(|(sum, s)| *sum += s);
                whole.mean.append(&mut share.mean);
                whole.contribution.append(&mut share.contribution);
            }
        }
        Ok(())
    })?;
    Ok(whole)
}
