//! The confusion matrix and what follows from it.

use super::ratio;

/// Counts at one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confusion {
    /// Positive and predicted positive.
    pub true_positive: u64,
    /// Negative but predicted positive.
    pub false_positive: u64,
    /// Positive but predicted negative.
    pub false_negative: u64,
    /// Negative and predicted negative.
    pub true_negative: u64,
}

impl Confusion {
    /// Counts rows, each predicted positive when its score ≥ `threshold`.
    #[must_use]
    pub fn at(labels: &[bool], scores: &[f64], threshold: f64) -> Self {
        let mut counts = Self::default();
        for (&label, &score) in labels.iter().zip(scores) {
            counts.add(label, score >= threshold, 1);
        }
        counts
    }

    /// Counts one more row `weight` times.
    pub fn add(&mut self, label: bool, predicted: bool, weight: u64) {
        let cell = match (label, predicted) {
            (true, true) => &mut self.true_positive,
            (false, true) => &mut self.false_positive,
            (true, false) => &mut self.false_negative,
            (false, false) => &mut self.true_negative,
        };
        *cell += weight;
    }

    fn cells(&self) -> [f64; 4] {
        [self.true_positive, self.false_positive, self.false_negative, self.true_negative].map(|count| count as f64)
    }

    /// Number of rows.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.true_positive + self.false_positive + self.false_negative + self.true_negative
    }

    /// Matthews correlation: `(tp·tn − fp·fn) / √((tp+fp)(tp+fn)(tn+fp)(tn+fn))`; 0 when a margin is empty.
    #[must_use]
    pub fn mcc(&self) -> Option<f64> {
        let [tp, fp, fn_, tn] = self.cells();
        let margins = ((tp + fp) * (tn + fn_)).sqrt() * ((tp + fn_) * (tn + fp)).sqrt();
        (self.total() > 0).then(|| ratio(tp * tn - fp * fn_, margins).unwrap_or(0.0))
    }

    /// `(tp + tn) / n`.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        let [tp, fp, fn_, tn] = self.cells();
        ratio(tp + tn, tp + fp + fn_ + tn)
    }

    /// `2·tp / (2·tp + fp + fn)`; undefined without positives and without positive predictions.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        let [tp, fp, fn_, _] = self.cells();
        ratio(2.0 * tp, 2.0 * tp + fp + fn_)
    }

    /// `tp / (tp + fp)`; undefined when nothing is predicted positive.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        let [tp, fp, _, _] = self.cells();
        ratio(tp, tp + fp)
    }

    /// `tp / (tp + fn)`.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        let [tp, _, fn_, _] = self.cells();
        ratio(tp, tp + fn_)
    }

    /// `tn / (tn + fp)`.
    #[must_use]
    pub fn specificity(&self) -> Option<f64> {
        let [_, fp, _, tn] = self.cells();
        ratio(tn, tn + fp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_margin_gives_mcc_0_and_undefined_precision() {
        let all_negative = Confusion::at(&[true, false, false], &[-1.0, -2.0, -3.0], 0.0);
        assert_eq!(all_negative.mcc(), Some(0.0));
        assert_eq!(all_negative.precision(), None);
        assert_eq!(all_negative.f1(), Some(0.0));
        assert_eq!(all_negative.specificity(), Some(1.0));
        assert_eq!(Confusion::default().mcc(), None);
        assert_eq!(Confusion::default().accuracy(), None);
    }

    #[test]
    fn a_score_on_the_threshold_is_positive() {
        assert_eq!(Confusion::at(&[true], &[0.0], 0.0).true_positive, 1);
        assert_eq!(Confusion::at(&[true], &[-0.0], 0.0).true_positive, 1);
    }
}
