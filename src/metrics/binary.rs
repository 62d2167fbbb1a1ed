//! All metrics of a binary classifier.

use super::calibration::{brier, expected_calibration_error};
use super::{Confusion, Ranking, Sample, probability, ratio};

/// Names of the binary metrics, in the order of [`BinarySample::evaluate`].
pub const BINARY_NAMES: [&str; 13] = [
    "MCC",
    "accuracy",
    "F1",
    "precision",
    "recall",
    "specificity",
    "AUROC",
    "AUPRC",
    "prevalence",
    "Brier",
    "ECE",
    "EF1%",
    "BEDROC",
];

/// Labels and logits of the same rows, sorted once.
#[derive(Debug, Clone)]
pub struct BinarySample {
    labels: Vec<bool>,
    predicted: Vec<bool>,
    probabilities: Vec<f64>,
    ranking: Ranking,
    /// Whether every logit is a number.
    defined: bool,
}

impl BinarySample {
    /// Sorts the rows; a row is predicted positive when its logit ≥ `threshold`.
    ///
    /// # Panics
    /// When the two slices differ in length.
    #[must_use]
    pub fn new(labels: &[bool], logits: &[f64], threshold: f64) -> Self {
        assert_eq!(labels.len(), logits.len(), "one logit per label");
        let entries = labels.iter().zip(logits).enumerate().map(|(row, (&label, &logit))| (row as u32, label, logit));
        Self {
            labels: labels.to_vec(),
            predicted: logits.iter().map(|&logit| logit >= threshold).collect(),
            probabilities: logits.iter().map(|&logit| probability(logit)).collect(),
            ranking: Ranking::new(entries),
            defined: logits.iter().all(|logit| !logit.is_nan()),
        }
    }

    /// The rows in order of their logit.
    #[must_use]
    pub fn ranking(&self) -> &Ranking {
        &self.ranking
    }
}

impl Sample for BinarySample {
    fn names(&self) -> &'static [&'static str] {
        &BINARY_NAMES
    }

    fn n_rows(&self) -> usize {
        self.labels.len()
    }

    fn evaluate(&self, weights: &[u32]) -> Vec<Option<f64>> {
        let mut counts = Confusion::default();
        for ((&label, &predicted), &weight) in self.labels.iter().zip(&self.predicted).zip(weights) {
            counts.add(label, predicted, u64::from(weight));
        }
        let positive = (counts.true_positive + counts.false_negative) as f64;
        // A logit that is not a number is neither above nor below a threshold.
        let thresholded = |value: Option<f64>| value.filter(|_| self.defined);
        vec![
            thresholded(counts.mcc()),
            thresholded(counts.accuracy()),
            thresholded(counts.f1()),
            thresholded(counts.precision()),
            thresholded(counts.recall()),
            thresholded(counts.specificity()),
            self.ranking.auroc(weights),
            self.ranking.average_precision(weights),
            ratio(positive, counts.total() as f64),
            brier(&self.labels, &self.probabilities, weights),
            expected_calibration_error(&self.labels, &self.probabilities, weights),
            self.ranking.enrichment_at_1_percent(weights),
            self.ranking.bedroc(weights),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::binary_metrics;

    #[test]
    fn nothing_is_nan_for_odd_input() {
        let cases: [(&[bool], &[f64]); 4] =
            [(&[], &[]), (&[true], &[1.0]), (&[true, false], &[f64::NAN, 0.0]), (&[false], &[f64::NEG_INFINITY])];
        for (labels, logits) in cases {
            let metrics = binary_metrics(labels, logits, 0.0);
            assert_eq!(metrics.len(), 13);
            assert!(metrics.values().flatten().all(|value| value.is_finite()), "{metrics:?}");
        }
        assert_eq!(binary_metrics(&[true, false], &[f64::NAN, 0.0], 0.0)["MCC"], None);
        assert_eq!(binary_metrics(&[true, false], &[f64::NAN, 0.0], 0.0)["prevalence"], Some(0.5));
    }

    #[test]
    fn enrichment_takes_ties_in_input_order() {
        let labels: Vec<bool> = (0..200).map(|i| i < 2).collect();
        assert_eq!(binary_metrics(&labels, &[0.0; 200], 0.0)["EF1%"], Some(100.0));
        let last: Vec<bool> = (0..200).map(|i| i >= 198).collect();
        assert_eq!(binary_metrics(&last, &[0.0; 200], 0.0)["EF1%"], Some(0.0));
    }
}
