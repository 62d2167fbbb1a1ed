//! What a cohort is: runs of one network shape that advance together.

use std::ops::Range;

use rayon::prelude::*;

use super::config::TrainConfig;
use super::notes::TrainingNotes;
use super::resident::ResidentData;
use super::score::SCORING_BATCH;
use super::standardise::Standardiser;
use super::stop::Criterion;
use crate::backend::Memory;
use crate::data::{Dataset, Task};
use crate::error::{Error, Result};
use crate::models::fusion::{FusionConfig, FusionNetwork, Layout};

/// What is scored after each epoch, and how that decides which weights are kept.
pub struct Watch<'a, B: Memory> {
    /// The watched data.
    pub data: &'a ResidentData<'a, B>,
    /// The watched value.
    pub criterion: Criterion,
    /// Epochs over which the watched value is averaged before epochs are compared.
    pub smooth: usize,
    /// Stop after this many epochs without a better value; `None` runs all epochs.
    pub patience: Option<usize>,
}

/// Where the bias of the last layer starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStart {
    /// Drawn like every other bias, as in the published recipe.
    Drawn,
    /// In a regression, at the mean training label: an untrained network then answers about as the training mean does.
    /// Drawn in a classification.
    MeanLabel,
}

/// One training of a cohort.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Pairs of the gradient steps.
    pub rows: &'a [u32],
    /// Watched pairs; without any, the last weights are kept.
    pub watched: &'a [u32],
    /// Epochs to run.
    pub epochs: usize,
    /// Seed of start values, order and dropout.
    pub seed: u64,
}

/// Runs of one network shape that advance together.
pub struct Cohort<'a, B: Memory> {
    /// The data.
    pub data: &'a ResidentData<'a, B>,
    /// How to train.
    pub config: &'a TrainConfig,
    /// Where the bias of the last layer starts.
    pub start: OutputStart,
    /// The stopping rule; `None` keeps the last weights.
    pub watch: Option<Watch<'a, B>>,
    /// The runs.
    pub runs: &'a [Run<'a>],
    /// Where it is written down how far they are.
    pub notes: Option<&'a TrainingNotes>,
}

impl<'a, B: Memory> Cohort<'a, B> {
    /// The watched rows of `run`.
    pub(super) fn watched(&self, run: &Run<'a>) -> &'a [u32] {
        if self.watch.is_some() { run.watched } else { &[] }
    }
}

/// Does `work`, which brings a result per run, on cohorts of the runs `0..n` of so many bytes each.
///
/// # Errors
/// The first of `work`; what the device reports.
pub fn in_cohorts<B: Memory + Sync, R: Send>(
    backend: &B,
    n: usize,
    bytes: usize,
    work: impl Fn(Range<usize>) -> Result<Vec<R>> + Sync,
) -> Result<Vec<R>> {
    let results: Result<Vec<Vec<R>>> = match backend.runs_together(bytes)? {
        None => (0..n).into_par_iter().with_max_len(1).map(|run| work(run..run + 1)).collect(),
        Some(together) => (0..n).step_by(together).map(|first| work(first..n.min(first + together))).collect(),
    };
    Ok(results?.into_iter().flatten().collect())
}

/// Bytes that a run takes on a device, with its share of the memory that scores its watched pairs.
#[must_use]
pub fn bytes_of_run(config: &FusionConfig, batch: usize) -> usize {
    let (p, r) = (config.partner_width(), config.rna_width());
    let head: usize = config.head.iter().sum::<usize>() + config.n_outputs;
    let activations = config.d_partner + config.d_rna + 3 * (p + r) + config.fused_width() + head;
    // Parameters, two moments and the weights that are kept; activations and their gradients, and those of scoring.
    size_of::<f32>() * (4 * Layout::new(config).len() + (2 * batch + SCORING_BATCH) * activations)
}

/// A trained network.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The network.
    pub network: FusionNetwork,
    /// Its parameters in the layout of the network.
    pub parameters: Vec<f32>,
    /// Scale of the inputs; empty where they are used as they are.
    pub scale: Standardiser,
    /// Labels are divided by this for training: the largest training label of a regression, 1 otherwise.
    pub label_scale: f32,
    /// Mean training loss of each epoch (dropout on).
    pub train_loss: Vec<f64>,
    /// Mean loss of the watched rows after each epoch.
    pub watched_loss: Vec<f64>,
    /// The watched value after each epoch, larger = better.
    pub watched: Vec<f64>,
    /// Epoch whose weights were kept, 1-based.
    pub kept_epoch: usize,
}

impl Trained {
    /// A network that has not been trained yet: scales of `run`, no parameters.
    pub(super) fn untrained(
        network: &FusionNetwork,
        data: &Dataset,
        config: &TrainConfig,
        run: &Run<'_>,
    ) -> Result<Self> {
        if run.rows.is_empty() {
            return Err(Error::data("no pair is left to train on", "check the pairs, the folds and the rejects"));
        }
        Ok(Self {
            network: network.clone(),
            parameters: Vec::new(),
            scale: if config.standardise { Standardiser::fit(data, run.rows) } else { Standardiser::default() },
            label_scale: label_scale(data, run.rows)?,
            train_loss: Vec::new(),
            watched_loss: Vec::new(),
            watched: Vec::new(),
            kept_epoch: run.epochs,
        })
    }

    /// Parameters before the first step.
    pub(super) fn start(&self, data: &Dataset, start: OutputStart, run: &Run<'_>) -> Vec<f32> {
        let mut values = self.network.layout.initial(run.seed);
        if start == OutputStart::MeanLabel && data.task == Task::Regression {
            values[self.network.layout.output_bias()].fill(mean_label(data, run.rows) / self.label_scale);
        }
        values
    }
}

/// Largest label of `rows` for a regression, 1 otherwise.
fn label_scale(data: &Dataset, rows: &[u32]) -> Result<f32> {
    if data.task != Task::Regression {
        return Ok(1.0);
    }
    let largest = rows.iter().map(|&row| data.label(row as usize)).fold(f32::NEG_INFINITY, f32::max);
    if largest > 0.0 {
        return Ok(largest);
    }
    Err(Error::data(
        format!("the largest training label is {largest}; labels are divided by it"),
        "shift the labels so that some are positive",
    ))
}

/// Mean label of `rows`.
fn mean_label(data: &Dataset, rows: &[u32]) -> f32 {
    (rows.iter().map(|&row| f64::from(data.label(row as usize))).sum::<f64>() / rows.len() as f64) as f32
}
