//! Tests over data sets: Wilcoxon's signed-rank test, and Holm's correction for many of them.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Most pairs for which the exact distribution is used.
const EXACT: usize = 25;

/// Result of Wilcoxon's signed-rank test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wilcoxon {
    /// The smaller of the two rank sums.
    pub statistic: f64,
    /// Two-sided p value.
    pub p: f64,
    /// Whether the p value is exact; otherwise it is that of the normal approximation, corrected for ties.
    pub exact: bool,
}

/// Tests whether paired `differences` are symmetric about 0; zeros are dropped.
///
/// Exact for up to 25 differences without ties and zeros. `None` when no difference is left or one is not a number.
#[must_use]
pub fn wilcoxon(differences: &[f64]) -> Option<Wilcoxon> {
    let mut sorted: Vec<f64> = differences.iter().copied().filter(|&d| d != 0.0).collect();
    if sorted.is_empty() || sorted.iter().any(|d| d.is_nan()) {
        return None;
    }
    let n = sorted.len() as f64;
    sorted.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
    let (mut positive, mut before, mut tie_term) = (0.0, 0.0, 0.0);
    for tie in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
        let size = tie.len() as f64;
        let rank = before + f64::midpoint(size, 1.0);
        positive += rank * tie.iter().filter(|&&d| d > 0.0).count() as f64;
        tie_term += size * (size * size - 1.0);
        before += size;
    }
    let statistic = positive.min(n * (n + 1.0) / 2.0 - positive);
    let exact = sorted.len() <= EXACT && sorted.len() == differences.len() && tie_term == 0.0;
    let p = if exact {
        exact_p(sorted.len(), statistic as usize)
    } else {
        let variance = (n * (n + 1.0) * (2.0 * n + 1.0) - tie_term / 2.0) / 24.0;
        let z = (statistic - n * (n + 1.0) / 4.0) / variance.sqrt();
        complementary_error_function(z.abs() * FRAC_1_SQRT_2)
    };
    Some(Wilcoxon { statistic, p: p.min(1.0), exact })
}

/// `2·P(W ≤ statistic)`: the share of the 2ⁿ sign patterns whose rank sum is at most that.
fn exact_p(n: usize, statistic: usize) -> f64 {
    let mut patterns = vec![0.0; n * (n + 1) / 2 + 1];
    patterns[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..patterns.len()).rev() {
            patterns[sum] += patterns[sum - rank];
        }
    }
    2.0 * patterns[..=statistic].iter().sum::<f64>() / 2f64.powi(n as i32)
}

/// `erfc(x)` for x ≥ 0: a power series near 0, a continued fraction beyond.
fn complementary_error_function(x: f64) -> f64 {
    if x < 2.5 {
        // erf(x) = 2/√π · e^{−x²} · Σ x·(2x²)^k / (2k+1)!!, all terms positive.
        let (mut term, mut sum, mut odd) = (x, x, 1.0);
        while term > 1e-17 * sum {
            odd += 2.0;
            term *= 2.0 * x * x / odd;
            sum += term;
        }
        return 1.0 - 2.0 / PI.sqrt() * (-x * x).exp() * sum;
    }
    // erfc(x) = e^{−x²}/√π · 1/(x + ½/(x + 1/(x + 3/2/(x + …)))); 80 levels are exact to rounding from 2.5 on.
    let tail = (1..=80).rev().fold(x, |tail, k| x + f64::from(k) / 2.0 / tail);
    (-x * x).exp() / PI.sqrt() / tail
}

/// Holm's step-down correction: p values that may be judged one by one, in the order given.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut corrected = vec![1.0; p.len()];
    let mut floor: f64 = 0.0;
    for (rank, &i) in order.iter().enumerate() {
        floor = floor.max(p[i] * (p.len() - rank) as f64).min(1.0);
        corrected[i] = floor;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erfc_at_known_places() {
        // Abramowitz and Stegun 7.1; both branches at their border.
        for (x, expected) in [(0.0, 1.0), (0.5, 0.479_500_122_186_953_5), (3.0, 2.209_049_699_858_544e-5)] {
            assert!((complementary_error_function(x) - expected).abs() < 1e-15);
        }
        let (below, above) = (complementary_error_function(2.5 - 1e-12), complementary_error_function(2.5));
        assert!((below / above - 1.0).abs() < 1e-10);
    }

    #[test]
    fn degenerate_input() {
        assert_eq!(wilcoxon(&[]), None);
        assert_eq!(wilcoxon(&[0.0, 0.0]), None);
        assert_eq!(wilcoxon(&[1.0, f64::NAN]), None);
        assert_eq!(wilcoxon(&[2.0]), Some(Wilcoxon { statistic: 0.0, p: 1.0, exact: true }));
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn holm_is_monotone_and_at_most_1() {
        assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }
}
