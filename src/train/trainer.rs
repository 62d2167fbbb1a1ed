//! Epochs of a cohort: shuffled batches, one Adam step of every run each.

use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::cohort::{Cohort, Trained};
use super::resident::ResidentScales;
use crate::backend::Matrix;
use crate::error::{Error, Result};
use crate::models::fusion::{FusionNetwork, Learning, Moments, Parameters, Step, Workspace};
use crate::ops::TrainingBackend;
use crate::ops::clock::{CLOCK_WORDS, Tick};
use crate::ops::gather_pairs::gather_pairs;
use crate::progress::check_interrupt;

/// Steps that are recorded together, and after which a signal is looked for.
const SEGMENT: usize = 64;

/// A cohort between two epochs.
pub struct Trainer<'a, B: TrainingBackend> {
    backend: &'a B,
    cohort: &'a Cohort<'a, B>,
    network: FusionNetwork,
    pub(super) scales: Arc<ResidentScales<B>>,
    pub(super) parameters: Parameters<B, f32>,
    moments: Moments<B, f32>,
    work: Workspace<B, f32>,
    /// Shuffled rows of every run, `[runs, longest]`, here and there.
    order: Vec<u32>,
    orders: B::Buffer<u32>,
    /// `[steps of an epoch, runs, CLOCK_WORDS]`.
    clock: B::Buffer<u32>,
    recordings: B::Recordings,
    epoch: usize,
    /// Steps that each run has taken.
    steps: Vec<u32>,
}

impl<'a, B: TrainingBackend> Trainer<'a, B> {
    /// Start values, fitted scales, and all memory that the epochs need; the runs as far as they are known.
    ///
    /// # Errors
    /// When there is no row to train on, the widths do not fit, or memory is short.
    pub fn new(backend: &'a B, cohort: &'a Cohort<'a, B>) -> Result<(Self, Vec<Trained>)> {
        let Cohort { data, config, start, runs, .. } = *cohort;
        let network = FusionNetwork::new(config.fusion_config(data.data))?;
        let n_parameters = network.layout.len();
        let trained: Vec<Trained> =
            runs.iter().map(|run| Trained::untrained(&network, data.data, config, run)).collect::<Result<_>>()?;
        let scales: Vec<_> = trained.iter().map(|trained| (&trained.scale, trained.label_scale)).collect();
        let mut parameters = Parameters::zeros(backend, runs.len(), n_parameters)?;
        for (i, (run, trained)) in runs.iter().zip(&trained).enumerate() {
            parameters.upload(backend, i, &trained.start(data.data, start, run))?;
        }
        let longest = runs.iter().map(|run| run.rows.len()).max().unwrap_or(0);
        let batch = config.batch.min(longest);
        let trainer = Self {
            backend,
            cohort,
            scales: Arc::new(ResidentScales::new(backend, data.data, &scales)?),
            parameters,
            moments: Moments::zeros(backend, runs.len(), n_parameters)?,
            work: Workspace::new(backend, &network.config, runs.len(), batch, true)?,
            order: vec![0; runs.len() * longest],
            orders: backend.zeros(runs.len() * longest)?,
            clock: backend.zeros(longest.div_ceil(batch.max(1)) * runs.len() * CLOCK_WORDS)?,
            recordings: B::Recordings::default(),
            epoch: 0,
            steps: vec![0; runs.len()],
            network,
        };
        Ok((trainer, trained))
    }

    /// Number of trainable parameters of a run.
    #[must_use]
    pub fn n_parameters(&self) -> usize {
        self.network.layout.len()
    }

    /// One pass of every run that is `active` over its shuffled rows; returns the mean loss of each, dropout on, 0 where it
    /// is not.
    ///
    /// # Errors
    /// When a loss stops being finite, a signal arrives, or an op fails.
    pub fn epoch(&mut self, active: &[bool]) -> Result<Vec<f64>> {
        self.epoch += 1;
        let n_rows = self.wind(active)?;
        self.backend
            .upload(&vec![0.0; 2 * active.len()], self.backend.view_mut(&mut self.work.totals, 0..2 * active.len()))?;
        for (segment, n_rows) in n_rows.chunks(SEGMENT).enumerate() {
            check_interrupt()?;
            self.segment(segment * SEGMENT, n_rows)?;
        }
        let totals = self.backend.fetch(self.backend.view(&self.work.totals, 0..2 * active.len()))?;
        let losses: Vec<f64> =
            self.backend.arrived(totals)?.as_chunks().0.iter().map(|[sum, known]| sum / known.max(1.0)).collect();
        match losses.iter().find(|loss| !loss.is_finite()) {
            None => Ok(losses),
            Some(loss) => Err(Error::data(
                format!("the training loss became {loss} in epoch {}", self.epoch),
                "lower learning_rate in --config, or look for extreme values in the vectors (`verify STORE`)",
            )),
        }
    }

    /// Shuffles, and writes what every run does in every step of the epoch; returns the pairs of the longest run's step.
    fn wind(&mut self, active: &[bool]) -> Result<Vec<usize>> {
        let Cohort { config, runs, .. } = *self.cohort;
        let (batch, longest) = (self.work.capacity, self.order.len() / runs.len().max(1));
        for (run, order) in runs.iter().zip(self.order.chunks_exact_mut(longest.max(1))) {
            let order = &mut order[..run.rows.len()];
            order.copy_from_slice(run.rows);
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(run.seed ^ ((self.epoch as u64) << 32)));
        }
        let (mut words, mut n_rows) = (Vec::new(), Vec::new());
        for first in (0..longest).step_by(batch.max(1)) {
            let mut most = 0;
            for ((run, steps), &active) in runs.iter().zip(&mut self.steps).zip(active) {
                let n = if active { run.rows.len().saturating_sub(first).min(batch) } else { 0 };
                let tick = if n > 0 {
                    *steps += 1;
                    config.optimiser.tick(run.seed, *steps, n as u32, first as u32)
                } else {
                    Tick::default()
                };
                words.extend(tick.words());
                most = most.max(n);
            }
            n_rows.push(most);
        }
        self.backend.upload(&self.order, self.backend.view_mut(&mut self.orders, 0..self.order.len()))?;
        self.backend.upload(&words, self.backend.view_mut(&mut self.clock, 0..words.len()))?;
        n_rows.truncate(n_rows.iter().rposition(|&n| n > 0).map_or(0, |last| last + 1));
        Ok(n_rows)
    }

    /// Steps `first..first + n_rows.len()` of the epoch, of at most `n_rows` pairs each.
    fn segment(&mut self, first: usize, n_rows: &[usize]) -> Result<()> {
        let Self { backend, cohort, network, scales, parameters, moments, work, orders, clock, .. } = self;
        let (backend, runs, data) = (*backend, cohort.runs.len(), cohort.data);
        let dropout = network.config.dropout_projection > 0.0 || network.config.dropout_head > 0.0;
        let longest = self.order.len() / runs;
        let key: Vec<usize> = [n_rows[0], first].iter().chain(n_rows).copied().collect();
        backend.replay(&mut self.recordings, &key, || {
            for (step, &n) in n_rows.iter().enumerate() {
                let clock = Matrix::at(backend, clock, (first + step) * runs * CLOCK_WORDS, runs, CLOCK_WORDS);
                let (tables, scales) = (data.tables(backend, true), scales.view(backend, data.data));
                let orders = Matrix::of(backend, orders, runs, longest);
                gather_pairs(backend, &tables, &scales, orders, clock, work.batch(backend, &network.config, n, true))?;
                network.forward(backend, parameters, work, n, dropout.then_some(clock))?;
                let mut learning = Learning::Adam(cohort.config.optimiser, moments);
                network.backward(backend, parameters, work, &Step { n, clock, dropout }, &mut learning)?;
            }
            Ok(())
        })
    }
}
