//! Platt's calibration of logits, fitted on the inner validation part only.

use serde::{Deserialize, Serialize};

use crate::metrics::probability;

/// `P(y = 1) = σ(slope·logit + offset)`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Platt {
    /// Slope, positive for a network that ranks better than chance.
    pub slope: f64,
    /// Offset.
    pub offset: f64,
}

impl Platt {
    /// Maximum likelihood on Platt's smoothed targets (`(n₊+1)/(n₊+2)` and `1/(n₋+2)`; Platt 1999, with the safeguarded
    /// Newton iteration of Lin, Lin and Weng, Machine Learning 68:267, 2007). `None` where a class is missing.
    #[must_use]
    pub fn fit(logits: &[f64], labels: &[bool]) -> Option<Self> {
        let positive = labels.iter().filter(|&&y| y).count() as f64;
        let negative = labels.len() as f64 - positive;
        if positive == 0.0 || negative == 0.0 || logits.iter().any(|z| !z.is_finite()) {
            return None;
        }
        let target = |y: bool| if y { (positive + 1.0) / (positive + 2.0) } else { 1.0 / (negative + 2.0) };
        let loss = |slope: f64, offset: f64| -> f64 {
            let terms = logits.iter().zip(labels).map(|(&z, &y)| {
                let f = slope * z + offset;
                f.max(0.0) + (-f.abs()).exp().ln_1p() - target(y) * f
            });
            terms.sum()
        };
        let (mut slope, mut offset) = (0.0, ((positive + 1.0) / (negative + 1.0)).ln());
        let mut value = loss(slope, offset);
        for _ in 0..100 {
            let (mut g, mut h) = ([0.0; 2], [1e-12, 0.0, 1e-12]);
            for (&z, &y) in logits.iter().zip(labels) {
                let p = probability(slope * z + offset);
                let (d, w) = (p - target(y), p * (1.0 - p));
                g[0] += d * z;
                g[1] += d;
                h[0] += w * z * z;
                h[1] += w * z;
                h[2] += w;
            }
            if g.iter().all(|d| d.abs() < 1e-10 * logits.len() as f64) {
                break;
            }
            let determinant = h[0] * h[2] - h[1] * h[1];
            let (ds, d0) = ((h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant);
            let mut step = 1.0;
            loop {
                let (s, o) = (slope - step * ds, offset - step * d0);
                let new = loss(s, o);
                if new < value {
                    (slope, offset, value) = (s, o, new);
                    break;
                }
                step /= 2.0;
                if step < 1e-10 {
                    return Some(Self { slope, offset });
                }
            }
        }
        Some(Self { slope, offset })
    }

    /// The calibrated probability of a logit.
    #[must_use]
    pub fn probability(&self, logit: f64) -> f64 {
        probability(self.slope * logit + self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits on a grid with positives as frequent as `probability` says.
    fn sample(probability: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<bool>) {
        let mut sample = (Vec::new(), Vec::new());
        for i in 0..=40 {
            let z = f64::from(i) / 5.0 - 4.0;
            let positive = (probability(z) * 500.0).round() as usize;
            for k in 0..500 {
                sample.0.push(z);
                sample.1.push(k < positive);
            }
        }
        sample
    }

    #[test]
    fn recovers_the_line_that_made_the_labels() {
        let (logits, labels) = sample(|z| 1.0 / (1.0 + (-(0.4 * z - 0.3)).exp()));
        let platt = Platt::fit(&logits, &labels).unwrap();
        assert!((platt.slope - 0.4).abs() < 5e-3 && (platt.offset + 0.3).abs() < 5e-3, "{platt:?}");
    }

    #[test]
    fn separable_logits_stay_finite_and_short_of_certainty() {
        let platt = Platt::fit(&[-2.0, -1.0, 1.0, 2.0], &[false, false, true, true]).unwrap();
        assert!(platt.probability(2.0) < 0.95 && platt.probability(2.0) > 0.6, "{platt:?}");
    }

    #[test]
    fn one_class_cannot_be_calibrated() {
        assert_eq!(Platt::fit(&[1.0, 2.0], &[true, true]), None);
        assert_eq!(Platt::fit(&[f64::NAN, 2.0], &[true, false]), None);
    }
}
