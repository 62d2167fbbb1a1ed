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
    /// The epoch that is under way, or was ended last.
    epoch: usize,
    /// The next segment of the epoch that is under way.
    under_way: Option<usize>,
    /// Steps that each run has taken with the whole of this epoch, and before it.
    steps: Vec<u32>,
    steps_before: Vec<u32>,
}

/// Where a trainer stands: all that the further epochs depend on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub epoch: usize,
    /// The next segment of the epoch, where it is not ended.
    pub under_way: Option<usize>,
    /// Steps before the epoch that is under way, or so far.
    pub steps: Vec<u32>,
    /// Losses of the epoch so far.
    pub totals: Vec<f64>,
    pub parameters: Vec<f32>,
    /// First and second moments.
    pub moments: [Vec<f32>; 2],
}

impl State {
    /// The epoch to go on with.
    pub fn next_epoch(&self) -> usize {
        self.epoch + usize::from(self.under_way.is_none())
    }
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
            under_way: None,
            steps: vec![0; runs.len()],
            steps_before: vec![0; runs.len()],
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
        let n_rows = self.begin(active)?;
        let done = self.under_way.unwrap_or_default();
        for (segment, n_rows) in n_rows.chunks(SEGMENT).enumerate().skip(done) {
            check_interrupt()?;
            self.segment(segment * SEGMENT, n_rows)?;
            self.under_way = Some(segment + 1);
        }
        self.under_way = None;
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

    /// Begins the next epoch, or goes on with the one that is under way; returns the pairs of the longest run's steps.
    fn begin(&mut self, active: &[bool]) -> Result<Vec<usize>> {
        if self.under_way.is_none() {
            self.epoch += 1;
            self.under_way = Some(0);
            self.set_totals(&vec![0.0; 2 * active.len()])?;
        }
        self.wind(active)
    }

    fn set_totals(&mut self, totals: &[f64]) -> Result<()> {
        self.backend.upload(totals, self.backend.view_mut(&mut self.work.totals, 0..totals.len()))
    }

    /// All that the further epochs depend on; also in the midst of an epoch that was interrupted.
    pub(super) fn state(&self) -> Result<State> {
        let totals = self.backend.fetch(self.backend.view(&self.work.totals, 0..2 * self.steps.len()))?;
        Ok(State {
            epoch: self.epoch,
            under_way: self.under_way,
            steps: if self.under_way.is_some() { self.steps_before.clone() } else { self.steps.clone() },
            totals: self.backend.arrived(totals)?,
            parameters: self.parameters.download_all(self.backend)?,
            moments: self.moments.download_all(self.backend)?,
        })
    }

    /// Goes back to a state of a trainer of the same cohort. False, and nothing is to be done with this trainer, when it is of
    /// another shape.
    pub(super) fn restore(&mut self, state: &State) -> Result<bool> {
        let State { epoch, under_way, steps, totals, parameters, moments } = state;
        let fits = steps.len() == self.steps.len()
            && totals.len() == 2 * steps.len()
            && self.parameters.upload_all(self.backend, parameters)?
            && self.moments.upload_all(self.backend, moments)?;
        if fits {
            self.set_totals(totals)?;
            (self.epoch, self.under_way) = (*epoch, *under_way);
            self.steps.clone_from(steps);
            self.steps_before.clone_from(steps);
        }
        Ok(fits)
    }

    /// Shuffles, and writes what every run does in every step of the epoch; returns the pairs of the longest run's step.
    fn wind(&mut self, active: &[bool]) -> Result<Vec<usize>> {
        let Cohort { config, runs, .. } = *self.cohort;
        self.steps_before.clone_from(&self.steps);
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

#[cfg(test)]
mod tests {
    use super::super::cohort::{OutputStart, Run};
    use super::super::resident::ResidentData;
    use super::super::tests::{config, data};
    use super::*;
    use crate::backend::Cpu;

    #[test]
    fn a_trainer_goes_on_from_the_midst_of_an_epoch() {
        let (data, mut config) = (data(), config());
        // A hundred steps an epoch: two segments.
        config.batch = 4;
        let n = data.len() as u32;
        let rows: Vec<u32> = (0..n).collect();
        // The second run ends within the first segment.
        let run = |seed: u64, rows| Run { rows, watched: &[], epochs: 3, seed };
        let runs = [run(1, &rows), run(2, &rows[..120])];
        let cpu = Cpu::single();
        let resident = ResidentData::new(&cpu, &data).unwrap();
        let start = OutputStart::Drawn;
        let cohort = Cohort { data: &resident, config: &config, start, watch: None, runs: &runs, notes: None };
        let new = || Trainer::new(&cpu, &cohort).unwrap().0;
        let active = [true, true];
        let mut whole = new();
        let losses: Vec<Vec<f64>> = (0..3).map(|_| whole.epoch(&active).unwrap()).collect();
        let mut first = new();
        first.epoch(&active).unwrap();
        let between = first.state().unwrap();
        let steps = first.begin(&active).unwrap();
        first.segment(0, &steps[..SEGMENT]).unwrap();
        first.under_way = Some(1);
        let midst = first.state().unwrap();
        assert_eq!((between.next_epoch(), midst.next_epoch(), midst.under_way), (2, 2, Some(1)));
        for state in [between, midst] {
            let mut second = new();
            assert!(second.restore(&state).unwrap());
            assert!(second.state().unwrap() == state);
            assert_eq!((1..3).map(|_| second.epoch(&active).unwrap()).collect::<Vec<_>>(), losses[1..]);
            assert!(second.state().unwrap() == whole.state().unwrap());
        }
        let other = State { steps: vec![1], ..whole.state().unwrap() };
        assert!(!new().restore(&other).unwrap());
    }
}
