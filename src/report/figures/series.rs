//! Which models share the curve figures, and how each is drawn there.

use crate::eval::result::{Evaluation, ModelCurves, ModelScores, Role};
use crate::report::metrics::{Better, main_metric, main_model, overall};

/// Most ablations beside the network, and most baselines.
const MOST_OF_A_KIND: usize = 3;

/// One model of the curve figures.
#[derive(Debug, Clone)]
pub struct Series<'a> {
    /// Its curves.
    pub curves: &'a ModelCurves,
    /// Its scores, where it is in the table.
    pub scores: Option<&'a ModelScores>,
    /// Name for people.
    pub label: &'a str,
    /// Class that fixes colour, width and dash.
    pub class: String,
}

/// The network, its best ablations and the best baselines (by the leading metric), in this order.
pub fn chosen(evaluation: &Evaluation) -> Vec<Series<'_>> {
    let main = main_model(evaluation).map(|model| model.name.as_str());
    let mut series = Vec::new();
    if let Some(curves) = evaluation.curves.iter().find(|c| Some(c.model.as_str()) == main) {
        series.push(made(evaluation, curves, "series main".to_owned()));
    }
    let others = best(evaluation, Role::Ablation, main).into_iter().chain(best(evaluation, Role::Baseline, main));
    for (i, curves) in others.enumerate() {
        series.push(made(evaluation, curves, format!("series s{}", i + 1)));
    }
    series
}

fn made<'a>(evaluation: &'a Evaluation, curves: &'a ModelCurves, class: String) -> Series<'a> {
    let scores = evaluation.models.iter().find(|model| model.name == curves.model);
    Series { curves, scores, label: scores.map_or(&curves.model, |model| &model.label), class }
}

fn best<'a>(evaluation: &'a Evaluation, role: Role, main: Option<&str>) -> Vec<&'a ModelCurves> {
    let metric = main_metric(evaluation);
    let goodness = |curves: &ModelCurves| {
        let model = evaluation.models.iter().find(|model| model.name == curves.model)?;
        let metric = metric.as_ref()?;
        let value = overall(model.metrics.get(&metric.name)?)?;
        Some(if metric.better == Better::Lower { -value } else { value })
    };
    let mut found: Vec<&ModelCurves> = evaluation
        .curves
        .iter()
        .filter(|c| Some(c.model.as_str()) != main)
        .filter(|c| evaluation.models.iter().any(|model| model.name == c.model && model.role == role))
        .collect();
    let key = |curves: &ModelCurves| goodness(curves).unwrap_or(f64::NEG_INFINITY);
    found.sort_by(|a, b| key(b).total_cmp(&key(a)));
    found.truncate(MOST_OF_A_KIND);
    found
}

#[cfg(test)]
mod tests {
    use crate::report::sample;

    #[test]
    fn network_first_then_the_best_of_each_kind() {
        let evaluation = sample::binary();
        let names: Vec<&str> = super::chosen(&evaluation).iter().map(|s| s.curves.model.as_str()).collect();
        assert_eq!(names, ["static", "input", "concat", "average", "logistic", "knn", "partner-only"]);
    }
}
