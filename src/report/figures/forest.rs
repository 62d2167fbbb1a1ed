//! Dots with intervals: the leading metric of every model, and paired differences.

use super::{Figure, Key, Swatch};
use crate::error::shortened;
use crate::eval::result::{Evaluation, Role};
use crate::report::axis::{Axis, extent};
use crate::report::markup::{Attributes, Px};
use crate::report::metrics::{Metric, main_metric, main_model, overall};
use crate::report::numbers::{exact, interval, rounded, value};
use crate::report::plot::{Frame, Panel, Plot};
use crate::report::tsv::Tsv;

const ROW: f64 = 26.0;
const TOP: f64 = 8.0;
const LETTERS: usize = 32;

/// One row: a value, its interval and the values that it sums up.
struct Row {
    name: String,
    value: Option<f64>,
    interval: Option<(f64, f64)>,
    folds: Vec<f64>,
    class: &'static str,
    /// True for the network itself.
    strong: bool,
    /// True where a thin rule above sets the row apart.
    apart: bool,
}

/// The leading metric of all models; `None` where no model has it.
pub fn models(evaluation: &Evaluation) -> Option<Figure> {
    let metric = main_metric(evaluation)?;
    let mut numbers = Tsv::new(&["model", "role", "metric", "pooled", "low", "high", "seed", "fold", "fold_value"]);
    let mut rows: Vec<Row> = Vec::new();
    let mut last_role = None;
    for model in &evaluation.models {
        let Some(score) = model.metrics.get(&metric.name) else { continue };
        let (low, high) = score.interval.unzip();
        let fixed = [
            model.name.clone(),
            role_name(model.role).to_owned(),
            metric.name.clone(),
            exact(overall(score)),
            exact(low),
            exact(high),
        ];
        numbers.row(&[fixed.as_slice(), &[const { String::new() }; 3]].concat());
        for (seed, folds) in score.values.iter().enumerate() {
            for (fold, &at_fold) in folds.iter().enumerate() {
                let seed = evaluation.setup.seeds.get(seed).map_or_else(|| seed.to_string(), u64::to_string);
                numbers.row(&[fixed.as_slice(), &[seed, fold.to_string(), exact(at_fold)]].concat());
            }
        }
        rows.push(Row {
            name: model.label.clone(),
            value: overall(score),
            interval: score.interval,
            folds: score.values.iter().flatten().flatten().copied().filter(|v| v.is_finite()).collect(),
            class: role_name(model.role),
            strong: model.role == Role::Network,
            apart: last_role.is_some_and(|role| role != model.role),
        });
        last_role = Some(model.role);
    }
    if rows.iter().all(|row| row.value.is_none()) {
        return None;
    }
    let main = main_model(evaluation).and_then(|model| model.metrics.get(&metric.name)).and_then(overall);
    let title = format!("{} of all models", metric.label);
    Some(Figure {
        id: "forest",
        title: format!("{title}."),
        caption: "Large mark: all predictions pooled; line: 95 % bootstrap interval over groups; small dots below: \
                  single folds of all seeds. The vertical lines show the network and a guess."
            .to_owned(),
        layout: "one",
        panels: vec![draw(&title, &rows, &metric, &[(main, "reference main"), (metric.chance, "reference")])],
        legend: [Role::Network, Role::Ablation, Role::Baseline, Role::Control]
            .into_iter()
            .filter(|role| evaluation.models.iter().any(|model| model.role == *role))
            .map(|role| Key::new(swatch(role), role_name(role)))
            .collect(),
        numbers,
    })
}

/// Paired differences in the leading metric; `None` where nothing was compared.
pub fn differences(evaluation: &Evaluation) -> Option<Figure> {
    let metric = main_metric(evaluation)?;
    let label_of = |name: &str| {
        evaluation.models.iter().find(|m| m.name == name).map_or_else(|| name.to_owned(), |m| m.label.clone())
    };
    let compared: Vec<_> = evaluation.comparisons.iter().filter(|c| c.metric == metric.name).collect();
    let single = compared.windows(2).all(|pair| pair[0].model == pair[1].model);
    let first = compared.first()?;
    let mut numbers = Tsv::new(&["model", "against", "metric", "difference", "low", "high", "p", "p_holm"]);
    let mut rows = Vec::new();
    for c in &compared {
        let figures = [c.difference, c.interval.0, c.interval.1, c.p, c.p_holm].map(exact);
        let names = [c.model.clone(), c.against.clone(), c.metric.clone()];
        numbers.row(&[names.as_slice(), &figures].concat());
        let against = label_of(&c.against);
        let excludes_zero = c.interval.0 > 0.0 || c.interval.1 < 0.0;
        rows.push(Row {
            name: if single { against } else { format!("{} − {against}", label_of(&c.model)) },
            value: Some(c.difference),
            interval: Some(c.interval),
            folds: Vec::new(),
            class: if excludes_zero { "network" } else { "control" },
            strong: false,
            apart: false,
        });
    }
    let title = format!("Difference in {}", metric.label);
    let versus = if single { format!("{} minus each other model", label_of(&first.model)) } else { title.clone() };
    let axis = Metric { label: title.clone(), ..metric.clone() };
    let n_clear = compared.iter().filter(|c| c.p_holm < 0.05).count();
    Some(Figure {
        id: "differences",
        title: format!("Paired differences in {}.", main_metric(evaluation)?.label),
        caption: format!(
            "{versus}, on the same predictions: pooled difference with its 95 % bootstrap interval over groups. Holm p \
             is below 0.05 in {n_clear} of {}.",
            compared.len()
        ),
        layout: "one",
        panels: vec![draw(&title, &rows, &axis, &[(Some(0.0), "reference")])],
        legend: vec![
            Key::new(Swatch::Dot("dot network".to_owned()), "interval excludes 0"),
            Key::new(Swatch::Dot("dot control".to_owned()), "interval includes 0"),
        ],
        numbers,
    })
}

fn draw(title: &str, rows: &[Row], metric: &Metric, references: &[(Option<f64>, &str)]) -> Panel {
    let shown = rows.iter().flat_map(|row| {
        let ends = row.interval.map_or([f64::NAN; 2], |(low, high)| [low, high]);
        row.value.into_iter().chain(ends).chain(row.folds.iter().copied())
    });
    let mut domain: Vec<f64> = shown.chain(references.iter().filter_map(|(at, _)| *at)).collect();
    if extent(domain.iter().copied()).is_none() {
        domain.push(0.0);
    }
    let axis = Axis::around(&metric.label, domain, 5);
    let bottom = TOP + ROW * rows.len() as f64 + 4.0;
    let frame = Frame { width: 522.0, height: bottom + 46.0, left: 200.0, right: 470.0, top: TOP, bottom };
    let mut plot = Plot::bare(frame, &axis, &Axis::unit(""));
    plot.horizontal_axis(&axis);
    for &(at, class) in references {
        if let Some(x) = at.map(|at| plot.x.at(at)) {
            plot.segment(class, (x, frame.top), (x, frame.bottom));
        }
    }
    for (i, row) in rows.iter().enumerate() {
        draw_row(&mut plot, row, TOP + ROW * (i as f64 + 0.5) + 2.0);
    }
    plot.panel(title, format!("{}: {}.", metric.label, spoken(rows)))
}

fn draw_row(plot: &mut Plot, row: &Row, y: f64) {
    let frame = plot.frame;
    if row.apart {
        plot.segment("rule", (0.0, y - ROW / 2.0), (frame.width, y - ROW / 2.0));
    }
    let strong = if row.strong { "label strong end" } else { "label end" };
    plot.label(strong, (frame.left - 10.0, y + 4.0), &shortened(&row.name, LETTERS));
    plot.label("figure", (frame.right + 10.0, y + 4.0), &row.value.map_or_else(|| value(None), rounded));
    for &fold in &row.folds {
        let x = plot.x.at(fold);
        plot.marks.leaf("circle", &[("class", &"fold"), ("cx", &Px(x)), ("cy", &Px(y + 8.0)), ("r", &1.6)]);
    }
    if let Some((low, high)) = row.interval.filter(|(low, high)| low.is_finite() && high.is_finite()) {
        let (from, to) = (plot.x.at(low), plot.x.at(high));
        plot.segment(&format!("whisker {}", row.class), (from, y), (to, y));
    }
    let Some(at) = row.value.filter(|v| v.is_finite()) else { return };
    let title = format!("{}: {} {}", row.name, rounded(at), interval(row.interval));
    let x = plot.x.at(at);
    let class = format!("dot {}", row.class);
    if row.class == "baseline" {
        plot.block(&class, &title, (x - 4.0, y - 4.0), (x + 4.0, y + 4.0));
    } else {
        let radius = if row.class == "network" { 5.5 } else { 4.5 };
        let place: Attributes = &[("class", &class), ("cx", &Px(x)), ("cy", &Px(y)), ("r", &radius)];
        plot.marks.element("circle", place, |mark| mark.words("title", &[], title));
    }
}

fn spoken(rows: &[Row]) -> String {
    let named = |row: &Row| format!("{} {}", row.name, row.value.map_or_else(|| value(None), rounded));
    rows.iter().map(named).collect::<Vec<_>>().join(", ")
}

fn swatch(role: Role) -> Swatch {
    let class = format!("dot {}", role_name(role));
    if role == Role::Baseline { Swatch::Square(class) } else { Swatch::Dot(class) }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Network => "network",
        Role::Ablation => "ablation",
        Role::Baseline => "baseline",
        Role::Control => "control",
    }
}
