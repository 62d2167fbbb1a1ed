//! Logits of pairs by networks that are trained or in training, without dropout.

use std::sync::Arc;

use super::cohort::Trained;
use super::resident::{ResidentData, ResidentScales};
use crate::backend::{Matrix, Memory};
use crate::error::Result;
use crate::models::fusion::{FusionNetwork, GateShare, Parameters, Workspace};
use crate::ops::TrainingBackend;
use crate::ops::clock::{CLOCK_WORDS, Tick};
use crate::ops::gather_pairs::gather_pairs;

/// Most pairs of a run that are scored together: enough to fill the matrix unit, small enough for the second-level cache.
pub(super) const SCORING_BATCH: usize = 256;

/// Scores the same pairs again and again: what the device needs for it lies there.
pub(super) struct Scorer<'a, B: Memory> {
    data: &'a ResidentData<'a, B>,
    network: &'a FusionNetwork,
    scales: Arc<ResidentScales<B>>,
    /// Pairs of each run.
    n_rows: Vec<usize>,
    /// `[runs, longest]`.
    orders: B::Buffer<u32>,
    /// `[batches, runs, CLOCK_WORDS]`.
    clock: B::Buffer<u32>,
    work: Workspace<B, f32>,
}

impl<'a, B: TrainingBackend> Scorer<'a, B> {
    /// For the pairs `rows` of each run.
    pub fn new(
        backend: &B,
        data: &'a ResidentData<'a, B>,
        network: &'a FusionNetwork,
        scales: Arc<ResidentScales<B>>,
        rows: &[&[u32]],
    ) -> Result<Self> {
        let n_rows: Vec<usize> = rows.iter().map(|rows| rows.len()).collect();
        let longest = n_rows.iter().copied().max().unwrap_or(0);
        // Batches of one size: a short last one would be padded where another run goes on.
        let capacity = longest.div_ceil(longest.div_ceil(SCORING_BATCH).max(1)).max(1);
        let mut orders = vec![0; rows.len() * longest];
        for (order, rows) in orders.chunks_exact_mut(longest.max(1)).zip(rows) {
            order[..rows.len()].copy_from_slice(rows);
        }
        let mut clock = Vec::new();
        for first in (0..longest).step_by(capacity) {
            let tick = |&n: &usize| {
                let n_rows = n.saturating_sub(first).min(capacity) as u32;
                Tick { n_rows, first: first.min(n) as u32, ..Tick::default() }.words()
            };
            clock.extend(n_rows.iter().flat_map(tick));
        }
        Ok(Self {
            data,
            network,
            scales,
            orders: backend.uploaded(&orders)?,
            clock: backend.uploaded(&clock)?,
            work: Workspace::new(backend, &network.config, rows.len(), capacity, false)?,
            n_rows,
        })
    }

    /// Runs the networks over the pairs and hands every batch to `read`, with the number of its pairs.
    fn each_batch(
        &mut self,
        backend: &B,
        parameters: &Parameters<B, f32>,
        mut read: impl FnMut(&Workspace<B, f32>, usize) -> Result<()>,
    ) -> Result<()> {
        let (runs, data) = (self.n_rows.len(), self.data.data);
        let longest = self.n_rows.iter().copied().max().unwrap_or(0);
        let config = &self.network.config;
        for (batch, first) in (0..longest).step_by(self.work.capacity).enumerate() {
            let n = self.work.capacity.min(longest - first);
            let clock = Matrix::at(backend, &self.clock, batch * runs * CLOCK_WORDS, runs, CLOCK_WORDS);
            let orders = Matrix::of(backend, &self.orders, runs, longest);
            let (tables, scales) = (self.data.tables(backend, false), self.scales.view(backend, data));
            gather_pairs(backend, &tables, &scales, orders, clock, self.work.batch(backend, config, n, false))?;
            self.network.forward(backend, parameters, &mut self.work, n, None)?;
            read(&self.work, n)?;
        }
        Ok(())
    }

    /// Logits of each run's pairs, `[n, n_outputs]` (for a regression: label ÷ label scale).
    pub fn logits(&mut self, backend: &B, parameters: &Parameters<B, f32>) -> Result<Vec<Vec<f32>>> {
        let (width, capacity) = (self.network.config.n_outputs, self.work.capacity);
        let mut batches = Vec::new();
        self.each_batch(backend, parameters, |work, n| {
            batches.push(backend.fetch(work.logits(backend, n, width))?);
            Ok(())
        })?;
        let mut logits: Vec<Vec<f32>> = self.n_rows.iter().map(|n| Vec::with_capacity(n * width)).collect();
        for (batch, fetch) in batches.into_iter().enumerate() {
            let values = backend.arrived(fetch)?;
            for (run, (logits, n)) in logits.iter_mut().zip(&self.n_rows).enumerate() {
                let n = n.saturating_sub(batch * capacity).min(capacity);
                let start = run * capacity * width;
                logits.extend_from_slice(&values[start..start + n * width]);
            }
        }
        Ok(logits)
    }
}

impl Trained {
    /// A scorer of `rows` by this network alone, and its parameters.
    fn scorer<'a, B: TrainingBackend>(
        &'a self,
        backend: &B,
        data: &'a ResidentData<'a, B>,
        rows: &[u32],
    ) -> Result<(Scorer<'a, B>, Parameters<B, f32>)> {
        let scales = ResidentScales::new(backend, data.data, &[(&self.scale, self.label_scale)])?;
        let scorer = Scorer::new(backend, data, &self.network, Arc::new(scales), &[rows])?;
        Ok((scorer, Parameters::uploaded(backend, &self.parameters)?))
    }

    /// Predictions of `rows` of `data`, `[n, n_outputs]`: logits, or values in the unit of the labels.
    ///
    /// # Errors
    /// What the ops report.
    pub fn predict<'a, B: TrainingBackend>(
        &'a self,
        backend: &B,
        data: &'a ResidentData<'a, B>,
        rows: &[u32],
    ) -> Result<Vec<f32>> {
        let (mut scorer, parameters) = self.scorer(backend, data, rows)?;
        let mut logits = scorer.logits(backend, &parameters)?.swap_remove(0);
        for z in &mut logits {
            // 1 in a classification.
            *z *= self.label_scale;
        }
        Ok(logits)
    }

    /// What the gate does to `rows`; `None` for a concatenation.
    ///
    /// # Errors
    /// What the ops report.
    pub fn gate_shares<'a, B: TrainingBackend>(
        &'a self,
        backend: &B,
        data: &'a ResidentData<'a, B>,
        rows: &[u32],
    ) -> Result<Option<GateShare>> {
        let (mut scorer, parameters) = self.scorer(backend, data, rows)?;
        let mut whole: Option<GateShare> = None;
        scorer.each_batch(backend, &parameters, |work, n| {
            let Some(mut share) = self.network.gate_share(backend, &parameters, work, n)? else { return Ok(()) };
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
}
