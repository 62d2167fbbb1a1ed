//! Rows in order of their score, and the metrics that depend on that order alone.

use super::{Confusion, ratio};

/// The α of BEDROC: 80 % of the score comes from the first 8 % of the ranking.
pub const BEDROC_ALPHA: f64 = 20.0;

/// Rows sorted by score, highest first; equal scores stay in input order and form one group.
#[derive(Debug, Clone)]
pub struct Ranking {
    entries: Vec<Entry>,
    /// Whether every score is a number.
    defined: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    score: f64,
    row: u32,
    positive: bool,
    last_of_tie: bool,
}

/// One group of equal scores: its score and the weights in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tie {
    pub score: f64,
    pub positive: u64,
    pub negative: u64,
}

/// Maps a score to an integer that sorts the highest score first; −0 and 0 are one score.
fn descending_key(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    let ascending = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    !ascending
}

impl Ranking {
    /// Sorts `(row, label, score)`; `row` is where the weight of the entry stands.
    pub fn new(entries: impl IntoIterator<Item = (u32, bool, f64)>) -> Self {
        let mut keyed: Vec<(u64, u32, Entry)> = entries
            .into_iter()
            .enumerate()
            .map(|(place, (row, positive, score))| {
                (descending_key(score), place as u32, Entry { score, row, positive, last_of_tie: true })
            })
            .collect();
        let defined = keyed.iter().all(|(_, _, entry)| !entry.score.is_nan());
        keyed.sort_unstable_by_key(|&(key, place, _)| (key, place));
        for i in 1..keyed.len() {
            keyed[i - 1].2.last_of_tie = keyed[i - 1].0 != keyed[i].0;
        }
        Self { entries: keyed.into_iter().map(|(_, _, entry)| entry).collect(), defined }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls `visit` for each group of equal scores that has any weight, highest score first.
    pub(super) fn ties(&self, weights: &[u32], mut visit: impl FnMut(Tie)) {
        let (mut positive, mut negative) = (0u64, 0u64);
        for entry in &self.entries {
            let weight = u64::from(weights[entry.row as usize]);
            if entry.positive {
                positive += weight;
            } else {
                negative += weight;
            }
            if entry.last_of_tie {
                if positive + negative > 0 {
                    visit(Tie { score: entry.score, positive, negative });
                }
                (positive, negative) = (0, 0);
            }
        }
    }

    /// Weights of the positive and of the negative rows.
    #[must_use]
    pub fn totals(&self, weights: &[u32]) -> (u64, u64) {
        self.entries.iter().fold((0, 0), |(positive, negative), entry| {
            let weight = u64::from(weights[entry.row as usize]);
            if entry.positive { (positive + weight, negative) } else { (positive, negative + weight) }
        })
    }

    /// Area under the ROC curve by mid-ranks; undefined with one class.
    #[must_use]
    pub fn auroc(&self, weights: &[u32]) -> Option<f64> {
        let (mut above, mut below, mut doubled) = (0u64, 0u64, 0u64);
        self.ties(weights, |tie| {
            doubled += tie.negative * (2 * above + tie.positive);
            above += tie.positive;
            below += tie.negative;
        });
        self.score_defined(ratio(doubled as f64, 2.0 * above as f64 * below as f64))
    }

    /// Average precision, `Σ (R_k − R_{k−1})·P_k` over distinct scores; undefined without positives.
    #[must_use]
    pub fn average_precision(&self, weights: &[u32]) -> Option<f64> {
        let (mut hits, mut seen, mut sum) = (0u64, 0u64, 0.0);
        self.ties(weights, |tie| {
            hits += tie.positive;
            seen += tie.positive + tie.negative;
            sum += tie.positive as f64 * (hits as f64 / seen as f64);
        });
        self.score_defined(ratio(sum, hits as f64))
    }

    /// Enrichment of positives in the first `⌈n/100⌉` rows: their share there over their share everywhere.
    #[must_use]
    pub fn enrichment_at_1_percent(&self, weights: &[u32]) -> Option<f64> {
        let (positive, negative) = self.totals(weights);
        let total = positive + negative;
        let top = total.div_ceil(100);
        let (mut left, mut hits) = (top, 0);
        for entry in &self.entries {
            let taken = left.min(u64::from(weights[entry.row as usize]));
            left -= taken;
            hits += if entry.positive { taken } else { 0 };
            if left == 0 {
                break;
            }
        }
        self.score_defined(ratio(hits as f64 * total as f64, top as f64 * positive as f64))
    }

    /// BEDROC (Truchon and Bayly 2007) with α = [`BEDROC_ALPHA`]: `(RIE − RIE_min) / (RIE_max − RIE_min)`, where
    /// `RIE = Σ e^{−α r_i/N} / (n/N · (1 − e^{−α}) / (e^{α/N} − 1))` over the 1-based ranks of the n positives.
    #[must_use]
    pub fn bedroc(&self, weights: &[u32]) -> Option<f64> {
        let (positive, negative) = self.totals(weights);
        if positive == 0 || negative == 0 {
            return None;
        }
        let n = (positive + negative) as f64;
        let (mut rank, mut sum) = (0u64, 0.0);
        for entry in &self.entries {
            let weight = u64::from(weights[entry.row as usize]);
            if entry.positive {
                sum += (1..=weight).map(|k| (-BEDROC_ALPHA * (rank + k) as f64 / n).exp()).sum::<f64>();
            }
            rank += weight;
        }
        let share = positive as f64 / n;
        let chance = share * -(-BEDROC_ALPHA).exp_m1() / (BEDROC_ALPHA / n).exp_m1();
        let least = (BEDROC_ALPHA * share).exp_m1() / (share * BEDROC_ALPHA.exp_m1());
        let most = (-BEDROC_ALPHA * share).exp_m1() / (share * (-BEDROC_ALPHA).exp_m1());
        self.score_defined(Some((sum / chance - least) / (most - least)))
    }

    /// The score threshold of the highest MCC, midway between two distinct scores; of equals the one nearest to 0.
    ///
    /// `None` where no threshold does better than MCC 0.
    #[must_use]
    pub fn best_mcc_threshold(&self) -> Option<f64> {
        let weights = vec![1; self.entries.iter().map(|entry| entry.row as usize + 1).max().unwrap_or(0)];
        let (positive, negative) = self.totals(&weights);
        let mut counts = Confusion { false_negative: positive, true_negative: negative, ..Confusion::default() };
        let mut best: Option<(f64, f64)> = None;
        let mut above: Option<f64> = None;
        self.ties(&weights, |tie| {
            if let (Some(high), Some(mcc)) = (above, counts.mcc()) {
                let middle = tie.score.midpoint(high);
                // Neighbouring floats have no number between them, and infinities no middle.
                let threshold = if middle > tie.score && middle < high { middle } else { high };
                let better =
                    best.map_or(mcc > 0.0, |(top, at)| mcc > top || (mcc == top && f64::abs(threshold) < f64::abs(at)));
                if better {
                    best = Some((mcc, threshold));
                }
            }
            counts.true_positive += tie.positive;
            counts.false_negative -= tie.positive;
            counts.false_positive += tie.negative;
            counts.true_negative -= tie.negative;
            above = Some(tie.score);
        });
        self.score_defined(best.map(|(_, threshold)| threshold))
    }

    /// A score that is not a number has no rank, so nothing that depends on ranks is defined.
    fn score_defined(&self, value: Option<f64>) -> Option<f64> {
        value.filter(|_| self.defined)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranking(labels: &[bool], scores: &[f64]) -> (Ranking, Vec<u32>) {
        let entries = labels.iter().zip(scores).enumerate().map(|(i, (&label, &score))| (i as u32, label, score));
        (Ranking::new(entries), vec![1; labels.len()])
    }

    #[test]
    fn one_class_and_nan_are_undefined() {
        let (one, once) = ranking(&[true, true], &[1.0, 2.0]);
        assert_eq!((one.auroc(&once), one.bedroc(&once)), (None, None));
        let (none, once) = ranking(&[false, false], &[1.0, 2.0]);
        assert_eq!((none.average_precision(&once), none.enrichment_at_1_percent(&once)), (None, None));
        let (nan, once) = ranking(&[true, false], &[f64::NAN, 2.0]);
        assert_eq!((nan.auroc(&once), nan.average_precision(&once), nan.bedroc(&once)), (None, None, None));
    }

    #[test]
    fn zero_and_minus_zero_tie() {
        let (ranking, once) = ranking(&[false, true], &[0.0, -0.0]);
        assert_eq!(ranking.auroc(&once), Some(0.5));
    }

    #[test]
    fn best_threshold_separates_and_prefers_zero() {
        let (ranking, _) = ranking(&[true, true, false, false], &[3.0, 1.0, -2.0, -4.0]);
        assert_eq!(ranking.best_mcc_threshold(), Some(-0.5));
        let (useless, _) = super::tests::ranking(&[true, false], &[1.0, 1.0]);
        assert_eq!(useless.best_mcc_threshold(), None);
        let (reversed, _) = super::tests::ranking(&[false, true], &[2.0, 1.0]);
        assert_eq!(reversed.best_mcc_threshold(), None);
    }

    proptest! {
        #[test]
        fn auroc_is_the_share_of_ordered_pairs(rows in prop::collection::vec((any::<bool>(), -3i8..3), 0..60)) {
            let (labels, scores): (Vec<bool>, Vec<f64>) = rows.iter().map(|&(l, s)| (l, f64::from(s))).unzip();
            let (mut won, mut pairs) = (0.0, 0.0);
            for (&li, &si) in labels.iter().zip(&scores) {
                for (&lj, &sj) in labels.iter().zip(&scores) {
                    if li && !lj {
                        pairs += 1.0;
                        won += if si > sj { 1.0 } else if si == sj { 0.5 } else { 0.0 };
                    }
                }
            }
            let (ranking, once) = ranking(&labels, &scores);
            prop_assert_eq!(ranking.auroc(&once).is_some(), pairs > 0.0);
            if let Some(auroc) = ranking.auroc(&once) {
                prop_assert!((auroc - won / pairs).abs() < 1e-12);
            }
        }

        #[test]
        fn weights_mean_repetition(rows in prop::collection::vec((any::<bool>(), -3i8..3, 0u32..4), 1..40)) {
            let labels: Vec<bool> = rows.iter().map(|r| r.0).collect();
            let scores: Vec<f64> = rows.iter().map(|r| f64::from(r.1)).collect();
            let weights: Vec<u32> = rows.iter().map(|r| r.2).collect();
            let repeated = rows.iter().flat_map(|&(l, s, w)| std::iter::repeat_n((l, f64::from(s)), w as usize));
            let (long_labels, long_scores): (Vec<bool>, Vec<f64>) = repeated.unzip();
            let (short, _) = ranking(&labels, &scores);
            let (long, once) = ranking(&long_labels, &long_scores);
            let close = |a: Option<f64>, b: Option<f64>| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-12,
                (a, b) => a == b,
            };
            prop_assert!(close(short.auroc(&weights), long.auroc(&once)));
            prop_assert!(close(short.average_precision(&weights), long.average_precision(&once)));
            prop_assert!(close(short.enrichment_at_1_percent(&weights), long.enrichment_at_1_percent(&once)));
            prop_assert!(close(short.bedroc(&weights), long.bedroc(&once)));
        }
    }
}
