//! From training rows to a network: the stopping rule, and what it needs of the inner part.

use super::config::TrainConfig;
use super::stop::{Criterion, Stop};
use super::trainer::{OutputStart, Trained, Training, Watch, train};
use crate::data::Dataset;
use crate::error::Result;
use crate::ops::TrainingBackend;

/// What is fitted.
#[derive(Clone, Copy)]
pub struct FitPlan<'a> {
    /// The data.
    pub data: &'a Dataset,
    /// Training rows without the inner part.
    pub train: &'a [u32],
    /// The inner part: stopping, threshold and calibration.
    pub inner: &'a [u32],
    /// How to train.
    pub config: &'a TrainConfig,
    /// Seed of start values, order and dropout.
    pub seed: u64,
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
pub fn fit<B: TrainingBackend>(backend: &B, plan: &FitPlan<'_>) -> Result<Fitted> {
    let FitPlan { data, train: rows, inner, config, seed } = *plan;
    let start = if config.stop == Stop::Default { OutputStart::MeanLabel } else { OutputStart::Drawn };
    let training = |rows, epochs, watch| Training { data, rows, config, epochs, seed, start, watch };
    let whole = || {
        let mut rows = [rows, inner].concat();
        rows.sort_unstable();
        rows
    };
    let watch = |criterion, smooth, patience| Watch { data, rows: inner, criterion, smooth, patience };
    let chosen = match config.stop {
        Stop::Fixed => None,
        _ if inner.is_empty() => None,
        Stop::Patience(patience) => Some(watch(Criterion::Loss, 1, Some(patience))),
        Stop::Default => Some(watch(Criterion::Skill, SMOOTH, None)),
    };
    let Some(watch) = chosen else {
        let trained = train(backend, &training(&whole(), config.epochs, None))?;
        return Ok(Fitted { trained, inner_predictions: Vec::new() });
    };
    let first = train(backend, &training(rows, config.epochs, Some(watch)))?;
    let inner_predictions = first.predict(backend, data, inner)?;
    if config.stop != Stop::Default {
        return Ok(Fitted { trained: first, inner_predictions });
    }
    let refitted = train(backend, &training(&whole(), first.kept_epoch, None))?;
    let trained = Trained { watched_loss: first.watched_loss, watched: first.watched, ..refitted };
    Ok(Fitted { trained, inner_predictions })
}

/// Epochs over which the default rule averages the watched value.
const SMOOTH: usize = 10;
