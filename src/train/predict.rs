//! Predictions of an ensemble, with all that helps to judge them.

use rustc_hash::FxHashMap;

use super::cohort::Trained;
use super::model::Model;
use super::standardise::SideScale;
use crate::data::{Dataset, Entities, Side, Task};
use crate::error::Result;
use crate::models::fusion::FusionInference;
use crate::ops::gated_fusion::GatedFusion;

/// One prediction of one label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Mean probability over the members, or mean value of a regression.
    pub score: f64,
    /// Mean logit over the members; the value itself in a regression.
    pub logit: f64,
    /// Calibrated probability; `None` for a regression or without a calibration.
    pub probability: Option<f64>,
    /// SD of the score over members (ddof 1); `None` for one member.
    pub spread: Option<f64>,
    /// Mean share of the partner in the gate; `None` for a concatenation.
    pub gate_mean: Option<f64>,
}

/// A model on a device, ready to score pairs.
pub struct Scoring<'a, B: GatedFusion> {
    /// The model.
    pub model: &'a Model,
    backend: &'a B,
    members: Vec<FusionInference<B, f32>>,
}

/// What the members say of pairs.
struct Outputs {
    /// Of each member `[n, n_labels]`: logits, or values in the unit of the labels.
    logits: Vec<Vec<f32>>,
    /// Mean share of the partner over the members, where there is a gate.
    gate_mean: Option<Vec<f64>>,
}

impl<'a, B: GatedFusion> Scoring<'a, B> {
    /// Takes the parameters of all members to the device.
    ///
    /// # Errors
    /// What the device reports.
    pub fn new(model: &'a Model, backend: &'a B) -> Result<Self> {
        let member = |member: &Trained| FusionInference::new(backend, &member.network, &member.parameters);
        Ok(Self { model, backend, members: model.members.iter().map(member).collect::<Result<_>>()? })
    }

    /// Pairs that are worth a call of the device.
    #[must_use]
    pub fn pairs_together(&self) -> usize {
        self.backend.pairs_together()
    }

    /// Predictions of `rows` of `data`, `[n, n_labels]`.
    ///
    /// # Errors
    /// What the ops report.
    pub fn predict(&self, data: &Dataset, rows: &[u32]) -> Result<Vec<Prediction>> {
        let model = self.model;
        let width = model.config.label_names.len();
        let n = self.members.len() as f64;
        let outputs = self.outputs(data, rows)?;
        let predict = |i: usize| {
            let logit = outputs.logits.iter().map(|member| f64::from(member[i])).sum::<f64>() / n;
            let mean = model.mean_score(&outputs.logits, i);
            let square = outputs.logits.iter().map(|member| (model.score_of(member[i]) - mean).powi(2)).sum::<f64>();
            Prediction {
                score: mean,
                logit,
                probability: model.calibration[i % width].map(|platt| platt.probability(logit)),
                spread: (outputs.logits.len() > 1).then(|| (square / (n - 1.0)).sqrt()),
                gate_mean: outputs.gate_mean.as_ref().map(|means| means[i / width]),
            }
        };
        Ok((0..rows.len() * width).map(predict).collect())
    }

    fn outputs(&self, data: &Dataset, rows: &[u32]) -> Result<Outputs> {
        let partner = Table::of(&data.partner, rows.iter().map(|&row| data.pairs[row as usize].entity(Side::Partner)));
        let rna = Table::of(&data.rna, rows.iter().map(|&row| data.pairs[row as usize].entity(Side::Rna)));
        let pairs: Vec<[u32; 2]> = partner.places.iter().zip(&rna.places).map(|(&a, &b)| [a, b]).collect();
        let mut outputs = Outputs { logits: Vec::with_capacity(self.members.len()), gate_mean: None };
        for (member, trained) in self.members.iter().zip(&self.model.members) {
            let (a, b) = (partner.standardised(&trained.scale.partner), rna.standardised(&trained.scale.rna));
            let mut found = member.score(self.backend, &a, &b, &pairs, true)?;
            if self.model.config.task == Task::Regression {
                found.logits.iter_mut().for_each(|z| *z *= trained.label_scale);
            }
            outputs.logits.push(found.logits);
            if let Some(means) = found.gate_mean {
                let sums = outputs.gate_mean.get_or_insert_with(|| vec![0.0; rows.len()]);
                let n = self.members.len() as f64;
                sums.iter_mut().zip(means).for_each(|(sum, mean)| *sum += f64::from(mean) / n);
            }
        }
        Ok(outputs)
    }
}

impl Model {
    fn mean_score(&self, outputs: &[Vec<f32>], i: usize) -> f64 {
        outputs.iter().map(|member| self.score_of(member[i])).sum::<f64>() / outputs.len() as f64
    }

    fn score_of(&self, output: f32) -> f64 {
        match self.config.task {
            Task::Regression => f64::from(output),
            Task::Binary | Task::MultiLabel => 1.0 / (1.0 + f64::from(-output).exp()),
        }
    }
}

/// Vectors of entities, each once.
struct Table {
    dim: usize,
    vectors: Vec<f32>,
    /// Row of each entity that was asked for.
    places: Vec<u32>,
}

impl Table {
    fn of(entities: &Entities, wanted: impl Iterator<Item = usize>) -> Self {
        let dim = entities.dim();
        let (mut vectors, mut known) = (Vec::new(), FxHashMap::default());
        let mut place = |entity: usize| {
            let next = known.len() as u32;
            *known.entry(entity).or_insert_with(|| {
                let start = vectors.len();
                vectors.resize(start + dim, 0.0);
                entities.copy_vector(entity, &mut vectors[start..]);
                next
            })
        };
        let places = wanted.map(&mut place).collect();
        Self { dim, vectors, places }
    }

    fn standardised(&self, scale: &SideScale) -> Vec<f32> {
        let mut vectors = self.vectors.clone();
        vectors.chunks_exact_mut(self.dim).for_each(|vector| scale.apply(vector));
        vectors
    }
}
