//! Percentile bootstrap over groups of sequences: pairs that share a sequence are not independent, so whole groups are
//! drawn, once by RNA and once by partner, and the more cautious of the two answers is given.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::data::{Clusters, Dataset, Side};
use crate::error::Result;
use crate::metrics::Sample;
use crate::progress::check_interrupt;

/// Resamples of the published figures.
pub const RESAMPLES: usize = 2000;
/// The interval holds this share of the resamples.
const COVERAGE: f64 = 0.95;

/// Pooled predictions of one seed: the sample, and the row of the data set of each of its rows.
#[derive(Clone, Copy)]
pub struct SeedSample<'a> {
    /// Labels and predictions.
    pub sample: &'a dyn Sample,
    /// Rows of the data set (of the test set in train→test), as many as the sample has.
    pub rows: &'a [u32],
}

/// How groups are drawn: equal for all models, so that their resamples are paired.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// By RNA and by partner: the group of each row of the data set, and the number of groups that are drawn from.
    sides: [(Vec<u32>, usize); 2],
    resamples: usize,
    seed: u64,
}

/// Metrics of one model in every resample, each the mean over its seeds.
#[derive(Debug, Clone)]
pub struct Replicates {
    names: &'static [&'static str],
    /// Without resampling.
    pooled: Vec<Option<f64>>,
    /// By RNA and by partner: `[resample][metric]`; empty where there are fewer than two groups.
    sides: [Vec<Vec<Option<f64>>>; 2],
}

/// Difference of two models on the same predictions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The pooled metric of the first minus that of the second.
    pub value: f64,
    /// 95 % interval, the wider of RNA and partner groups.
    pub interval: (f64, f64),
    /// Two-sided p value `2·(1 + min(#≤0, #≥0)) / (resamples + 1)`, the larger of RNA and partner groups.
    pub p: f64,
}

impl Bootstrap {
    /// Draws from the groups that occur in `rows` of `data`: clusters where given, otherwise identical sequences.
    #[must_use]
    pub fn new(data: &Dataset, clusters: Option<&Clusters>, rows: &[u32], resamples: usize, seed: u64) -> Self {
        let side = |side: Side| {
            let group = match (clusters, side) {
                (None, _) => &data.entities(side).group,
                (Some(clusters), Side::Rna) => &clusters.rna,
                (Some(clusters), Side::Partner) => &clusters.partner,
            };
            let mut number: FxHashMap<u32, u32> = FxHashMap::default();
            let mut group_of_row = vec![0; data.len()];
            for &row in rows {
                let next = number.len() as u32;
                let group = group[data.pairs[row as usize].entity(side)];
                group_of_row[row as usize] = *number.entry(group).or_insert(next);
            }
            (group_of_row, number.len())
        };
        Self { sides: [side(Side::Rna), side(Side::Partner)], resamples, seed }
    }

    /// Evaluates a model in every resample; `seeds` has one entry per seed, all of the same metrics.
    ///
    /// The result depends on the seed of the bootstrap alone, not on the number of threads.
    ///
    /// # Errors
    /// [`Interrupted`](crate::error::Error::Interrupted) after a signal.
    pub fn replicates(&self, seeds: &[SeedSample]) -> Result<Replicates> {
        let names = seeds.first().map_or(&[][..], |seed| seed.sample.names());
        let once = |seed: &SeedSample| seed.sample.evaluate(&vec![1; seed.rows.len()]);
        let pooled = mean_over_seeds(names.len(), seeds.iter().map(once));
        let [by_rna, by_partner] = [0, 1].map(|side| {
            let (group_of_row, n_groups) = &self.sides[side];
            if *n_groups < 2 {
                return Ok(Vec::new());
            }
            let resample = |i: usize| {
                check_interrupt()?;
                let times = self.drawn(side, i);
                let weigh = |seed: &SeedSample| {
                    let weights: Vec<u32> =
                        seed.rows.iter().map(|&row| times[group_of_row[row as usize] as usize]).collect();
                    seed.sample.evaluate(&weights)
                };
                Ok(mean_over_seeds(names.len(), seeds.iter().map(weigh)))
            };
            (0..self.resamples).into_par_iter().map(resample).collect::<Result<Vec<_>>>()
        });
        Ok(Replicates { names, pooled, sides: [by_rna?, by_partner?] })
    }

    /// How often each group is drawn in resample `i`; every resample has a stream of its own.
    fn drawn(&self, side: usize, i: usize) -> Vec<u32> {
        let n_groups = self.sides[side].1;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream((2 * i + side) as u64);
        let mut times = vec![0; n_groups];
        for _ in 0..n_groups {
            times[rng.random_range(0..n_groups)] += 1;
        }
        times
    }
}

fn mean_over_seeds(n_metrics: usize, seeds: impl Iterator<Item = Vec<Option<f64>>>) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0u32); n_metrics];
    for metrics in seeds {
        for (sum, value) in sums.iter_mut().zip(metrics) {
            if let Some(value) = value {
                *sum = (sum.0 + value, sum.1 + 1);
            }
        }
    }
    sums.into_iter().map(|(sum, n)| (n > 0).then(|| sum / f64::from(n))).collect()
}

impl Replicates {
    fn index(&self, metric: &str) -> Option<usize> {
        self.names.iter().position(|name| *name == metric)
    }

    /// Pooled value of a metric, the mean over seeds.
    #[must_use]
    pub fn pooled(&self, metric: &str) -> Option<f64> {
        self.pooled[self.index(metric)?]
    }

    /// 95 % interval of the pooled value, the wider of RNA and partner groups; `None` where the metric is unknown or
    /// undefined in half of the resamples, or where neither side has two groups.
    #[must_use]
    pub fn interval(&self, metric: &str) -> Option<(f64, f64)> {
        let index = self.index(metric)?;
        wider(self.sides.iter().filter_map(|side| percentiles(side.iter().map(|metrics| metrics[index]))))
    }

    /// This model minus `other`; `None` as in [`Replicates::interval`], and where the two were not drawn alike.
    #[must_use]
    pub fn minus(&self, other: &Self, metric: &str) -> Option<Difference> {
        let (a, b) = (self.index(metric)?, other.index(metric)?);
        let value = self.pooled[a]? - other.pooled[b]?;
        let differences: Vec<Vec<Option<f64>>> = self
            .sides
            .iter()
            .zip(&other.sides)
            .filter(|(mine, theirs)| mine.len() == theirs.len())
            .map(|(mine, theirs)| mine.iter().zip(theirs).map(|(mine, theirs)| Some(mine[a]? - theirs[b]?)).collect())
            .collect();
        let interval = wider(differences.iter().filter_map(|side| percentiles(side.iter().copied())))?;
        let p = differences.iter().filter(|side| !side.is_empty()).map(|side| two_sided_p(side)).fold(0.0, f64::max);
        Some(Difference { value, interval, p })
    }
}

fn wider(intervals: impl Iterator<Item = (f64, f64)>) -> Option<(f64, f64)> {
    intervals.max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)))
}

/// The central [`COVERAGE`] of the defined values, interpolated between neighbours.
fn percentiles(values: impl ExactSizeIterator<Item = Option<f64>>) -> Option<(f64, f64)> {
    let n = values.len();
    let mut defined: Vec<f64> = values.flatten().collect();
    if defined.len() * 2 <= n {
        return None;
    }
    defined.sort_unstable_by(f64::total_cmp);
    let last = (defined.len() - 1) as f64;
    let at = |share: f64| {
        let place = share * last;
        let (low, high) = (defined[place.floor() as usize], defined[place.ceil() as usize]);
        low + (high - low) * place.fract()
    };
    Some((at((1.0 - COVERAGE) / 2.0), at(f64::midpoint(1.0, COVERAGE))))
}

fn two_sided_p(differences: &[Option<f64>]) -> f64 {
    let defined = differences.iter().flatten();
    let (mut n, mut not_above, mut not_below) = (0u32, 0u32, 0u32);
    for &difference in defined {
        n += 1;
        not_above += u32::from(difference <= 0.0);
        not_below += u32::from(difference >= 0.0);
    }
    (2.0 * f64::from(1 + not_above.min(not_below)) / f64::from(n + 1)).min(1.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::{EncoderIdentity, Entities, MemoryVectors, Pair, Task};
    use crate::metrics::BinarySample;

    fn entities(n: usize) -> Entities {
        Entities {
            ids: (0..n).map(|i| i.to_string()).collect(),
            rows: (0..n).collect(),
            group: (0..n as u32).collect(),
            length: vec![1; n],
            digest: vec![String::new(); n],
            source: Arc::new(MemoryVectors { dim: 1, values: vec![0.0; n] }),
            encoder: EncoderIdentity { name: "none".into(), digest: String::new(), pooling: "mean".into() },
        }
    }

    /// `n` pairs of `n_rna` RNAs and as many partners as pairs; the logit is the label plus noise of size `noise`.
    fn case(n: usize, n_rna: usize, noise: f64) -> (Dataset, Vec<u32>, BinarySample) {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let labels: Vec<bool> = (0..n).map(|_| rng.random_bool(0.5)).collect();
        let logits: Vec<f64> =
            labels.iter().map(|&label| if label { 0.5 } else { -0.5 } + noise * rng.random_range(-1.0..1.0)).collect();
        let data = Dataset {
            rna: entities(n_rna),
            partner: entities(n),
            pairs: (0..n).map(|i| Pair { rna: (i % n_rna) as u32, partner: i as u32, row0: i as u32 }).collect(),
            labels: labels.iter().map(|&label| f32::from(u8::from(label))).collect(),
            label_names: vec!["label".into()],
            task: Task::Binary,
        };
        (data, (0..n as u32).collect(), BinarySample::new(&labels, &logits, 0.0))
    }

    #[test]
    fn the_interval_of_accuracy_is_binomial_without_groups() {
        let (data, rows, sample) = case(400, 400, 1.0);
        let bootstrap = Bootstrap::new(&data, None, &rows, RESAMPLES, 7);
        let replicates = bootstrap.replicates(&[SeedSample { sample: &sample, rows: &rows }]).unwrap();
        let accuracy = replicates.pooled("accuracy").unwrap();
        let (low, high) = replicates.interval("accuracy").unwrap();
        let expected = 1.96 * (accuracy * (1.0 - accuracy) / 400.0).sqrt();
        assert!((accuracy - low - expected).abs() < 0.12 * expected, "{low} {accuracy} {high}");
        assert!((high - accuracy - expected).abs() < 0.12 * expected, "{low} {accuracy} {high}");
    }

    #[test]
    fn one_group_gives_no_interval_by_that_side() {
        let (data, rows, sample) = case(50, 1, 1.0);
        let bootstrap = Bootstrap::new(&data, None, &rows, 200, 7);
        let replicates = bootstrap.replicates(&[SeedSample { sample: &sample, rows: &rows }]).unwrap();
        assert!(replicates.sides[0].is_empty() && replicates.interval("AUROC").is_some());
        assert_eq!(replicates.interval("no such metric"), None);
        let (data, rows, sample) = case(1, 1, 1.0);
        let one = Bootstrap::new(&data, None, &rows, 200, 7)
            .replicates(&[SeedSample { sample: &sample, rows: &rows }])
            .unwrap();
        assert_eq!(one.interval("accuracy"), None);
    }

    #[test]
    fn threads_do_not_change_the_result() {
        let (data, rows, sample) = case(120, 9, 2.0);
        let bootstrap = Bootstrap::new(&data, None, &rows, 300, 1);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bootstrap.replicates(&[SeedSample { sample: &sample, rows: &rows }]).unwrap().sides)
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn a_clear_difference_has_a_small_p_and_none_has_a_large_one() {
        let (data, rows, good) = case(300, 30, 0.7);
        let (_, _, poor) = case(300, 30, 6.0);
        let bootstrap = Bootstrap::new(&data, None, &rows, 500, 1);
        let seeds = |sample| [SeedSample { sample, rows: &rows }, SeedSample { sample, rows: &rows }];
        let (good, poor) = (bootstrap.replicates(&seeds(&good)).unwrap(), bootstrap.replicates(&seeds(&poor)).unwrap());
        let difference = good.minus(&poor, "AUROC").unwrap();
        assert!(difference.value > 0.1 && difference.interval.0 > 0.0, "{difference:?}");
        assert!((difference.p - 2.0 / 501.0).abs() < 1e-12);
        let none = good.minus(&good, "AUROC").unwrap();
        assert_eq!((none.value, none.p), (0.0, 1.0));
    }

    #[test]
    fn percentiles_interpolate_and_need_defined_values() {
        let values: Vec<Option<f64>> = (0..=40).map(|i| Some(f64::from(i))).collect();
        let (low, high) = percentiles(values.into_iter()).unwrap();
        assert!((low - 1.0).abs() < 1e-12 && (high - 39.0).abs() < 1e-12);
        assert_eq!(percentiles([Some(1.0), None].into_iter()), None);
    }
}
