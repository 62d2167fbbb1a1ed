//! From training rows to networks: the stopping rule, and what it needs of the inner parts.

use super::cohort::{Cohort, OutputStart, Run, Trained, Watch};
use super::config::TrainConfig;
use super::notes::TrainingNotes;
use super::resident::ResidentData;
use super::run::train;
use super::stop::{Criterion, Stop};
use crate::backend::Memory;
use crate::error::Result;
use crate::ops::TrainingBackend;

/// What is fitted: networks of one shape that advance together.
pub struct FitPlan<'a, B: Memory> {
    /// The data.
    pub data: &'a ResidentData<'a, B>,
    /// How to train.
    pub config: &'a TrainConfig,
    /// One network each.
    pub runs: &'a [FitRun<'a>],
    /// Where it is written down how far they are.
    pub notes: Option<&'a TrainingNotes>,
}

/// One network of a plan.
#[derive(Clone, Copy)]
pub struct FitRun<'a> {
    /// Training rows without the inner part.
    pub train: &'a [u32],
    /// The inner part: stopping, threshold and calibration.
    pub inner: &'a [u32],
    /// Seed of start values, order and dropout.
    pub seed: u64,
}

impl FitRun<'_> {
    /// All rows.
    fn whole(&self) -> Vec<u32> {
        let mut rows = [self.train, self.inner].concat();
        rows.sort_unstable();
        rows
    }
}

/// A fitted network, and what the inner part said on the way.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The network that is used.
    pub trained: Trained,
    /// Predictions of the inner rows `[n, n_outputs]` by a network that never trained on them; empty where the stopping
    /// rule has no inner part.
    pub inner_predictions: Vec<f32>,
}

/// Fits by the stopping rule of the configuration.
///
/// # Errors
/// What [`train`] reports.
pub fn fit<B: TrainingBackend>(backend: &B, plan: &FitPlan<'_, B>) -> Result<Vec<Fitted>> {
    let FitPlan { data, config, runs, notes } = *plan;
    let start = if config.stop == Stop::Default { OutputStart::MeanLabel } else { OutputStart::Drawn };
    let watch = |criterion, smooth, patience| Some(Watch { data, criterion, smooth, patience });
    let watch = match config.stop {
        Stop::Fixed => None,
        Stop::Patience(patience) => watch(Criterion::Loss, 1, Some(patience)),
        Stop::Default => watch(Criterion::Skill, SMOOTH, None),
    };
    // A run without an inner part trains on all rows at once.
    let held_back = |run: &FitRun<'_>| config.stop != Stop::Fixed && !run.inner.is_empty();
    let whole: Vec<Vec<u32>> = runs.iter().map(FitRun::whole).collect();
    let first: Vec<Run<'_>> = runs
        .iter()
        .zip(&whole)
        .map(|(run, whole)| {
            let (rows, watched) = if held_back(run) { (run.train, run.inner) } else { (whole.as_slice(), &[][..]) };
            Run { rows, watched, epochs: config.epochs, seed: run.seed }
        })
        .collect();
    let cohort = Cohort { data, config, start, watch, runs: &first, notes };
    let trained = train(backend, &cohort)?;
    let mut fitted: Vec<Fitted> = Vec::with_capacity(runs.len());
    for (trained, run) in trained.into_iter().zip(&first) {
        let inner = trained.predict(backend, data, run.watched)?;
        fitted.push(Fitted { trained, inner_predictions: inner });
    }
    if config.stop == Stop::Default {
        refit(backend, plan, &whole, &mut fitted)?;
    }
    Ok(fitted)
}

/// Trains the networks that held an inner part back again, on all rows, for as many epochs as were kept.
fn refit<B: TrainingBackend>(
    backend: &B,
    plan: &FitPlan<'_, B>,
    whole: &[Vec<u32>],
    fitted: &mut [Fitted],
) -> Result<()> {
    let again: Vec<usize> = (0..fitted.len()).filter(|&i| !plan.runs[i].inner.is_empty()).collect();
    let run = |&i: &usize| Run {
        rows: &whole[i],
        watched: &[],
        epochs: fitted[i].trained.kept_epoch,
        seed: plan.runs[i].seed,
    };
    let runs: Vec<Run<'_>> = again.iter().map(run).collect();
    if runs.is_empty() {
        return Ok(());
    }
    let (data, config, start) = (plan.data, plan.config, OutputStart::MeanLabel);
    let cohort = Cohort { data, config, start, watch: None, runs: &runs, notes: plan.notes };
    let refitted = train(backend, &cohort)?;
    for (i, refitted) in again.into_iter().zip(refitted) {
        let first = &mut fitted[i].trained;
        let (watched_loss, watched) = (std::mem::take(&mut first.watched_loss), std::mem::take(&mut first.watched));
        *first = Trained { watched_loss, watched, ..refitted };
    }
    Ok(())
}

/// Epochs over which the default rule averages the watched value.
const SMOOTH: usize = 10;
