//! Metrics in f64, each O(n log n), exact under ties; an undefined metric is `None`, never NaN.
//!
//! A [`Sample`] sorts its rows once and is then evaluated for any multiplicities of its rows, which makes a bootstrap
//! resample one linear pass. The plain metric is the case where every row counts once.

mod binary;
mod calibration;
mod confusion;
mod curves;
mod multi_label;
mod ranking;
mod regression;

use std::collections::BTreeMap;

pub use binary::{BINARY_NAMES, BinarySample};
pub use calibration::{ECE_BINS, probability, reliability};
pub use confusion::Confusion;
pub use curves::{CURVE_POINTS, precision_recall_curve, roc_curve};
pub use multi_label::{MULTI_LABEL_NAMES, MultiLabelSample};
pub use ranking::{BEDROC_ALPHA, Ranking};
pub use regression::{ACTIVE_AFFINITY, REGRESSION_NAMES, RegressionSample};

/// Labels and predictions of the same rows, ready to be evaluated many times.
pub trait Sample: Send + Sync {
    /// Names of the metrics, in the order of [`Sample::evaluate`].
    fn names(&self) -> &'static [&'static str];
    /// Number of rows.
    fn n_rows(&self) -> usize;
    /// Every metric when row `i` counts `weights[i]` times; `weights.len() == n_rows()`.
    fn evaluate(&self, weights: &[u32]) -> Vec<Option<f64>>;

    /// Every metric by name, each row counted once.
    fn metrics(&self) -> BTreeMap<&'static str, Option<f64>> {
        let once = vec![1; self.n_rows()];
        self.names().iter().copied().zip(self.evaluate(&once)).collect()
    }
}

/// Every metric of [`BINARY_NAMES`]; a row is predicted positive when its logit ≥ `threshold`.
///
/// Rows of equal logit rank in input order for `EF1%` and `BEDROC`, so rows should come in order of their ids.
///
/// # Panics
/// When the two slices differ in length.
#[must_use]
pub fn binary_metrics(labels: &[bool], logits: &[f64], threshold: f64) -> BTreeMap<&'static str, Option<f64>> {
    BinarySample::new(labels, logits, threshold).metrics()
}

/// Every metric of [`REGRESSION_NAMES`].
///
/// # Panics
/// When the two slices differ in length.
#[must_use]
pub fn regression_metrics(labels: &[f64], predictions: &[f64]) -> BTreeMap<&'static str, Option<f64>> {
    RegressionSample::new(labels, predictions).metrics()
}

/// Every metric of [`MULTI_LABEL_NAMES`]: `labels` and `logits` row-major `[n, n_labels]`, NaN labels unknown.
///
/// # Panics
/// When the two slices differ in length or do not divide into rows.
#[must_use]
pub fn multi_label_metrics(labels: &[f32], logits: &[f64], n_labels: usize) -> BTreeMap<&'static str, Option<f64>> {
    MultiLabelSample::new(labels, logits, n_labels).metrics()
}

/// `a / b`, undefined where `b` is 0.
fn ratio(a: f64, b: f64) -> Option<f64> {
    (b != 0.0).then(|| a / b)
}
