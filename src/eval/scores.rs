//! From predictions to the table: every metric per fold and seed, pooled values and their intervals.

use std::collections::BTreeMap;

use super::bootstrap::{Bootstrap, Replicates, SeedSample};
use super::result::{Comparison, MetricValue, ModelScores, Role};
use super::run::{ModelRun, Request};
use super::significance::holm;
use crate::data::{Dataset, Task};
use crate::error::Result;
use crate::metrics::{BinarySample, MultiLabelSample, RegressionSample, Sample};

/// Metrics that move with the threshold.
const THRESHOLDED: [&str; 6] = ["MCC", "accuracy", "F1", "precision", "recall", "specificity"];

/// Metrics that take a logit for a probability.
const PROBABILISTIC: [&str; 2] = ["Brier", "ECE"];

/// The metric on which models are compared, and the one that goes with it; `task` is that of the tested pairs.
///
/// Of a regression that is `thresholded` into classes the ranking leads: where its few values near the threshold fall
/// is chance.
#[must_use]
pub fn main_metrics(task: Task, thresholded: bool) -> [&'static str; 2] {
    match task {
        Task::Binary if thresholded => ["AUROC", "MCC"],
        Task::Binary => ["MCC", "AUROC"],
        Task::Regression => ["Pearson", "MAE"],
        Task::MultiLabel => ["AUROC_macro", "AUPRC_macro"],
    }
}

/// True for metrics of which less is better.
#[must_use]
pub fn smaller_is_better(metric: &str) -> bool {
    matches!(metric, "MAE" | "RMSE" | "Brier" | "ECE")
}

/// Labels and predictions of `rows`; a prediction of a classification is a logit, positive from `threshold` on.
fn sample(data: &Dataset, rows: &[u32], predictions: &[f64], threshold: f64) -> Box<dyn Sample> {
    match data.task {
        Task::Binary => {
            let labels: Vec<bool> = rows.iter().map(|&row| data.label(row as usize) > 0.5).collect();
            Box::new(BinarySample::new(&labels, predictions, threshold))
        }
        Task::Regression => {
            let labels: Vec<f64> = rows.iter().map(|&row| f64::from(data.label(row as usize))).collect();
            Box::new(RegressionSample::new(&labels, predictions))
        }
        Task::MultiLabel => {
            let width = data.n_labels();
            let labels: Vec<f32> =
                rows.iter().flat_map(|&row| &data.labels[row as usize * width..][..width]).copied().collect();
            Box::new(MultiLabelSample::new(&labels, predictions, width))
        }
    }
}

/// Test rows and predictions of one training or one seed, in the order of the ids, so that ties are broken by id.
struct Block {
    rows: Vec<u32>,
    predictions: Vec<f64>,
}

/// Scores one evaluation's models.
pub struct Scorer<'a> {
    request: &'a Request<'a>,
    /// Place of every row of the tested data in the order of its ids.
    place: Vec<u32>,
    bootstrap: Bootstrap,
    seeds: Vec<u64>,
}

impl<'a> Scorer<'a> {
    /// A scorer for the models of `request`, with the resamples of `bootstrap`.
    #[must_use]
    pub fn new(request: &'a Request<'a>, bootstrap: Bootstrap) -> Self {
        let tested = request.tested();
        let ids = |row: u32| {
            let pair = tested.pairs[row as usize];
            (&tested.rna.ids[pair.rna as usize], &tested.partner.ids[pair.partner as usize], row)
        };
        let mut order: Vec<u32> = (0..tested.len() as u32).collect();
        order.sort_by(|&a, &b| ids(a).cmp(&ids(b)));
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(i, &row)| place[row as usize] = i as u32);
        let mut seeds: Vec<u64> = request.plan.trainings.iter().map(|split| split.seed).collect();
        seeds.dedup();
        Self { request, place, bootstrap, seeds }
    }

    /// One training's predictions minus `shift`, in the order of the ids.
    fn block(&self, parts: &[(&[u32], &[f64], f64)]) -> Block {
        let width = self.request.tested().n_labels();
        let mut entries: Vec<(u32, u32, &[f64], f64)> = Vec::new();
        for (rows, predictions, shift) in parts {
            let values = predictions.chunks_exact(width.max(1));
            entries.extend(rows.iter().zip(values).map(|(&row, v)| (self.place[row as usize], row, v, *shift)));
        }
        entries.sort_unstable_by_key(|entry| entry.0);
        Block {
            rows: entries.iter().map(|entry| entry.1).collect(),
            predictions: entries.iter().flat_map(|(_, _, v, shift)| v.iter().map(move |p| p - shift)).collect(),
        }
    }

    fn sample(&self, block: &Block) -> Box<dyn Sample> {
        sample(self.request.tested(), &block.rows, &block.predictions, 0.0)
    }

    /// All metrics of a model, and its resamples for comparisons.
    ///
    /// # Errors
    /// [`Interrupted`](crate::error::Error::Interrupted) after a signal.
    pub fn score(&self, run: &ModelRun) -> Result<(ModelScores, Replicates)> {
        let thresholded = self.request.is_thresholded();
        let class_threshold = if thresholded { self.request.active_from } else { 0.0 };
        let (mut metrics, replicates) = self.table(run, |_| class_threshold)?;
        if thresholded {
            metrics.retain(|name, _| !PROBABILISTIC.contains(&name.as_str()));
        }
        let thresholds = run.parts.iter().all(|part| part.threshold.is_some());
        let at_inner_threshold = if thresholds {
            let (mut metrics, _) = self.table(run, |part| part.threshold.unwrap_or(0.0))?;
            metrics.retain(|name, _| THRESHOLDED.contains(&name.as_str()));
            metrics
        } else {
            BTreeMap::new()
        };
        let scores = ModelScores {
            name: run.name.clone(),
            label: run.label.clone(),
            role: run.role,
            metrics,
            at_inner_threshold,
        };
        Ok((scores, replicates))
    }

    fn table(
        &self,
        run: &ModelRun,
        shift: impl Fn(&super::run::Part) -> f64,
    ) -> Result<(BTreeMap<String, MetricValue>, Replicates)> {
        let trainings = &self.request.plan.trainings;
        let of_seed = |seed: u64| {
            let parts = run.parts.iter().filter(move |part| trainings[part.split].seed == seed);
            parts.map(|part| (trainings[part.split].test.as_slice(), part.predictions.as_slice(), shift(part)))
        };
        let seeds: Vec<u64> = self.seeds.iter().copied().filter(|&seed| of_seed(seed).next().is_some()).collect();
        let folds: Vec<Vec<Vec<Option<f64>>>> = seeds
            .iter()
            .map(|&seed| {
                let fold = |part| {
                    let block = self.block(&[part]);
                    self.sample(&block).evaluate(&vec![1; block.rows.len()])
                };
                of_seed(seed).map(fold).collect()
            })
            .collect();
        let pooled: Vec<(Block, Box<dyn Sample>)> = seeds
            .iter()
            .map(|&seed| {
                let block = self.block(&of_seed(seed).collect::<Vec<_>>());
                let sample = self.sample(&block);
                (block, sample)
            })
            .collect();
        let samples: Vec<SeedSample<'_>> =
            pooled.iter().map(|(block, sample)| SeedSample { sample: sample.as_ref(), rows: &block.rows }).collect();
        let replicates = self.bootstrap.replicates(&samples)?;
        let names = samples.first().map_or(&[][..], |seed| seed.sample.names());
        let constant = run.parts.iter().all(|part| is_constant(&part.predictions));
        let metrics = names.iter().enumerate().map(|(m, name)| {
            let values: Vec<Vec<Option<f64>>> =
                folds.iter().map(|folds| folds.iter().map(|metrics| metrics[m]).collect()).collect();
            let value = over_folds_and_seeds(values);
            let undefined = constant && value.mean.is_none();
            let (pooled, interval) =
                if undefined { (None, None) } else { (replicates.pooled(name), replicates.interval(name)) };
            ((*name).to_owned(), MetricValue { pooled, interval, ..value })
        });
        Ok((metrics.collect(), replicates))
    }
}

/// True for one answer to several pairs. Pooled over folds such answers correlate with the labels all the same: the mean
/// of the others is low where a fold's own labels are high.
fn is_constant(predictions: &[f64]) -> bool {
    predictions.len() > 1 && predictions.iter().all(|value| *value == predictions[0])
}

/// Mean over folds per seed, then mean and SD over seeds; folds where the metric is undefined are left out.
fn over_folds_and_seeds(values: Vec<Vec<Option<f64>>>) -> MetricValue {
    let defined: Vec<Vec<f64>> = values.iter().map(|folds| folds.iter().flatten().copied().collect()).collect();
    let means: Vec<f64> = defined.iter().filter_map(|folds| mean(folds)).collect();
    let spreads: Vec<f64> = defined.iter().filter_map(|folds| sd(folds)).collect();
    MetricValue { mean: mean(&means), sd_seeds: sd(&means), sd_folds: mean(&spreads), values, ..MetricValue::default() }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Sample SD (ddof 1); `None` for fewer than two values.
fn sd(values: &[f64]) -> Option<f64> {
    let centre = mean(values).filter(|_| values.len() > 1)?;
    Some((values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt())
}

/// The first model against every other one but the control, on the metrics `main`, with Holm's correction over all.
#[must_use]
pub fn compare(main: [&str; 2], models: &[(ModelScores, Replicates)]) -> Vec<Comparison> {
    let Some(((first, replicates), others)) = models.split_first() else { return Vec::new() };
    let mut comparisons = Vec::new();
    for (other, theirs) in others.iter().filter(|(other, _)| other.role != Role::Control) {
        let is_defined = |metric: &&str| other.metrics.get(*metric).is_some_and(|value| value.pooled.is_some());
        for metric in main.into_iter().filter(is_defined) {
            let Some(difference) = replicates.minus(theirs, metric) else { continue };
            comparisons.push(Comparison {
                model: first.name.clone(),
                against: other.name.clone(),
                metric: metric.to_owned(),
                difference: difference.value,
                interval: difference.interval,
                p: difference.p,
                p_holm: difference.p,
            });
        }
    }
    let p: Vec<f64> = comparisons.iter().map(|c| c.p).collect();
    comparisons.iter_mut().zip(holm(&p)).for_each(|(comparison, p)| comparison.p_holm = p);
    comparisons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_spread_by_hand() {
        let value = over_folds_and_seeds(vec![vec![Some(0.2), Some(0.4), None], vec![Some(0.5), Some(0.7), Some(0.6)]]);
        assert!((value.mean.unwrap() - 0.45).abs() < 1e-12);
        assert!((value.sd_seeds.unwrap() - 0.3 / 2f64.sqrt()).abs() < 1e-12);
        assert!((value.sd_folds.unwrap() - f64::midpoint(0.02f64.sqrt(), 0.1)).abs() < 1e-12);
        let single = over_folds_and_seeds(vec![vec![None, Some(0.5)]]);
        assert_eq!((single.mean, single.sd_seeds, single.sd_folds), (Some(0.5), None, None));
    }
}
