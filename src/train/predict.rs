//! Predictions of an ensemble, with all that helps to judge them.

use super::batch::gate_shares;
use super::model::Model;
use crate::data::{Dataset, Task};
use crate::error::Result;
use crate::ops::TrainingBackend;

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

impl Model {
    /// Predictions of `rows` of `data`, `[n, n_labels]`.
    ///
    /// # Errors
    /// What the ops report.
    pub fn predict<B: TrainingBackend>(&self, backend: &B, data: &Dataset, rows: &[u32]) -> Result<Vec<Prediction>> {
        let width = self.config.label_names.len();
        let n = self.members.len() as f64;
        let mut outputs = Vec::with_capacity(self.members.len());
        let mut gates = vec![0.0; rows.len()];
        let mut gated = false;
        for member in &self.members {
            outputs.push(member.predict(backend, data, rows)?);
            if let Some(share) = gate_shares(backend, member, data, rows)? {
                gated = true;
                gates.iter_mut().zip(share.mean).for_each(|(sum, share)| *sum += share / n);
            }
        }
        let predict = |i: usize| {
            let logit = outputs.iter().map(|member| f64::from(member[i])).sum::<f64>() / n;
            let mean = self.mean_score(&outputs, i);
            let square = outputs.iter().map(|member| (self.score_of(member[i]) - mean).powi(2)).sum::<f64>();
            Prediction {
                score: mean,
                logit,
                probability: self.calibration[i % width].map(|platt| platt.probability(logit)),
                spread: (outputs.len() > 1).then(|| (square / (n - 1.0)).sqrt()),
                gate_mean: gated.then(|| gates[i / width]),
            }
        };
        Ok((0..rows.len() * width).map(predict).collect())
    }
    /// [`Prediction::score`] alone, `[n, n_labels]`: the same numbers in less time, for screening.
    ///
    /// # Errors
    /// What the ops report.
    pub fn scores<B: TrainingBackend>(&self, backend: &B, data: &Dataset, rows: &[u32]) -> Result<Vec<f64>> {
        let outputs: Result<Vec<_>> = self.members.iter().map(|member| member.predict(backend, data, rows)).collect();
        let outputs = outputs?;
        Ok((0..rows.len() * self.config.label_names.len()).map(|i| self.mean_score(&outputs, i)).collect())
    }

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
