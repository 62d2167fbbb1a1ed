//! Names, order and direction of the metrics, and which of them leads the report.

use crate::eval::result::{Evaluation, MetricValue, ModelScores, Role};

/// Which way a metric points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Larger is better.
    Higher,
    /// Smaller is better.
    Lower,
    /// Neither, or not known.
    Neither,
}

/// What the report knows of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Name in the evaluation.
    pub name: String,
    /// Name for people.
    pub label: String,
    /// Which way it points.
    pub better: Better,
    /// Value of a guess, where there is a fixed one.
    pub chance: Option<f64>,
    /// Position in the table; unknown metrics come last.
    pub rank: usize,
}

use Better::{Higher, Lower, Neither};

/// Spellings (letters and digits only), label, direction, value of a guess; in table order.
const KNOWN: &[(&[&str], &str, Better, Option<f64>)] = &[
    (&["macroauroc", "aurocmacro"], "Macro AUROC", Higher, Some(0.5)),
    (&["microauroc", "aurocmicro"], "Micro AUROC", Higher, Some(0.5)),
    (&["macroap", "macroauprc", "auprcmacro", "apmacro"], "Macro AP", Higher, None),
    (&["microap", "microauprc", "auprcmicro", "apmicro"], "Micro AP", Higher, None),
    (&["pearson", "pearsonr", "r"], "Pearson", Higher, Some(0.0)),
    (&["spearman", "spearmanr"], "Spearman", Higher, Some(0.0)),
    (&["mae"], "MAE", Lower, None),
    (&["rmse"], "RMSE", Lower, None),
    (&["r2", "rsquared"], "R²", Higher, Some(0.0)),
    (&["mcc"], "MCC", Higher, Some(0.0)),
    (&["mccat4", "mccat40", "mcc4", "mcc40", "mccactive", "activemcc", "mccaffinity"], "MCC at 4.0", Higher, Some(0.0)),
    (&["accuracy", "acc"], "Accuracy", Higher, None),
    (&["f1", "f1score"], "F1", Higher, None),
    (&["precision", "ppv"], "Precision", Higher, None),
    (&["recall", "sensitivity", "tpr"], "Recall", Higher, None),
    (&["specificity", "tnr"], "Specificity", Higher, None),
    (&["auroc", "rocauc", "auc"], "AUROC", Higher, Some(0.5)),
    (&["auprc", "averageprecision", "ap", "prauc"], "AUPRC", Higher, None),
    (&["brier", "brierscore"], "Brier", Lower, None),
    (&["ece"], "ECE", Lower, None),
    (&["logloss", "nll"], "Log loss", Lower, None),
    (&["ef1", "ef1percent", "ef1pct", "ef001"], "EF1 %", Higher, Some(1.0)),
    (&["bedroc", "bedroc20"], "BEDROC", Higher, None),
    (&["threshold", "innerthreshold"], "Threshold", Neither, None),
];

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// What is known of the metric `name`.
pub fn describe(name: &str) -> Metric {
    let plain = plain(name);
    let known = KNOWN.iter().enumerate().find(|(_, (spellings, ..))| spellings.contains(&plain.as_str()));
    match known {
        Some((rank, &(_, label, better, chance))) => {
            Metric { name: name.to_owned(), label: label.to_owned(), better, chance, rank }
        }
        None => {
            Metric { name: name.to_owned(), label: name.to_owned(), better: Neither, chance: None, rank: KNOWN.len() }
        }
    }
}

/// The metrics that `models` have in the part chosen by `of`, in table order; prevalence is no score.
pub fn listed<'a>(
    models: &'a [ModelScores],
    of: impl Fn(&'a ModelScores) -> &'a std::collections::BTreeMap<String, MetricValue>,
) -> Vec<Metric> {
    let names: std::collections::BTreeSet<&String> = models.iter().flat_map(|model| of(model).keys()).collect();
    let mut metrics: Vec<Metric> =
        names.into_iter().filter(|name| plain(name) != "prevalence").map(|name| describe(name)).collect();
    metrics.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.name.cmp(&b.name)));
    metrics
}

/// The network that is judged.
pub fn main_model(evaluation: &Evaluation) -> Option<&ModelScores> {
    evaluation.models.iter().find(|model| model.role == Role::Network).or_else(|| evaluation.models.first())
}

/// The metric that leads the report: that of the first comparison, else the first one of the table.
pub fn main_metric(evaluation: &Evaluation) -> Option<Metric> {
    let scores = &main_model(evaluation)?.metrics;
    let compared = evaluation.comparisons.iter().map(|c| &c.metric).find(|metric| scores.contains_key(*metric));
    compared
        .map(|name| describe(name))
        .or_else(|| listed(std::slice::from_ref(main_model(evaluation)?), |model| &model.metrics).into_iter().next())
}

/// The value of a metric over all predictions, else the mean over folds.
pub fn overall(value: &MetricValue) -> Option<f64> {
    value.pooled.or(value.mean).filter(|v| v.is_finite())
}

/// The metric of `model` whose label is `label`.
pub fn by_label<'a>(model: &'a ModelScores, label: &str) -> Option<&'a MetricValue> {
    model.metrics.iter().find(|(name, _)| describe(name).label == label).map(|(_, value)| value)
}

/// Share of positives among the evaluated pairs: as reported, else counted.
pub fn prevalence(evaluation: &Evaluation) -> Option<f64> {
    let model = main_model(evaluation);
    let reported = model
        .and_then(|model| model.metrics.iter().find(|(name, _)| plain(name) == "prevalence"))
        .and_then(|(_, value)| overall(value));
    let counted = || {
        let curves = evaluation.curves.iter().find(|c| model.is_some_and(|m| m.name == c.model))?;
        let [tp, fp, fnn, tn] = curves.confusion;
        let n = tp + fp + fnn + tn;
        (n > 0).then(|| (tp + fnn) as f64 / n as f64)
    };
    reported.or_else(counted)
}

#[cfg(test)]
mod tests {
    use super::{Better, describe, listed, main_metric};
    use crate::report::sample;

    #[test]
    fn spellings_meet() {
        for name in ["auroc", "AUROC", "roc_auc"] {
            assert_eq!(describe(name).label, "AUROC");
        }
        assert_eq!(describe("r2").label, "R²");
        assert_eq!(describe("brier").better, Better::Lower);
        assert_eq!(describe("odd<").label, "odd<");
    }

    #[test]
    fn table_order_is_fixed_and_prevalence_is_no_column() {
        let evaluation = sample::binary();
        let labels: Vec<String> = listed(&evaluation.models, |m| &m.metrics).into_iter().map(|m| m.label).collect();
        assert_eq!(labels[..3], ["MCC", "Accuracy", "F1"]);
        assert!(!labels.iter().any(|label| label.eq_ignore_ascii_case("prevalence")));
        assert_eq!(main_metric(&evaluation).map(|m| m.label).as_deref(), Some("MCC"));
    }
}
