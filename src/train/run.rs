//! A cohort from its start values to the weights that are kept.

use super::cohort::{Cohort, Run, Trained, Watch};
use super::score::Scorer;
use super::trainer::Trainer;
use crate::backend::{Cpu, Memory, Stack, StackMut};
use crate::error::Result;
use crate::models::fusion::Parameters;
use crate::ops::TrainingBackend;
use crate::ops::pair_loss::{Loss, pair_loss};

/// Trains every run of `cohort`. The results depend on data, configuration and seeds only: not on the number of threads, nor
/// on which runs advance together.
///
/// # Errors
/// When a loss stops being finite, a signal arrives, or an op fails.
pub fn train<B: TrainingBackend>(backend: &B, cohort: &Cohort<'_, B>) -> Result<Vec<Trained>> {
    let (mut trainer, mut trained) = Trainer::new(backend, cohort)?;
    let runs = cohort.runs;
    let n_parameters = trainer.n_parameters();
    let network = trained.first().map(|trained| trained.network.clone());
    let watched: Vec<&[u32]> = runs.iter().map(|run| cohort.watched(run)).collect();
    let any_watched = watched.iter().any(|rows| !rows.is_empty());
    let mut watching = match (&cohort.watch, &network) {
        (Some(watch), Some(network)) if any_watched => {
            let scorer = Scorer::new(backend, watch.data, network, trainer.scales.clone(), &watched)?;
            let kept = Parameters::zeros(backend, runs.len(), n_parameters)?;
            Some((watch, scorer, kept))
        }
        _ => None,
    };
    let mut best = vec![f64::NEG_INFINITY; runs.len()];
    for epoch in 1.. {
        let goes_on = |(run, trained): (&Run<'_>, &Trained)| {
            let patience = cohort.watch.as_ref().and_then(|watch| watch.patience).filter(|_| !run.watched.is_empty());
            let kept = if trained.train_loss.is_empty() { 0 } else { trained.kept_epoch };
            epoch <= run.epochs && patience.is_none_or(|patience| epoch - 1 < kept + patience)
        };
        let active: Vec<bool> = runs.iter().zip(&trained).map(goes_on).collect();
        if !active.contains(&true) {
            break;
        }
        let losses = trainer.epoch(&active)?;
        for ((trained, loss), _) in trained.iter_mut().zip(losses).zip(&active).filter(|(_, active)| **active) {
            trained.train_loss.push(loss);
        }
        let Some((watch, scorer, kept)) = &mut watching else { continue };
        let logits = scorer.logits(backend, &trainer.parameters)?;
        for (i, (trained, logits)) in trained.iter_mut().zip(&logits).enumerate() {
            if !active[i] || watched[i].is_empty() {
                continue;
            }
            let value = trained.observe(watch, watched[i], logits)?;
            // Until the watched value is defined the latest weights are kept.
            if value > best[i] || best[i] == f64::NEG_INFINITY {
                best[i] = value.max(best[i]);
                trained.kept_epoch = epoch;
                kept.copy_run(backend, &trainer.parameters, i)?;
            }
        }
    }
    for (i, trained) in trained.iter_mut().enumerate() {
        let from = match &watching {
            Some((.., kept)) if !watched[i].is_empty() => kept,
            _ => &trainer.parameters,
        };
        trained.parameters = from.download(backend, i, n_parameters)?;
    }
    Ok(trained)
}

impl Trained {
    /// Records loss and value of the watched rows, and returns the smoothed value (−∞ while undefined or too early).
    fn observe<B: Memory>(&mut self, watch: &Watch<'_, B>, rows: &[u32], logits: &[f32]) -> Result<f64> {
        let (config, data) = (&self.network.config, watch.data.data);
        let width = data.n_labels();
        let labels: Vec<f32> = rows
            .iter()
            .flat_map(|&row| &data.labels[row as usize * width..][..width])
            .map(|label| label / self.label_scale)
            .collect();
        let loss = mean_loss(config.loss(), logits, &labels)?;
        let value = watch.criterion.value(config.task, loss, logits, &labels, width).unwrap_or(f64::NEG_INFINITY);
        self.watched_loss.push(loss);
        self.watched.push(value);
        let recent = self.watched.len().checked_sub(watch.smooth.max(1)).map(|from| &self.watched[from..]);
        Ok(recent.map_or(f64::NEG_INFINITY, |values| values.iter().sum::<f64>() / values.len() as f64))
    }
}

fn mean_loss(loss: Loss, logits: &[f32], labels: &[f32]) -> Result<f64> {
    let n = logits.len();
    let row = |view| Stack::<Cpu, f32> { runs: 1, rows: n, cols: 1, stride: n, view };
    let (mut gradient, mut totals) = (vec![0.0; n], [0.0; 2]);
    let gradient = StackMut { runs: 1, rows: n, cols: 1, stride: n, view: gradient.as_mut_slice() };
    let sums = StackMut { runs: 1, rows: 1, cols: 2, stride: 2, view: totals.as_mut_slice() };
    pair_loss(&Cpu::single(), loss, row(logits), row(labels), gradient, sums)?;
    Ok(totals[0] / totals[1].max(1.0))
}
