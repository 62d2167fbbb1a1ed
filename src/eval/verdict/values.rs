//! Findings about a regression: are its values near, and what the published figures of such a task are.

use super::{Evidence, LEVEL, remark, shown, uncertain};
use crate::eval::result::{Finding, ModelScores};

/// Folds over which published figures of the RNA–molecule task are averaged.
const BEST_FOLDS: usize = 3;

/// What the published recipe reports of a regression: the mean over the folds of least error alone.
pub(super) fn best_folds(main: &ModelScores) -> Option<Finding> {
    let errors = &main.metrics.get("MAE")?.values;
    let best: Vec<Vec<usize>> = errors
        .iter()
        .map(|folds| {
            let mut order: Vec<(f64, usize)> = folds.iter().enumerate().filter_map(|(i, &e)| Some((e?, i))).collect();
            order.sort_by(|a, b| a.0.total_cmp(&b.0));
            order.into_iter().take(BEST_FOLDS).map(|(_, i)| i).collect()
        })
        .collect();
    if best.iter().zip(errors).any(|(best, folds)| best.len() < BEST_FOLDS || folds.len() == BEST_FOLDS) {
        return None;
    }
    let of_seed = |folds: &[Option<f64>], best: &[usize]| {
        best.iter().map(|&fold| folds[fold]).sum::<Option<f64>>().map(|sum| sum / best.len() as f64)
    };
    let over_seeds = |name: &str| -> Option<f64> {
        let values = &main.metrics.get(name)?.values;
        let seeds: Option<f64> = values.iter().zip(&best).map(|(folds, best)| of_seed(folds, best)).sum();
        seeds.map(|sum| sum / values.len() as f64)
    };
    Some(remark(
        "best folds",
        format!(
            "Published figures of this task are means over the {BEST_FOLDS} folds of least error: here Pearson {}, \
             Spearman {}, MAE {}. Folds chosen by their result say nothing about the others.",
            shown(over_seeds("Pearson")),
            shown(over_seeds("Spearman")),
            shown(over_seeds("MAE"))
        ),
    ))
}

impl Evidence<'_> {
    /// Whether the values of a regression are nearer than one answer for every pair: correlation cannot tell.
    pub(super) fn against_the_mean(&self) -> Option<Finding> {
        const METRIC: &str = "MAE";
        let (main, mean) = (self.models.first()?, self.models.iter().find(|model| model.name == "majority")?);
        let of = |model: &ModelScores| model.metrics.get(METRIC).and_then(|value| value.mean);
        let (error, of_mean) = (of(main)?, of(mean)?);
        let c = self.comparisons.iter().find(|c| c.against == mean.name && c.metric == METRIC)?;
        let holds = error < of_mean && c.difference < 0.0 && c.p_holm < LEVEL;
        let remark = if holds {
            ""
        } else if error < of_mean {
            " Lower, but not beyond chance."
        } else {
            " The values are no nearer than one and the same answer for every pair: at most their order tells something."
        };
        Some(Finding {
            claim: "errs less than the training mean".to_owned(),
            holds: Some(holds),
            text: format!(
                "{METRIC}, mean over folds, {error:.3} against {of_mean:.3}; pooled difference {}.{remark}",
                uncertain(c)
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::data::Task;
    use crate::eval::result::{Comparison, DataOverview, Finding, MetricValue, ModelScores, Role};
    use crate::eval::run::Protocol;
    use crate::eval::verdict::Evidence;
    use crate::eval::verdict::tests::{comparison, model};

    /// A regression of this MAE against a training mean of MAE 1, in one seed of four folds.
    fn regression(mae: f64, p: f64, protocol: Protocol) -> Vec<Finding> {
        let scores = |name: &str, role, mae: f64| {
            let value = |v: f64| MetricValue {
                mean: Some(v),
                values: vec![vec![Some(v), Some(v + 0.1), Some(v + 0.2), Some(v + 0.9)]],
                ..MetricValue::default()
            };
            let metrics = [("MAE", mae), ("Pearson", 0.5), ("Spearman", 0.4)];
            ModelScores {
                metrics: metrics.map(|(name, v)| (name.to_owned(), value(v))).into(),
                ..model(name, role, 0.0)
            }
        };
        let against_mean = Comparison { metric: "MAE".into(), ..comparison("majority", mae - 1.0, p) };
        Evidence {
            task: Task::Regression,
            active_from: None,
            protocol,
            data: &DataOverview::default(),
            models: &[scores("static", Role::Network, mae), scores("majority", Role::Baseline, 1.0)],
            comparisons: &[against_mean],
            warnings: &[],
        }
        .findings()
    }

    #[test]
    fn the_training_mean_is_the_first_thing_that_a_regression_must_beat() {
        for (mae, p, holds, words) in [
            (0.8, 0.001, true, "0.800 against 1.000"),
            (0.9, 0.3, false, "not beyond chance"),
            (1.2, 0.001, false, "no nearer than one and the same answer"),
        ] {
            let findings = regression(mae, p, Protocol::Honest);
            assert_eq!(findings[1].claim, "errs less than the training mean");
            assert!(findings[1].holds == Some(holds) && findings[1].text.contains(words), "{:?}", findings[1]);
            assert!(!findings.iter().any(|finding| finding.claim == "best folds"));
        }
    }

    #[test]
    fn the_published_mean_over_the_best_folds_is_named_as_such() {
        let findings = regression(0.8, 0.001, Protocol::Paper);
        let best = findings.iter().find(|finding| finding.claim == "best folds").unwrap();
        assert!(best.text.contains("Pearson 0.600, Spearman 0.500, MAE 0.900"), "{}", best.text);
    }
}
