//! The networks of an evaluation, and the control on shuffled labels.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::run::{Outcome, Part, Protocol, Request};
use crate::data::folds::Split;
use crate::data::{Dataset, Task};
use crate::error::Result;
use crate::metrics::Ranking;
use crate::models::fusion::Fusion;
use crate::ops::TrainingBackend;
use crate::train::{
    Cohort, Criterion, FitPlan, FitRun, OutputStart, ResidentData, Run, TrainConfig, Trained, Watch, bytes_of_run, fit,
    train,
};

/// A request whose data lies on a device.
pub(super) struct Networks<'a, B: TrainingBackend> {
    backend: &'a B,
    request: &'a Request<'a>,
    data: ResidentData<'a, B>,
    /// The separate test set.
    test: Option<ResidentData<'a, B>>,
}

/// Rows of one training, in the data that its cohort trains on.
struct Rows {
    train: Vec<u32>,
    inner: Vec<u32>,
    outer: Vec<u32>,
}

impl<'a, B: TrainingBackend> Networks<'a, B> {
    pub fn new(backend: &'a B, request: &'a Request<'a>) -> Result<Self> {
        let test = request.test.map(|test| ResidentData::new(backend, test)).transpose()?;
        Ok(Self { backend, request, data: ResidentData::new(backend, request.data)?, test })
    }

    /// Trainings that the device advances together; `None` where each is a cohort of its own.
    pub fn together(&self) -> Result<Option<usize>> {
        // The widest fusion has the most parameters.
        let bytes = self.request.fusions.iter().map(|&fusion| {
            let config = self.request.config.with_fusion(fusion);
            bytes_of_run(&config.fusion_config(self.request.data), config.batch)
        });
        self.backend.runs_together(bytes.max().unwrap_or(0))
    }

    /// A cohort of trainings; what the gate does and how the training went only of the main network.
    pub fn outcomes(&self, fusion: Fusion, main: bool, splits: &[usize]) -> Result<Vec<Outcome>> {
        self.cohort(&self.data, fusion, main, splits, 0)
    }

    /// The main network on labels that were shuffled among the training rows of each split.
    pub fn shuffled(&self, splits: &[usize]) -> Result<Vec<Outcome>> {
        let data = self.request.data;
        // Each training has the pairs to itself, one copy of all after the other.
        let (pairs, labels) = (data.pairs.repeat(splits.len()), Vec::with_capacity(data.labels.len() * splits.len()));
        let mut copies = Dataset { pairs, labels, ..data.clone() };
        for &split in splits {
            copies.labels.extend(shuffled_labels(data, &self.request.plan.trainings[split]));
        }
        let resident = self.data.of_same_entities(self.backend, &copies)?;
        let mut outcomes = self.cohort(&resident, self.request.fusions[0], false, splits, data.len() as u32)?;
        for outcome in &mut outcomes {
            outcome.part.threshold = None;
        }
        Ok(outcomes)
    }

    /// Trains on the splits; the pairs of each begin `shift` pairs after those of the one before.
    fn cohort(
        &self,
        data: &ResidentData<'_, B>,
        fusion: Fusion,
        main: bool,
        splits: &[usize],
        shift: u32,
    ) -> Result<Vec<Outcome>> {
        let (backend, request) = (self.backend, self.request);
        let tested = self.test.as_ref().unwrap_or(&self.data);
        let config = request.config.with_fusion(fusion);
        let trainings: Vec<&Split> = splits.iter().map(|&split| &request.plan.trainings[split]).collect();
        let rows = |(copy, split): (u32, &&Split)| {
            let shifted = |rows: &[u32]| rows.iter().map(|row| row + copy * shift).collect();
            Rows { train: shifted(&split.train), inner: shifted(&split.inner), outer: shifted(&split.outer()) }
        };
        let rows: Vec<Rows> = (0..).zip(&trainings).map(rows).collect();
        let fitted = match request.protocol {
            Protocol::Honest => self.honest(data, &config, &trainings, &rows)?,
            Protocol::Paper => self.paper(data, &config, &trainings, &rows)?,
        };
        let outcome = |((&index, rows), (trained, inner)): ((&usize, &Rows), (Trained, Vec<f32>))| {
            let test = &request.plan.trainings[index].test;
            let predictions = trained.predict(backend, tested, test)?;
            let gate = if main { trained.gate_shares(backend, tested, test)? } else { None };
            let part = Part {
                split: index,
                predictions: predictions.into_iter().map(f64::from).collect(),
                threshold: inner_threshold(data.data, &rows.inner, &inner),
            };
            Ok(Outcome { part, trained: main.then_some(trained), gate })
        };
        splits.iter().zip(&rows).zip(fitted).map(outcome).collect()
    }

    /// Networks and what they say of their inner parts.
    fn honest(
        &self,
        data: &ResidentData<'_, B>,
        config: &TrainConfig,
        trainings: &[&Split],
        rows: &[Rows],
    ) -> Result<Vec<(Trained, Vec<f32>)>> {
        let runs: Vec<FitRun<'_>> = trainings
            .iter()
            .zip(rows)
            .map(|(split, rows)| FitRun { train: &rows.train, inner: &rows.inner, seed: training_seed(split) })
            .collect();
        let fitted = fit(self.backend, &FitPlan { data, config, runs: &runs, notes: None })?;
        Ok(fitted.into_iter().map(|fitted| (fitted.trained, fitted.inner_predictions)).collect())
    }

    /// The published recipe: the epoch that is best on the tested pairs.
    fn paper(
        &self,
        data: &ResidentData<'_, B>,
        config: &TrainConfig,
        trainings: &[&Split],
        rows: &[Rows],
    ) -> Result<Vec<(Trained, Vec<f32>)>> {
        let tested = self.test.as_ref().unwrap_or(&self.data);
        let watch = Watch { data: tested, criterion: Criterion::Skill, smooth: 1, patience: None };
        let runs: Vec<Run<'_>> = trainings
            .iter()
            .zip(rows)
            .map(|(split, rows)| Run {
                rows: &rows.outer,
                watched: &split.test,
                epochs: config.epochs,
                seed: training_seed(split),
            })
            .collect();
        let cohort = Cohort { data, config, start: OutputStart::Drawn, watch: Some(watch), runs: &runs, notes: None };
        Ok(train(self.backend, &cohort)?.into_iter().map(|trained| (trained, Vec::new())).collect())
    }
}

/// Seed of a training: its own stream for every seed and fold of the plan.
fn training_seed(split: &Split) -> u64 {
    // SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014) keeps neighbouring seeds apart.
    let mut z = split.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(split.fold as u64 + 1);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The labels of `data`, shuffled among the training rows of `split`.
fn shuffled_labels(data: &Dataset, split: &Split) -> Vec<f32> {
    let width = data.n_labels();
    let rows = split.outer();
    let mut from = rows.clone();
    from.shuffle(&mut ChaCha8Rng::seed_from_u64(training_seed(split) ^ 0x005A_FF1E));
    let mut labels = data.labels.clone();
    for (&to, &from) in rows.iter().zip(&from) {
        labels[to as usize * width..][..width].copy_from_slice(&data.labels[from as usize * width..][..width]);
    }
    labels
}

/// Threshold of best MCC on the inner part; `None` where there is no inner part or no class to separate.
fn inner_threshold(data: &Dataset, inner: &[u32], predictions: &[f32]) -> Option<f64> {
    if data.task != Task::Binary || predictions.is_empty() {
        return None;
    }
    let rows = inner.iter().zip(predictions).enumerate();
    let entries = rows.map(|(i, (&row, &logit))| (i as u32, data.label(row as usize) > 0.5, f64::from(logit)));
    Ranking::new(entries).best_mcc_threshold()
}
