//! All metrics of a regression.

use super::{Confusion, Sample, ratio};

/// pKd from which an affinity counts as active.
pub const ACTIVE_AFFINITY: f64 = 4.0;

/// Names of the regression metrics, in the order of [`RegressionSample::evaluate`].
pub const REGRESSION_NAMES: [&str; 6] = ["Pearson", "Spearman", "MAE", "RMSE", "R2", "MCC@4"];

/// Labels and predictions of the same rows, sorted once.
#[derive(Debug, Clone)]
pub struct RegressionSample {
    labels: Vec<f64>,
    predictions: Vec<f64>,
    label_order: Vec<u32>,
    prediction_order: Vec<u32>,
    /// Whether every value is finite.
    defined: bool,
}

impl RegressionSample {
    /// Sorts the rows.
    ///
    /// # Panics
    /// When the two slices differ in length.
    #[must_use]
    pub fn new(labels: &[f64], predictions: &[f64]) -> Self {
        assert_eq!(labels.len(), predictions.len(), "one prediction per label");
        Self {
            labels: labels.to_vec(),
            predictions: predictions.to_vec(),
            label_order: ascending(labels),
            prediction_order: ascending(predictions),
            defined: labels.iter().chain(predictions).all(|value| value.is_finite()),
        }
    }
}

impl Sample for RegressionSample {
    fn names(&self) -> &'static [&'static str] {
        &REGRESSION_NAMES
    }

    fn n_rows(&self) -> usize {
        self.labels.len()
    }

    fn evaluate(&self, weights: &[u32]) -> Vec<Option<f64>> {
        if !self.defined {
            return vec![None; REGRESSION_NAMES.len()];
        }
        let label_ranks = mid_ranks(&self.labels, &self.label_order, weights);
        let prediction_ranks = mid_ranks(&self.predictions, &self.prediction_order, weights);
        let (mut absolute, mut squared, mut total) = (0.0, 0.0, 0.0);
        let mut active = Confusion::default();
        for ((&label, &prediction), &weight) in self.labels.iter().zip(&self.predictions).zip(weights) {
            let w = f64::from(weight);
            absolute += w * (prediction - label).abs();
            squared += w * (prediction - label).powi(2);
            total += w;
            active.add(label >= ACTIVE_AFFINITY, prediction >= ACTIVE_AFFINITY, u64::from(weight));
        }
        vec![
            correlation(&self.labels, &self.predictions, weights),
            correlation(&label_ranks, &prediction_ranks, weights),
            ratio(absolute, total),
            ratio(squared, total).map(f64::sqrt),
            spread(&self.labels, weights).map(|deviation| 1.0 - squared / deviation),
            active.mcc(),
        ]
    }
}

fn ascending(values: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_unstable_by(|&a, &b| values[a as usize].total_cmp(&values[b as usize]).then(a.cmp(&b)));
    order
}

/// 1-based ranks; equal values share the mean of their ranks.
fn mid_ranks(values: &[f64], order: &[u32], weights: &[u32]) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0.0;
    for tie in order.chunk_by(|&a, &b| values[a as usize] == values[b as usize]) {
        let weight: f64 = tie.iter().map(|&row| f64::from(weights[row as usize])).sum();
        for &row in tie {
            ranks[row as usize] = before + f64::midpoint(weight, 1.0);
        }
        before += weight;
    }
    ranks
}

fn mean(values: &[f64], weights: &[u32]) -> Option<f64> {
    let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    ratio(values.iter().zip(weights).map(|(&value, &weight)| f64::from(weight) * value).sum(), total)
}

/// `Σ (value − mean)²`; undefined when all values are equal.
///
/// Equality is asked of the values: their deviations from a rounded mean need not be exactly 0.
fn spread(values: &[f64], weights: &[u32]) -> Option<f64> {
    let mut counted = values.iter().zip(weights).filter(|&(_, &weight)| weight > 0).map(|(&value, _)| value);
    let first = counted.next()?;
    if counted.all(|value| value == first) {
        return None;
    }
    let centre = mean(values, weights)?;
    let sum = values.iter().zip(weights).map(|(&value, &weight)| f64::from(weight) * (value - centre).powi(2)).sum();
    Some(sum).filter(|&deviation| deviation > 0.0)
}

/// Pearson's correlation; undefined when either side is constant.
fn correlation(a: &[f64], b: &[f64], weights: &[u32]) -> Option<f64> {
    let (spread_a, spread_b) = (spread(a, weights)?, spread(b, weights)?);
    let (mean_a, mean_b) = (mean(a, weights)?, mean(b, weights)?);
    let joint: f64 =
        a.iter().zip(b).zip(weights).map(|((&a, &b), &weight)| f64::from(weight) * (a - mean_a) * (b - mean_b)).sum();
    Some((joint / (spread_a.sqrt() * spread_b.sqrt())).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::regression_metrics;

    #[test]
    fn a_constant_prediction_has_no_correlation() {
        let metrics = regression_metrics(&[1.0, 2.0, 4.5], &[0.1; 3]);
        assert_eq!((metrics["Pearson"], metrics["Spearman"]), (None, None));
        assert_eq!(metrics["MCC@4"], Some(0.0));
        let constant_label = regression_metrics(&[0.1; 3], &[1.0, 2.0, 4.5]);
        assert_eq!((constant_label["Pearson"], constant_label["R2"]), (None, None));
        assert!(regression_metrics(&[], &[]).values().all(Option::is_none));
        assert!(regression_metrics(&[1.0], &[f64::NAN]).values().all(Option::is_none));
    }

    proptest! {
        #[test]
        fn weights_mean_repetition(rows in prop::collection::vec((-3i8..3, -3i8..3, 0u32..4), 1..40)) {
            let labels: Vec<f64> = rows.iter().map(|r| f64::from(r.0)).collect();
            let predictions: Vec<f64> = rows.iter().map(|r| f64::from(r.1)).collect();
            let weights: Vec<u32> = rows.iter().map(|r| r.2).collect();
            let repeat = |values: &[f64]| -> Vec<f64> {
                values.iter().zip(&weights).flat_map(|(&v, &w)| std::iter::repeat_n(v, w as usize)).collect()
            };
            let short = RegressionSample::new(&labels, &predictions).evaluate(&weights);
            let (labels, predictions) = (repeat(&labels), repeat(&predictions));
            let long = RegressionSample::new(&labels, &predictions).evaluate(&vec![1; labels.len()]);
            for (a, b) in short.iter().zip(&long) {
                prop_assert_eq!(a.is_some(), b.is_some());
                prop_assert!((a.unwrap_or(0.0) - b.unwrap_or(0.0)).abs() < 1e-10);
            }
        }
    }
}
