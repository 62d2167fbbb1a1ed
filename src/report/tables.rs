//! Tables of scores and of paired comparisons.

use std::collections::BTreeMap;

use super::markup::{Attributes, Markup};
use super::metrics::{self, Better, Metric, listed, main_metric, overall};
use super::numbers::{exact, interval, p_value, plus_minus, rounded, value};
use super::page::Page;
use super::tsv::Tsv;
use crate::eval::result::{Evaluation, MetricValue, ModelScores, Role};

type Scores = BTreeMap<String, MetricValue>;

/// All score tables.
pub fn scores(page: &mut Page) {
    let evaluation = page.evaluation;
    let metrics = listed(&evaluation.models, |model| &model.metrics);
    if metrics.is_empty() {
        return;
    }
    let thresholded = if metrics.iter().any(|m| m.label == "MCC") {
        format!(" Thresholded ones at {}.", evaluation.setup.threshold_in_words())
    } else {
        String::new()
    };
    let sd = if evaluation.setup.seeds.len() > 1 {
        "Mean over folds, then mean ± SD over seeds"
    } else {
        "Mean over folds (one seed, so no SD)"
    };
    let caption =
        format!("Scores. {sd}.{thresholded} Best value of each column in bold; the control does not compete.");
    // Wide tables put the SD below the mean instead of beside it.
    let class = match metrics.len() {
        0..=4 => "scores few",
        5..=8 => "scores",
        _ => "scores tall",
    };
    page.table(class, &caption, Some(("scores", numbers(evaluation))), |table| {
        overview(table, evaluation, &metrics, |model| &model.metrics);
    });
    let at_inner = listed(&evaluation.models, |model| &model.at_inner_threshold);
    if !at_inner.is_empty() {
        let caption = "Scores at the inner-part threshold. The threshold was chosen on an inner part of each training \
                       fold, never on the evaluated pairs. Mean ± SD as above.";
        page.table("scores", caption, None, |table| {
            overview(table, evaluation, &at_inner, |model| &model.at_inner_threshold);
        });
    }
    let Some(main) = main_metric(evaluation) else { return };
    details(page, &main, false);
    let others: Vec<&Metric> = metrics.iter().filter(|metric| metric.name != main.name).collect();
    page.wrap("details", &[("class", &"further")], |page| {
        if !others.is_empty() {
            page.html.words("summary", &[], format!("The same for {} other metrics", others.len()));
        }
        for metric in others {
            details(page, metric, true);
        }
    });
}

/// One row per model, one column per metric.
fn overview<'a>(
    table: &mut Markup,
    evaluation: &'a Evaluation,
    metrics: &[Metric],
    of: impl Fn(&'a ModelScores) -> &'a Scores,
) {
    table.element("thead", &[], |head| {
        head.element("tr", &[], |row| {
            row.words("th", &[("scope", &"col"), ("class", &"name")], "Model");
            for metric in metrics {
                row.element("th", &[("scope", &"col")], |cell| metric_heading(cell, metric, evaluation));
            }
        });
    });
    let best: Vec<Option<String>> = metrics.iter().map(|metric| best(evaluation, metric, &of)).collect();
    by_role(table, evaluation, metrics.len() + 1, |body, model| {
        for (metric, best) in metrics.iter().zip(&best) {
            let score = of(model).get(&metric.name);
            let is_best = score.is_some_and(|s| s.mean.is_some() && *best == Some(value(s.mean)));
            number(body, is_best && model.role != Role::Control, |cell| match score {
                None => cell.text(value(None)),
                Some(score) => mean_and_sd(cell, score.mean, score.sd_seeds),
            });
        }
    });
}

fn metric_heading(cell: &mut Markup, metric: &Metric, evaluation: &Evaluation) {
    cell.text(&metric.label);
    let (arrow, meaning) = match metric.better {
        Better::Higher => (" ↑", "higher is better"),
        Better::Lower => (" ↓", "lower is better"),
        Better::Neither => ("", ""),
    };
    if !arrow.is_empty() {
        cell.words("abbr", &[("title", &meaning)], arrow);
    }
    if let (true, Some(prevalence)) = (metric.label == "AUPRC", metrics::prevalence(evaluation)) {
        cell.words("small", &[], format!("prevalence {}", value(prevalence)));
    }
}

/// The best mean of a column as it is written, so that ties that look equal are all bold.
fn best<'a>(evaluation: &'a Evaluation, metric: &Metric, of: impl Fn(&'a ModelScores) -> &'a Scores) -> Option<String> {
    let competing = evaluation.models.iter().filter(|model| model.role != Role::Control);
    let means = competing.filter_map(|model| of(model).get(&metric.name)?.mean).filter(|v| v.is_finite());
    let means: Vec<f64> = means.collect();
    let (low, high) = (means.iter().copied().min_by(f64::total_cmp)?, means.iter().copied().max_by(f64::total_cmp)?);
    match metric.better {
        // Nothing is best where all are equal.
        _ if means.len() > 1 && low == high => None,
        Better::Higher => Some(value(high)),
        Better::Lower => Some(value(low)),
        Better::Neither => None,
    }
}

/// Every figure of one metric; folded tables carry no number.
fn details(page: &mut Page, metric: &Metric, folded: bool) {
    let evaluation = page.evaluation;
    let caption = format!(
        "{} in full. Mean over folds, then mean and SD over seeds; fold spread: SD over folds; pooled: all predictions \
         of a seed at once, with a 95 % bootstrap interval over groups.",
        metric.label
    );
    let rows = |table: &mut Markup| full_rows(table, evaluation, metric);
    if folded {
        page.further_table("full", &caption, rows);
    } else {
        page.table("full", &caption, None, rows);
    }
}

fn full_rows(table: &mut Markup, evaluation: &Evaluation, metric: &Metric) {
    table.element("thead", &[], |head| {
        head.element("tr", &[], |row| {
            row.words("th", &[("scope", &"col"), ("class", &"name")], "Model");
            for heading in ["Mean", "SD over seeds", "Fold spread", "Pooled", "95 % interval"] {
                row.words("th", &[("scope", &"col")], heading);
            }
        });
    });
    by_role(table, evaluation, 6, |body, model| {
        let nothing = MetricValue::default();
        let score = model.metrics.get(&metric.name).unwrap_or(&nothing);
        let spread = |v: Option<f64>| v.map_or_else(|| value(None), rounded);
        let cells = [
            value(score.mean),
            spread(score.sd_seeds),
            spread(score.sd_folds),
            value(score.pooled),
            interval(score.interval),
        ];
        for cell in cells {
            number(body, false, |html| html.text(&cell));
        }
    });
}

/// Rows of all models, with a heading row where the role changes; `cells` writes what follows the name.
fn by_role<'a>(
    table: &mut Markup,
    evaluation: &'a Evaluation,
    n_columns: usize,
    cells: impl Fn(&mut Markup, &'a ModelScores),
) {
    for group in evaluation.models.chunk_by(|a, b| a.role == b.role) {
        table.element("tbody", &[], |body| {
            let role = group.first().map_or("", |model| heading(model.role));
            body.element("tr", &[("class", &"group")], |row| {
                row.words("th", &[("scope", &"rowgroup"), ("colspan", &n_columns)], role);
            });
            for model in group {
                let class = if model.role == Role::Network { "main" } else { "" };
                body.element("tr", &[("class", &class)], |row| {
                    row.words("th", &[("scope", &"row"), ("class", &"name"), ("title", &model.name)], &model.label);
                    cells(row, model);
                });
            }
        });
    }
}

fn heading(role: Role) -> &'static str {
    match role {
        Role::Network => "Network",
        Role::Ablation => "Ablations (other fusions)",
        Role::Baseline => "Baselines",
        Role::Control => "Control (shuffled labels)",
    }
}

fn number(row: &mut Markup, best: bool, content: impl FnOnce(&mut Markup)) {
    let class = if best { "n best" } else { "n" };
    row.element("td", &[("class", &class)], content);
}

fn mean_and_sd(cell: &mut Markup, mean: Option<f64>, sd: Option<f64>) {
    let text = plus_minus(mean, sd);
    match text.split_once(" ± ") {
        Some((mean, sd)) => {
            cell.text(mean);
            cell.words("small", &[], format!(" ± {sd}"));
        }
        None => cell.text(text),
    }
}

/// Paired comparisons with p values.
pub fn comparisons(page: &mut Page) {
    let evaluation = page.evaluation;
    if evaluation.comparisons.is_empty() {
        return;
    }
    let mut tsv = Tsv::new(&["model", "against", "metric", "difference", "low", "high", "p", "p_holm"]);
    for c in &evaluation.comparisons {
        let figures = [c.difference, c.interval.0, c.interval.1, c.p, c.p_holm].map(exact);
        tsv.row(&[[c.model.clone(), c.against.clone(), c.metric.clone()].as_slice(), &figures].concat());
    }
    let caption = "Paired comparisons. Pooled difference on the same predictions, 95 % bootstrap interval over groups, \
                   two-sided bootstrap p, and p after Holm's correction over all comparisons. Bold: Holm p below 0.05.";
    page.table("comparisons", caption, Some(("comparisons", tsv)), |table| {
        table.element("thead", &[], |head| {
            head.element("tr", &[], |row| {
                for heading in ["Model", "Against", "Metric"] {
                    row.words("th", &[("scope", &"col"), ("class", &"name")], heading);
                }
                for heading in ["Difference", "95 % interval", "p", "p (Holm)"] {
                    row.words("th", &[("scope", &"col")], heading);
                }
            });
        });
        table.element("tbody", &[], |body| {
            for c in &evaluation.comparisons {
                body.element("tr", &[], |row| {
                    row.words("th", &[("scope", &"row"), ("class", &"name")], label_of(evaluation, &c.model));
                    let left: Attributes = &[("class", &"name")];
                    row.words("td", left, label_of(evaluation, &c.against));
                    row.words("td", left, metrics::describe(&c.metric).label);
                    number(row, false, |cell| cell.text(rounded(c.difference)));
                    number(row, false, |cell| cell.text(interval(Some(c.interval))));
                    number(row, false, |cell| cell.text(p_value(c.p)));
                    number(row, c.p_holm < 0.05, |cell| cell.text(p_value(c.p_holm)));
                });
            }
        });
    });
}

fn label_of<'a>(evaluation: &'a Evaluation, name: &'a str) -> &'a str {
    evaluation.models.iter().find(|model| model.name == name).map_or(name, |model| &model.label)
}

fn numbers(evaluation: &Evaluation) -> Tsv {
    let columns =
        ["model", "role", "metric", "threshold", "mean", "sd_seeds", "sd_folds", "pooled", "low", "high", "overall"];
    let mut tsv = Tsv::new(&columns);
    let class_threshold = evaluation.setup.active_from.map_or("0.5".to_owned(), |value| value.to_string());
    for model in &evaluation.models {
        for (threshold, scores) in [(class_threshold.as_str(), &model.metrics), ("inner", &model.at_inner_threshold)] {
            for (metric, score) in scores {
                let (low, high) = score.interval.unzip();
                let figures =
                    [score.mean, score.sd_seeds, score.sd_folds, score.pooled, low, high, overall(score)].map(exact);
                let role = format!("{:?}", model.role).to_lowercase();
                let names = [model.name.clone(), role, metric.clone(), threshold.to_owned()];
                tsv.row(&[names.as_slice(), &figures].concat());
            }
        }
    }
    tsv
}
