//! How far probabilities can be believed: Brier score, expected calibration error, reliability bins.

use super::ratio;

/// Equal-width bins of the expected calibration error.
pub const ECE_BINS: usize = 15;

/// `1 / (1 + e^{−logit})`.
#[must_use]
pub fn probability(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// Sums over the rows whose probability falls into one bin `[b/15, (b+1)/15)`, the last one closed.
#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    weight: u64,
    positive: u64,
    probability: f64,
}

fn bins(labels: &[bool], probabilities: &[f64], weights: &[u32]) -> [Bin; ECE_BINS] {
    let mut bins = [Bin::default(); ECE_BINS];
    for ((&label, &p), &weight) in labels.iter().zip(probabilities).zip(weights) {
        let bin = &mut bins[((p * ECE_BINS as f64) as usize).min(ECE_BINS - 1)];
        bin.weight += u64::from(weight);
        bin.positive += u64::from(weight) * u64::from(label);
        bin.probability += f64::from(weight) * p;
    }
    bins
}

/// Mean squared difference of probability and label.
pub(super) fn brier(labels: &[bool], probabilities: &[f64], weights: &[u32]) -> Option<f64> {
    let (mut sum, mut total) = (0.0, 0.0);
    for ((&label, &p), &weight) in labels.iter().zip(probabilities).zip(weights) {
        let weight = f64::from(weight);
        sum += weight * (p - f64::from(u8::from(label))).powi(2);
        total += weight;
    }
    ratio(sum, total).filter(|value| !value.is_nan())
}

/// `Σ_b n_b/n · |fraction positive − mean probability|` over [`ECE_BINS`] equal-width bins.
pub(super) fn expected_calibration_error(labels: &[bool], probabilities: &[f64], weights: &[u32]) -> Option<f64> {
    let bins = bins(labels, probabilities, weights);
    let total: u64 = bins.iter().map(|bin| bin.weight).sum();
    let sum: f64 = bins.iter().map(|bin| (bin.positive as f64 - bin.probability).abs()).sum();
    ratio(sum, total as f64).filter(|value| !value.is_nan())
}

/// Non-empty bins `(mean probability, fraction positive, rows)` of the reliability diagram.
#[must_use]
pub fn reliability(labels: &[bool], probabilities: &[f64]) -> Vec<(f64, f64, usize)> {
    let once = vec![1; labels.len()];
    bins(labels, probabilities, &once)
        .iter()
        .filter(|bin| bin.weight > 0)
        .map(|bin| {
            let n = bin.weight as f64;
            (bin.probability / n, bin.positive as f64 / n, bin.weight as usize)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certainty_falls_into_the_last_bin() {
        assert_eq!(reliability(&[true, false], &[1.0, 0.0]), vec![(0.0, 0.0, 1), (1.0, 1.0, 1)]);
        assert_eq!(expected_calibration_error(&[true, false], &[1.0, 0.0], &[1, 1]), Some(0.0));
        assert_eq!(expected_calibration_error(&[false], &[1.0], &[1]), Some(1.0));
        assert_eq!(brier(&[], &[], &[]), None);
    }

    #[test]
    fn extreme_logits_stay_probabilities() {
        assert_eq!(probability(f64::INFINITY), 1.0);
        assert_eq!(probability(f64::NEG_INFINITY), 0.0);
        assert_eq!(probability(0.0), 0.5);
    }
}
