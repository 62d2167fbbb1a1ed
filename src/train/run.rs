//! A cohort from its start values to the weights that are kept.

use super::cohort::{Cohort, Run, Trained, Watch};
use super::notes::{Note, Observed, Stand};
use super::score::Scorer;
use super::trainer::Trainer;
use crate::backend::{Cpu, Memory, Stack, StackMut};
use crate::error::{Error, Result};
use crate::models::fusion::Parameters;
use crate::ops::TrainingBackend;
use crate::ops::pair_loss::{Loss, pair_loss};

/// Trains every run of `cohort`. The results depend on data, configuration and seeds only: not on the number of threads, nor
/// on which runs advance together, nor on how often the training was stopped and went on.
///
/// # Errors
/// When a loss stops being finite, a signal arrives, or an op fails.
pub fn train<B: TrainingBackend>(backend: &B, cohort: &Cohort<'_, B>) -> Result<Vec<Trained>> {
    let (trainer, trained) = Trainer::new(backend, cohort)?;
    let network = trained.first().map(|trained| trained.network.clone());
    let watched: Vec<&[u32]> = cohort.runs.iter().map(|run| cohort.watched(run)).collect();
    let any_watched = watched.iter().any(|rows| !rows.is_empty());
    let watching = match (&cohort.watch, &network) {
        (Some(watch), Some(network)) if any_watched => {
            let scorer = Scorer::new(backend, watch.data, network, trainer.scales.clone(), &watched)?;
            let kept = Parameters::zeros(backend, cohort.runs.len(), trainer.n_parameters())?;
            Some(Watching { watch, scorer, kept })
        }
        _ => None,
    };
    let best = vec![f64::NEG_INFINITY; cohort.runs.len()];
    let mut course = Course { backend, cohort, trainer, trained, watched, watching, best };
    let mut note = Note::of(cohort);
    let mut next = 1;
    if let Some(stand) = note.as_ref().map(Note::read).transpose()?.flatten() {
        course.restore(&stand)?;
        next = stand.state.next_epoch();
    }
    let mut noted = next;
    while let Some(active) = course.active(next) {
        match (course.epoch(next, &active), &mut note) {
            (Err(Error::Interrupted), Some(note)) => {
                note.write(&course.stand()?)?;
                return Err(Error::Interrupted);
            }
            (done, _) => done?,
        }
        next += 1;
        if let Some(note) = note.as_mut().filter(|note| note.is_due()) {
            note.write(&course.stand()?)?;
            noted = next;
        }
    }
    if let Some(note) = note.as_mut().filter(|_| noted < next) {
        note.write(&course.stand()?)?;
    }
    course.finish()
}

/// A cohort on its way.
struct Course<'a, B: TrainingBackend> {
    backend: &'a B,
    cohort: &'a Cohort<'a, B>,
    trainer: Trainer<'a, B>,
    trained: Vec<Trained>,
    /// Watched rows of each run.
    watched: Vec<&'a [u32]>,
    watching: Option<Watching<'a, B>>,
    /// The best smoothed value of each run.
    best: Vec<f64>,
}

/// What is scored after each epoch, and the weights that were best.
struct Watching<'a, B: TrainingBackend> {
    watch: &'a Watch<'a, B>,
    scorer: Scorer<'a, B>,
    kept: Parameters<B, f32>,
}

impl<B: TrainingBackend> Course<'_, B> {
    /// The runs that go on with this epoch; `None` when all are done.
    fn active(&self, epoch: usize) -> Option<Vec<bool>> {
        let goes_on = |(run, trained): (&Run<'_>, &Trained)| {
            let patience = self.cohort.watch.as_ref().and_then(|watch| watch.patience);
            let patience = patience.filter(|_| !run.watched.is_empty());
            let kept = if trained.train_loss.is_empty() { 0 } else { trained.kept_epoch };
            epoch <= run.epochs && patience.is_none_or(|patience| epoch - 1 < kept + patience)
        };
        let active: Vec<bool> = self.cohort.runs.iter().zip(&self.trained).map(goes_on).collect();
        active.contains(&true).then_some(active)
    }

    fn epoch(&mut self, epoch: usize, active: &[bool]) -> Result<()> {
        let Self { backend, trainer, trained, watched, watching, best, .. } = self;
        let losses = trainer.epoch(active)?;
        for ((trained, loss), _) in trained.iter_mut().zip(losses).zip(active).filter(|(_, active)| **active) {
            trained.train_loss.push(loss);
        }
        let Some(Watching { watch, scorer, kept }) = watching else { return Ok(()) };
        let logits = scorer.logits(*backend, &trainer.parameters)?;
        for (i, (trained, logits)) in trained.iter_mut().zip(&logits).enumerate() {
            if !active[i] || watched[i].is_empty() {
                continue;
            }
            let value = trained.observe(watch, watched[i], logits)?;
            // Until the watched value is defined the latest weights are kept.
            if value > best[i] || best[i] == f64::NEG_INFINITY {
                best[i] = value.max(best[i]);
                trained.kept_epoch = epoch;
                kept.copy_run(*backend, &trainer.parameters, i)?;
            }
        }
        Ok(())
    }

    /// All that the further course depends on.
    fn stand(&self) -> Result<Stand> {
        let kept = self.watching.as_ref().map(|watching| watching.kept.download_all(self.backend)).transpose()?;
        Ok(Stand {
            state: self.trainer.state()?,
            kept: kept.unwrap_or_default(),
            best: self.best.clone(),
            observed: self.trained.iter().map(Observed::of).collect(),
        })
    }

    /// Goes on from where an earlier process of the same training stood.
    fn restore(&mut self, stand: &Stand) -> Result<()> {
        let Stand { state, kept, best, observed } = stand;
        let kept_fits = match &mut self.watching {
            Some(watching) => watching.kept.upload_all(self.backend, kept)?,
            None => kept.is_empty(),
        };
        if !kept_fits || best.len() != self.best.len() || !self.trainer.restore(state)? {
            return Err(Error::data(
                "what an earlier process left of this training is of another shape",
                "remove the unfinished folder of the model, and train again",
            ));
        }
        self.best.clone_from(best);
        self.trained.iter_mut().zip(observed).for_each(|(trained, observed)| observed.clone().restore(trained));
        Ok(())
    }

    /// The networks with the weights that are kept.
    fn finish(self) -> Result<Vec<Trained>> {
        let Self { backend, trainer, mut trained, watched, watching, .. } = self;
        for (i, trained) in trained.iter_mut().enumerate() {
            let from = match &watching {
                Some(watching) if !watched[i].is_empty() => &watching.kept,
                _ => &trainer.parameters,
            };
            trained.parameters = from.download(backend, i, trainer.n_parameters())?;
        }
        Ok(trained)
    }
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
