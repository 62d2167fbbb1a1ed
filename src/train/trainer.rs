//! One training: epochs of shuffled batches, one Adam step each, watched by a stopping rule.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::batch::{Staging, score};
use super::config::TrainConfig;
use super::standardise::Standardiser;
use super::stop::Criterion;
use crate::backend::{Cpu, Matrix, MatrixMut, Memory};
use crate::data::{Dataset, Task};
use crate::error::{Error, Result};
use crate::models::fusion::{FusionNetwork, Mode, Workspace};
use crate::ops::TrainingBackend;
use crate::ops::adam::{Moments, adam};
use crate::ops::pair_loss::{Loss, pair_loss};
use crate::progress::check_interrupt;

/// What is scored after each epoch, and how that decides which weights are kept.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// The watched data.
    pub data: &'a Dataset,
    /// The watched pairs.
    pub rows: &'a [u32],
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

/// One training.
pub struct Training<'a> {
    /// The data.
    pub data: &'a Dataset,
    /// Pairs of the gradient steps.
    pub rows: &'a [u32],
    /// How to train.
    pub config: &'a TrainConfig,
    /// Epochs to run; at most `config.epochs` matter to the stopping rule.
    pub epochs: usize,
    /// Seed of start values, order and dropout.
    pub seed: u64,
    /// Where the bias of the last layer starts.
    pub start: OutputStart,
    /// The stopping rule; `None` keeps the last weights.
    pub watch: Option<Watch<'a>>,
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
    /// Predictions of `rows` of `data`, `[n, n_outputs]`: logits, or values in the unit of the labels.
    ///
    /// # Errors
    /// What the ops report.
    pub fn predict<B: TrainingBackend>(&self, backend: &B, data: &Dataset, rows: &[u32]) -> Result<Vec<f32>> {
        let parameters = self.upload(backend)?;
        let mut logits = score(backend, &self.network, &parameters, &self.scale, data, rows)?;
        if self.network.config.task == Task::Regression {
            for z in &mut logits {
                *z *= self.label_scale;
            }
        }
        Ok(logits)
    }

    /// The parameters in device memory.
    pub(super) fn upload<B: Memory>(&self, backend: &B) -> Result<B::Buffer<f32>> {
        let mut parameters = backend.zeros(self.parameters.len())?;
        backend.upload(&self.parameters, backend.view_mut(&mut parameters, 0..self.parameters.len()))?;
        Ok(parameters)
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

/// A training between two epochs.
pub struct Trainer<'a, B: TrainingBackend> {
    backend: &'a B,
    training: &'a Training<'a>,
    network: FusionNetwork,
    scale: Standardiser,
    label_scale: f32,
    parameters: B::Buffer<f32>,
    gradient: B::Buffer<f32>,
    moments: Moments<B, f32>,
    work: Workspace<B, f32>,
    staging: Staging,
    order: Vec<u32>,
    epoch: usize,
    step: u32,
}

impl<'a, B: TrainingBackend> Trainer<'a, B> {
    /// Start values, fitted scales, and all memory that the epochs need.
    ///
    /// # Errors
    /// When there is no row to train on, the widths do not fit, or memory is short.
    pub fn new(backend: &'a B, training: &'a Training<'a>) -> Result<Self> {
        let Training { data, rows, config, seed, .. } = *training;
        if rows.is_empty() {
            return Err(Error::data("no pair is left to train on", "check the pairs, the folds and the rejects"));
        }
        let network = FusionNetwork::new(config.fusion_config(data))?;
        let n_parameters = network.layout.len();
        let label_scale = label_scale(data, rows)?;
        let mut start = network.layout.initial(seed);
        if training.start == OutputStart::MeanLabel && data.task == Task::Regression {
            start[network.layout.output_bias()].fill(mean_label(data, rows) / label_scale);
        }
        let mut parameters = backend.zeros(n_parameters)?;
        backend.upload(&start, backend.view_mut(&mut parameters, 0..n_parameters))?;
        let batch = config.batch.min(rows.len());
        Ok(Self {
            backend,
            training,
            scale: if config.standardise { Standardiser::fit(data, rows) } else { Standardiser::default() },
            label_scale,
            parameters,
            gradient: backend.zeros(n_parameters)?,
            moments: Moments::zeros(backend, n_parameters)?,
            work: Workspace::new(backend, &network.config, batch, true)?,
            staging: Staging::new(data, batch),
            order: rows.to_vec(),
            epoch: 0,
            step: 0,
            network,
        })
    }

    /// Number of trainable parameters.
    #[must_use]
    pub fn n_parameters(&self) -> usize {
        self.network.layout.len()
    }

    /// One pass over the shuffled rows; returns the mean loss, dropout on.
    ///
    /// # Errors
    /// When the loss stops being finite, a signal arrives, or an op fails.
    pub fn epoch(&mut self) -> Result<f64> {
        let Training { data, rows, config, seed, .. } = *self.training;
        let backend = self.backend;
        self.epoch += 1;
        self.order.copy_from_slice(rows);
        self.order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed ^ ((self.epoch as u64) << 32)));
        let dropout = self.network.config.dropout_projection > 0.0 || self.network.config.dropout_head > 0.0;
        let (mut sum, mut known) = (0.0, 0);
        for rows in self.order.chunks(config.batch.min(rows.len())) {
            check_interrupt()?;
            self.step += 1;
            let n = rows.len();
            self.staging.load_vectors(backend, data, rows, &self.scale, &mut self.work)?;
            self.staging.load_labels(backend, data, rows, self.label_scale, &mut self.work)?;
            let mode = if dropout { Mode::Training { seed, step: self.step } } else { Mode::Inference };
            self.network.forward(backend, &self.parameters, &mut self.work, n, mode)?;
            let (loss, labels) =
                self.network.backward(backend, &self.parameters, &mut self.work, n, dropout, &mut self.gradient)?;
            (sum, known) = (sum + loss, known + labels);
            adam(backend, &config.optimiser, self.step, &mut self.parameters, &mut self.moments, &self.gradient)?;
        }
        let loss = sum / known.max(1) as f64;
        if loss.is_finite() {
            return Ok(loss);
        }
        Err(Error::data(
            format!("the training loss became {loss} in epoch {}", self.epoch),
            "lower learning_rate in --config, or look for extreme values in the vectors (`verify STORE`)",
        ))
    }
}

/// Runs `training`. The result depends on data, configuration and seed only, not on the number of threads.
///
/// # Errors
/// When a loss stops being finite, a signal arrives, or an op fails.
pub fn train<B: TrainingBackend>(backend: &B, training: &Training<'_>) -> Result<Trained> {
    let mut trainer = Trainer::new(backend, training)?;
    let mut trained = Trained {
        network: trainer.network.clone(),
        parameters: Vec::new(),
        scale: trainer.scale.clone(),
        label_scale: trainer.label_scale,
        train_loss: Vec::new(),
        watched_loss: Vec::new(),
        watched: Vec::new(),
        kept_epoch: training.epochs,
    };
    let mut best = f64::NEG_INFINITY;
    for epoch in 1..=training.epochs {
        trained.train_loss.push(trainer.epoch()?);
        let Some(watch) = &training.watch else { continue };
        let value = observe(backend, &mut trained, &trainer.parameters, watch)?;
        // Until the watched value is defined the latest weights are kept.
        if value > best || best == f64::NEG_INFINITY {
            best = value.max(best);
            trained.kept_epoch = epoch;
            trained.parameters = download(backend, &trainer.parameters, trainer.n_parameters())?;
        }
        if watch.patience.is_some_and(|patience| epoch - trained.kept_epoch >= patience) {
            break;
        }
    }
    if training.watch.is_none() {
        trained.parameters = download(backend, &trainer.parameters, trainer.n_parameters())?;
    }
    Ok(trained)
}

/// Scores the watched rows, records loss and value, and returns the smoothed value (−∞ while undefined or too early).
fn observe<B: TrainingBackend>(
    backend: &B,
    trained: &mut Trained,
    parameters: &B::Buffer<f32>,
    watch: &Watch<'_>,
) -> Result<f64> {
    let config = &trained.network.config;
    let logits = score(backend, &trained.network, parameters, &trained.scale, watch.data, watch.rows)?;
    let width = watch.data.n_labels();
    let labels: Vec<f32> = watch
        .rows
        .iter()
        .flat_map(|&row| &watch.data.labels[row as usize * width..][..width])
        .map(|label| label / trained.label_scale)
        .collect();
    let loss = mean_loss(config.loss(), &logits, &labels)?;
    let value = watch.criterion.value(config.task, loss, &logits, &labels, width).unwrap_or(f64::NEG_INFINITY);
    trained.watched_loss.push(loss);
    trained.watched.push(value);
    let recent = trained.watched.len().checked_sub(watch.smooth.max(1)).map(|from| &trained.watched[from..]);
    Ok(recent.map_or(f64::NEG_INFINITY, |values| values.iter().sum::<f64>() / values.len() as f64))
}

fn download<B: Memory>(backend: &B, parameters: &B::Buffer<f32>, len: usize) -> Result<Vec<f32>> {
    let mut host = vec![0.0; len];
    backend.download(backend.view(parameters, 0..len), &mut host)?;
    Ok(host)
}

fn mean_loss(loss: Loss, logits: &[f32], labels: &[f32]) -> Result<f64> {
    let row = |view| Matrix::<Cpu, f32> { rows: 1, cols: logits.len(), view };
    let mut gradient = vec![0.0; logits.len()];
    let gradient = MatrixMut { rows: 1, cols: logits.len(), view: gradient.as_mut_slice() };
    let (sum, known) = pair_loss(&Cpu::single(), loss, row(logits), row(labels), gradient)?;
    Ok(sum / known.max(1) as f64)
}
