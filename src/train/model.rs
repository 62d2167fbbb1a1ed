//! A trained model: members, calibration, and an index of what it was trained on.

use serde::{Deserialize, Serialize};

use super::calibration::Platt;
use super::cohort::{Trained, bytes_of_run, in_cohorts};
use super::config::TrainConfig;
use super::fit::{FitPlan, FitRun, Fitted, fit};
use super::notes::TrainingNotes;
use super::resident::ResidentData;
use super::similarity::TrainIndex;
use super::stop::Stop;
use crate::backend::Cpu;
use crate::data::folds::Split;
use crate::data::{Dataset, EncoderIdentity, Entities, Pair, Task};
use crate::error::{Error, Result};
use crate::models::fusion::FusionConfig;
use crate::ops::TrainingBackend;
use crate::progress::Progress;

/// What a model says about itself: `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// How it was trained, network included.
    pub training: TrainConfig,
    /// What is predicted.
    pub task: Task,
    /// Names of the labels.
    pub label_names: Vec<String>,
    /// Who made the RNA vectors that it takes.
    pub rna_encoder: EncoderIdentity,
    /// Who made the partner vectors that it takes.
    pub partner_encoder: EncoderIdentity,
    /// Width of the RNA vectors.
    pub d_rna: usize,
    /// Width of the partner vectors.
    pub d_partner: usize,
    /// Seed of the first member; member k has seed + k.
    pub seed: u64,
    /// Pairs it was trained on.
    pub n_pairs: usize,
    /// Labels were divided by this: the largest training label of a regression, 1 otherwise.
    pub label_scale: f32,
}

/// A trained ensemble of one or more members.
#[derive(Debug, Clone)]
pub struct Model {
    /// What it says about itself.
    pub config: ModelConfig,
    /// The members.
    pub members: Vec<Trained>,
    /// One calibration per label, `None` where it could not be fitted or for a regression.
    pub calibration: Vec<Option<Platt>>,
    /// Training RNAs.
    pub rna_index: TrainIndex,
    /// Training partners.
    pub partner_index: TrainIndex,
}

impl ModelConfig {
    /// The network's shape.
    #[must_use]
    pub fn network(&self) -> FusionConfig {
        self.training.network.for_data(self.d_partner, self.d_rna, self.label_names.len(), self.task)
    }
}

impl Model {
    /// Trains `members` networks on all pairs of `data`: each sees the same inner part and starts from its own seed.
    ///
    /// Calibration is fitted on the inner part, on the mean logit of networks that never trained on it. Where the
    /// stopping rule trains on it too, one more network is trained that does not.
    ///
    /// With `notes` a training that was stopped goes on where it was.
    ///
    /// # Errors
    /// What [`fit`] reports.
    pub fn train<B: TrainingBackend + Sync>(
        backend: &B,
        data: &Dataset,
        config: &TrainConfig,
        members: usize,
        seed: u64,
        notes: Option<&TrainingNotes>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let split = Split::without_test(data, config.inner, seed)?;
        let inner = &split.inner;
        let mut runs: Vec<FitRun<'_>> = (0..members as u64)
            .map(|member| FitRun { train: &split.train, inner, seed: seed.wrapping_add(member) })
            .collect();
        if config.stop == Stop::Fixed && data.task != Task::Regression {
            runs.push(FitRun { train: &split.train, inner: &[], seed });
        }
        progress.begin("training", "networks", Some(runs.len() as u64));
        let resident = ResidentData::new(backend, data)?;
        let bytes = bytes_of_run(&config.fusion_config(data), config.batch);
        let mut fitted: Vec<Fitted> = in_cohorts(backend, runs.len(), bytes, |cohort| {
            let runs = &runs[cohort];
            let fitted = fit(backend, &FitPlan { data: &resident, config, runs, notes });
            progress.advance(runs.len() as u64);
            fitted
        })?;
        progress.finish();
        let held_back = match fitted.get(members) {
            Some(extra) => vec![extra.trained.predict(backend, &resident, inner)?],
            None => fitted.iter_mut().map(|fitted| std::mem::take(&mut fitted.inner_predictions)).collect(),
        };
        fitted.truncate(members);
        let calibration = calibrate(data, inner, &held_back);
        let members: Vec<Trained> = fitted.into_iter().map(|f| f.trained).collect();
        let used = |of: fn(&Pair) -> u32| -> Vec<u32> {
            let mut entities: Vec<u32> = data.pairs.iter().map(of).collect();
            entities.sort_unstable();
            entities.dedup();
            entities
        };
        Ok(Self {
            config: ModelConfig {
                training: config.clone(),
                task: data.task,
                label_names: data.label_names.clone(),
                rna_encoder: data.rna.encoder.clone(),
                partner_encoder: data.partner.encoder.clone(),
                d_rna: data.rna.dim(),
                d_partner: data.partner.dim(),
                seed,
                n_pairs: data.len(),
                label_scale: members.first().map_or(1.0, |member| member.label_scale),
            },
            members,
            calibration,
            rna_index: TrainIndex::new(&Cpu::all_threads(), &data.rna, &used(|pair| pair.rna))?,
            partner_index: TrainIndex::new(&Cpu::all_threads(), &data.partner, &used(|pair| pair.partner))?,
        })
    }

    /// Refuses vectors of another encoder or width, unless `accepted` names the encoder.
    ///
    /// # Errors
    /// [`Error::Usage`] that names both encoders.
    pub fn check_encoders(&self, rna: &Entities, partner: &Entities, accepted: &[String]) -> Result<()> {
        for (side, entities, encoder, dim) in [
            ("RNA", rna, &self.config.rna_encoder, self.config.d_rna),
            ("partner", partner, &self.config.partner_encoder, self.config.d_partner),
        ] {
            if entities.dim() != dim {
                return Err(Error::data(
                    format!("the model takes {side} vectors of width {dim}, the store has width {}", entities.dim()),
                    format!("embed the {side} sequences with the encoder '{}'", encoder.name),
                ));
            }
            if entities.encoder != *encoder && !accepted.contains(&entities.encoder.name) {
                return Err(Error::usage(
                    format!(
                        "the model was trained on {side} vectors of '{}' ({}, {}), the store has '{}' ({}, {})",
                        encoder.name,
                        encoder.pooling,
                        short(&encoder.digest),
                        entities.encoder.name,
                        entities.encoder.pooling,
                        short(&entities.encoder.digest)
                    ),
                    format!("use the same encoder, or --accept-encoder {} if they are the same", entities.encoder.name),
                ));
            }
        }
        Ok(())
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// Platt's calibration per label, on the mean logit of the members.
fn calibrate(data: &Dataset, inner: &[u32], predictions: &[Vec<f32>]) -> Vec<Option<Platt>> {
    let width = data.n_labels();
    if data.task == Task::Regression {
        return vec![None; width];
    }
    let mean = |i: usize| predictions.iter().map(|p| f64::from(p[i])).sum::<f64>() / predictions.len() as f64;
    let of_label = |label: usize| {
        let known = inner.iter().enumerate().filter_map(|(i, &row)| {
            let y = data.labels[row as usize * width + label];
            (!y.is_nan()).then(|| (mean(i * width + label), y > 0.5))
        });
        let (logits, labels): (Vec<f64>, Vec<bool>) = known.unzip();
        Platt::fit(&logits, &labels)
    };
    (0..width).map(of_label).collect()
}
