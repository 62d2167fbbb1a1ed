//! Metrics of several labels at once, unknown ones left out.

use super::{Ranking, Sample};

/// Names of the multi-label metrics, in the order of [`MultiLabelSample::evaluate`].
pub const MULTI_LABEL_NAMES: [&str; 4] = ["AUROC_macro", "AUROC_micro", "AUPRC_macro", "AUPRC_micro"];

/// Labels and logits `[n, n_labels]`: one ranking per label, and one of all known entries together.
#[derive(Debug, Clone)]
pub struct MultiLabelSample {
    n_rows: usize,
    each: Vec<Ranking>,
    all: Ranking,
}

impl MultiLabelSample {
    /// Sorts the known entries; `labels` and `logits` are row-major `[n, n_labels]`, NaN labels are unknown.
    ///
    /// # Panics
    /// When the two slices differ in length or do not divide into rows.
    #[must_use]
    pub fn new(labels: &[f32], logits: &[f64], n_labels: usize) -> Self {
        assert_eq!(labels.len(), logits.len(), "one logit per label");
        assert!(n_labels > 0 && labels.len().is_multiple_of(n_labels), "whole rows of labels");
        let known = |column: Option<usize>| {
            let entries = labels.iter().zip(logits).enumerate();
            entries
                .filter(move |(i, (label, _))| !label.is_nan() && column.is_none_or(|column| i % n_labels == column))
                .map(move |(i, (&label, &logit))| ((i / n_labels) as u32, label >= 0.5, logit))
        };
        Self {
            n_rows: labels.len() / n_labels,
            each: (0..n_labels).map(|column| Ranking::new(known(Some(column)))).collect(),
            all: Ranking::new(known(None)),
        }
    }

    /// Mean over the labels for which the metric is defined.
    fn macro_average(&self, metric: impl Fn(&Ranking) -> Option<f64>) -> Option<f64> {
        let defined: Vec<f64> = self.each.iter().filter_map(metric).collect();
        super::ratio(defined.iter().sum(), defined.len() as f64)
    }
}

impl Sample for MultiLabelSample {
    fn names(&self) -> &'static [&'static str] {
        &MULTI_LABEL_NAMES
    }

    fn n_rows(&self) -> usize {
        self.n_rows
    }

    fn evaluate(&self, weights: &[u32]) -> Vec<Option<f64>> {
        vec![
            self.macro_average(|ranking| ranking.auroc(weights)),
            self.all.auroc(weights),
            self.macro_average(|ranking| ranking.average_precision(weights)),
            self.all.average_precision(weights),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::multi_label_metrics;

    #[test]
    fn unknown_and_one_sided_labels_are_left_out() {
        let nan = f32::NAN;
        // Label 0 is ranked perfectly once its unknown row is left out; label 1 has no negative.
        let labels = [1.0, 1.0, 0.0, nan, nan, 1.0];
        let logits = [2.0, 0.5, 1.0, 9.0, 9.0, 0.7];
        let metrics = multi_label_metrics(&labels, &logits, 2);
        assert_eq!(metrics["AUROC_macro"], Some(1.0));
        assert_eq!(metrics["AUPRC_macro"], Some(1.0));
        assert_eq!(metrics["AUROC_micro"], Some(1.0 / 3.0));
        assert!(multi_label_metrics(&[nan; 4], &[0.0; 4], 2).values().all(Option::is_none));
    }
}
