//! Where trainings stand, on disk: one that was stopped goes on from there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::cohort::{Cohort, Trained};
use super::config::TrainConfig;
use super::trainer::State;
use crate::backend::Memory;
use crate::data::{Dataset, Entities};
use crate::error::Result;
use crate::files::words::{WordWriter, Words};
use crate::files::{OutputFolder, ProgressFolder};

/// The notes of all cohorts of a training.
pub struct TrainingNotes {
    folder: ProgressFolder,
    every: Duration,
    /// Epochs that an earlier process had done.
    resumed: AtomicUsize,
}

/// Where a cohort stands.
pub(super) struct Stand {
    pub state: State,
    /// The weights that are kept, where there are watched pairs.
    pub kept: Vec<f32>,
    /// The best smoothed value of each run.
    pub best: Vec<f64>,
    /// What has been observed of each run.
    pub observed: Vec<Observed>,
}

/// What has been observed of a run.
#[derive(Clone)]
pub(super) struct Observed {
    pub train_loss: Vec<f64>,
    pub watched_loss: Vec<f64>,
    pub watched: Vec<f64>,
    pub kept_epoch: usize,
}

impl Observed {
    pub fn of(trained: &Trained) -> Self {
        let Trained { train_loss, watched_loss, watched, kept_epoch, .. } = trained;
        let (train_loss, watched_loss, watched) = (train_loss.clone(), watched_loss.clone(), watched.clone());
        Self { train_loss, watched_loss, watched, kept_epoch: *kept_epoch }
    }

    pub fn restore(self, trained: &mut Trained) {
        let Self { train_loss, watched_loss, watched, kept_epoch } = self;
        (trained.train_loss, trained.watched_loss) = (train_loss, watched_loss);
        (trained.watched, trained.kept_epoch) = (watched, kept_epoch);
    }
}

impl TrainingNotes {
    /// The notes of the checkpoint of a model's folder, written `every` so often. They are read again by a training of the
    /// same data and configuration on the same `device` only: another one rounds otherwise.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn within(
        folder: &mut OutputFolder,
        data: &Dataset,
        config: &TrainConfig,
        device: &str,
        every: Duration,
    ) -> Result<Self> {
        folder.checkpoint(serde_json::Value::Null)?;
        let folder = ProgressFolder::within(folder, key_of(data, config, device))?;
        Ok(Self { folder, every, resumed: AtomicUsize::new(0) })
    }

    /// True when there is nothing to go on with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.folder.is_empty()
    }

    /// Epochs that were not done again, those of all networks together.
    #[must_use]
    pub fn resumed_epochs(&self) -> usize {
        self.resumed.load(Ordering::Relaxed)
    }
}

/// The note of one cohort.
pub(super) struct Note<'a> {
    notes: &'a TrainingNotes,
    name: String,
    written: Instant,
}

impl<'a> Note<'a> {
    pub fn of<B: Memory>(cohort: &Cohort<'a, B>) -> Option<Self> {
        let notes = cohort.notes?;
        Some(Self { notes, name: name_of(cohort), written: Instant::now() })
    }

    /// Where an earlier process stopped.
    pub fn read(&self) -> Result<Option<Stand>> {
        let stand = self.notes.folder.read(&self.name)?.and_then(|bytes| parse(&bytes));
        let epochs = stand.iter().flat_map(|stand| &stand.observed).map(|observed| observed.train_loss.len()).sum();
        self.notes.resumed.fetch_add(epochs, Ordering::Relaxed);
        Ok(stand)
    }

    pub fn is_due(&self) -> bool {
        self.written.elapsed() >= self.notes.every
    }

    pub fn write(&mut self, stand: &Stand) -> Result<()> {
        self.written = Instant::now();
        self.notes.folder.write(&self.name, bytes_of(stand))
    }
}

/// Digest of what all cohorts depend on.
fn key_of(data: &Dataset, config: &TrainConfig, device: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{} {device} {config:?} {:?}", env!("CARGO_PKG_VERSION"), data.task).as_bytes());
    for entities in [&data.rna, &data.partner] {
        hash_vectors(&mut hasher, entities);
    }
    for pair in &data.pairs {
        hasher.update(bytemuck::bytes_of(&[pair.rna, pair.partner]));
    }
    hasher.update(bytemuck::cast_slice(&data.labels));
    *hasher.finalize().as_bytes()
}

fn hash_vectors(hasher: &mut blake3::Hasher, entities: &Entities) {
    let mut vector = vec![0.0; entities.dim()];
    hasher.update(format!("{} {}", entities.len(), entities.dim()).as_bytes());
    for entity in 0..entities.len() {
        entities.copy_vector(entity, &mut vector);
        hasher.update(bytemuck::cast_slice(&vector));
    }
}

/// The name of the note of a cohort: digest of what its runs do.
fn name_of<B: Memory>(cohort: &Cohort<'_, B>) -> String {
    let mut hasher = blake3::Hasher::new();
    let rule = cohort.watch.as_ref().map(|watch| (watch.criterion, watch.smooth, watch.patience));
    hasher.update(format!("{:?} {rule:?}", cohort.start).as_bytes());
    for run in cohort.runs {
        hasher.update(format!("{} {} {} {}", run.seed, run.epochs, run.rows.len(), run.watched.len()).as_bytes());
        hasher.update(bytemuck::cast_slice(run.rows));
        hasher.update(bytemuck::cast_slice(run.watched));
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

fn bytes_of(stand: &Stand) -> Vec<u8> {
    let State { epoch, under_way, steps, totals, parameters, moments } = &stand.state;
    let mut bytes = WordWriter::default();
    bytes.number(*epoch as u64);
    bytes.number(under_way.map_or(0, |segment| segment as u64 + 1));
    bytes.array(steps);
    bytes.array(totals);
    for values in [parameters, &moments[0], &moments[1], &stand.kept] {
        bytes.array(values);
    }
    bytes.array(&stand.best);
    for observed in &stand.observed {
        bytes.array(&observed.train_loss);
        bytes.array(&observed.watched_loss);
        bytes.array(&observed.watched);
        bytes.number(observed.kept_epoch as u64);
    }
    bytes.finish()
}

fn parse(bytes: &[u8]) -> Option<Stand> {
    let mut words = Words(bytes);
    let (epoch, under_way) = (words.number()? as usize, words.number()?.checked_sub(1).map(|segment| segment as usize));
    let (steps, totals) = (words.array()?, words.array()?);
    let [parameters, first, second, kept] = [words.array()?, words.array()?, words.array()?, words.array()?];
    let best: Vec<f64> = words.array()?;
    let observed = best.iter().map(|_| {
        Some(Observed {
            train_loss: words.array()?,
            watched_loss: words.array()?,
            watched: words.array()?,
            kept_epoch: words.number()? as usize,
        })
    });
    let observed = observed.collect::<Option<_>>()?;
    let state = State { epoch, under_way, steps, totals, parameters, moments: [first, second] };
    Some(Stand { state, kept, best, observed })
}
