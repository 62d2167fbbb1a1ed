//! Every training and every baseline of an evaluation, side by side or together as the device is; the result depends on
//! none of that.

use rayon::prelude::*;

use super::baselines::{self, Baseline};
use super::networks::Networks;
use super::result::{History, Role};
use crate::data::folds::Plan;
use crate::data::{Dataset, Task};
use crate::error::Result;
use crate::models::fusion::{Fusion, GateShare};
use crate::ops::TrainingBackend;
use crate::progress::{Progress, check_interrupt};
use crate::train::{TrainConfig, Trained};

/// How epochs are chosen and what is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Stopping, threshold and calibration see an inner part of the training fold only.
    Honest,
    /// The published recipe: the epoch with the best score on the evaluation fold itself. Optimistic.
    Paper,
}

impl Protocol {
    /// Name as flags and files spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Paper => "paper",
        }
    }
}

/// What is evaluated.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Training data, and test data where there is no separate set.
    pub data: &'a Dataset,
    /// The separate test set of a train→test evaluation.
    pub test: Option<&'a Dataset>,
    /// Who trains and who is tested.
    pub plan: &'a Plan,
    /// How to train.
    pub config: &'a TrainConfig,
    /// Fusions, the main network first.
    pub fusions: &'a [Fusion],
    /// Protocol.
    pub protocol: Protocol,
    /// Predicted value from which a pair counts as positive, where a regression is tested on classes.
    pub active_from: f64,
}

impl<'a> Request<'a> {
    /// The data whose rows [`Split::test`](crate::data::folds::Split::test) names.
    #[must_use]
    pub fn tested(&self) -> &'a Dataset {
        self.test.unwrap_or(self.data)
    }

    /// True when a regression is tested on classes: predicted values rank the pairs, and count as positive from
    /// [`active_from`](Self::active_from) on.
    #[must_use]
    pub fn is_thresholded(&self) -> bool {
        self.data.task == Task::Regression && self.tested().task == Task::Binary
    }
}

/// Predictions of one model in one training.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Index into the plan's trainings.
    pub split: usize,
    /// Logits, or values of a regression, `[n_test, n_labels]`.
    pub predictions: Vec<f64>,
    /// Logit threshold of best MCC on the inner part; binary with an inner part only.
    pub threshold: Option<f64>,
}

/// Predictions of one model in every training that it took part in.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRun {
    /// Short stable name.
    pub name: String,
    /// Name for people.
    pub label: String,
    /// What it is in the table.
    pub role: Role,
    /// In the order of the plan.
    pub parts: Vec<Part>,
}

/// All that was run.
#[derive(Debug, Clone)]
pub struct Runs {
    /// Networks, baselines, control.
    pub models: Vec<ModelRun>,
    /// Training curves of the main network.
    pub histories: Vec<History>,
    /// The gate of the main network on the test pairs of each training.
    pub gates: Vec<GateShare>,
    /// Trainable parameters of the main network.
    pub parameters: usize,
}

/// One unit of work.
enum Job {
    /// A cohort of networks on these trainings of the plan.
    Networks {
        fusion: usize,
        splits: Vec<usize>,
    },
    /// The same on shuffled labels.
    Shuffled {
        splits: Vec<usize>,
    },
    Baseline {
        baseline: usize,
        split: usize,
    },
}

/// What a unit of work brings.
pub(super) struct Outcome {
    pub part: Part,
    pub trained: Option<Trained>,
    pub gate: Option<GateShare>,
}

/// Runs everything: networks on `backend`, baselines on the CPU.
///
/// # Errors
/// The first failure of a training or baseline; [`Interrupted`](crate::error::Error::Interrupted) after a signal.
pub fn run<B: TrainingBackend + Sync>(backend: &B, request: &Request<'_>, progress: &dyn Progress) -> Result<Runs> {
    let n_splits = request.plan.trainings.len();
    let baselines = baselines::all(request.data.task);
    let first_seed = request.plan.trainings.first().map(|split| split.seed);
    let networks = Networks::new(backend, request)?;
    let together = networks.together()?;
    let all: Vec<usize> = (0..n_splits).collect();
    let cohorts =
        |splits: &[usize]| -> Vec<Vec<usize>> { splits.chunks(together.unwrap_or(1)).map(<[usize]>::to_vec).collect() };
    let mut jobs: Vec<Job> = Vec::new();
    for fusion in 0..request.fusions.len() {
        jobs.extend(cohorts(&all).into_iter().map(|splits| Job::Networks { fusion, splits }));
    }
    // Chance is seen well enough from one seed.
    let first: Vec<usize> = (0..n_splits).filter(|&s| Some(request.plan.trainings[s].seed) == first_seed).collect();
    jobs.extend(cohorts(&first).into_iter().map(|splits| Job::Shuffled { splits }));
    let n_networks = jobs.len();
    for baseline in 0..baselines.len() {
        jobs.extend((0..n_splits).map(|split| Job::Baseline { baseline, split }));
    }

    let n_fits = (request.fusions.len() + baselines.len()) * n_splits + first.len();
    progress.begin("evaluating", "fits", Some(n_fits as u64));
    let work = |job: &Job| {
        check_interrupt()?;
        let outcomes = match job {
            Job::Networks { fusion, splits } => networks.outcomes(request.fusions[*fusion], *fusion == 0, splits),
            Job::Shuffled { splits } => networks.shuffled(splits),
            Job::Baseline { baseline, split } => {
                baseline_part(request, baselines[*baseline].as_ref(), *split).map(|outcome| vec![outcome])
            }
        }?;
        progress.advance(outcomes.len() as u64);
        Ok(outcomes)
    };
    let side_by_side = |jobs: &[Job]| jobs.par_iter().with_max_len(1).map(work).collect::<Result<Vec<_>>>();
    let outcomes = if together.is_none() {
        side_by_side(&jobs)?
    } else {
        let (of_networks, of_baselines) = jobs.split_at(n_networks);
        let (networks, baselines) =
            rayon::join(|| of_networks.iter().map(work).collect::<Result<Vec<_>>>(), || side_by_side(of_baselines));
        [networks?, baselines?].into_iter().flatten().collect()
    };
    progress.finish();
    let mut outcomes = outcomes.into_iter().flatten();
    let mut take = |n: usize| outcomes.by_ref().take(n).collect::<Vec<Outcome>>();

    let mut runs = Runs { models: Vec::new(), histories: Vec::new(), gates: Vec::new(), parameters: 0 };
    for (i, fusion) in request.fusions.iter().enumerate() {
        let outcomes = take(n_splits);
        if i == 0 {
            runs.histories = histories(request, &outcomes);
            runs.gates = outcomes.iter().filter_map(|o| o.gate.clone()).collect();
            runs.parameters = outcomes.iter().find_map(|o| o.trained.as_ref()).map_or(0, |t| t.parameters.len());
        }
        let role = if i == 0 { Role::Network } else { Role::Ablation };
        runs.models.push(model(fusion.name(), &format!("BioLLMNet, {}", fusion.label()), role, outcomes));
    }
    let control = take(first.len());
    for baseline in &baselines {
        runs.models.push(model(baseline.name(), baseline.label(), Role::Baseline, take(n_splits)));
    }
    runs.models.push(model("shuffled", "network on shuffled labels", Role::Control, control));
    Ok(runs)
}

fn model(name: &str, label: &str, role: Role, outcomes: Vec<Outcome>) -> ModelRun {
    let parts = outcomes.into_iter().map(|outcome| outcome.part).collect();
    ModelRun { name: name.to_owned(), label: label.to_owned(), role, parts }
}

/// A baseline, label by label.
fn baseline_part(request: &Request<'_>, baseline: &dyn Baseline, index: usize) -> Result<Outcome> {
    let split = &request.plan.trainings[index];
    let (tested, rows) = (request.tested(), split.outer());
    let n_labels = request.data.n_labels();
    let mut predictions = vec![0.0; split.test.len() * n_labels];
    for label in 0..n_labels {
        let column = if n_labels == 1 {
            baseline.predict((request.data, &rows), (tested, &split.test))?
        } else {
            let (data, tested) = (request.data.single_label(label), tested.single_label(label));
            let known: Vec<u32> = rows.iter().copied().filter(|&row| !data.label(row as usize).is_nan()).collect();
            baseline.predict((&data, &known), (&tested, &split.test))?
        };
        for (row, value) in column.into_iter().enumerate() {
            predictions[row * n_labels + label] = value;
        }
    }
    Ok(Outcome { part: Part { split: index, predictions, threshold: None }, trained: None, gate: None })
}

fn histories(request: &Request<'_>, outcomes: &[Outcome]) -> Vec<History> {
    let of = |outcome: &Outcome| {
        let split = &request.plan.trainings[outcome.part.split];
        outcome.trained.as_ref().map(|trained| History {
            seed: split.seed,
            fold: split.fold,
            train_loss: trained.train_loss.clone(),
            inner_loss: trained.watched_loss.clone(),
            watched: trained.watched.clone(),
            kept_epoch: trained.kept_epoch,
        })
    };
    outcomes.iter().filter_map(of).collect()
}
