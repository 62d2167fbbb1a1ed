//! Predictions against labels.

use super::series::chosen;
use super::{Figure, Key, Swatch};
use crate::eval::result::Evaluation;
use crate::report::axis::Axis;
use crate::report::metrics::{by_label, overall};
use crate::report::numbers::{counted, exact, value};
use crate::report::plot::{Frame, Panel, Plot};
use crate::report::tsv::Tsv;

/// Most models side by side.
const MOST_PANELS: usize = 3;

/// Scatter of the network and, beside it, of the best other models; `None` without regression.
pub fn figure(evaluation: &Evaluation) -> Option<Figure> {
    let mut series: Vec<_> = chosen(evaluation).into_iter().filter(|s| !s.curves.scatter.is_empty()).collect();
    series.truncate(MOST_PANELS);
    if series.is_empty() {
        return None;
    }
    // The same axes everywhere, so that the panels can be compared.
    let shown = series.iter().flat_map(|s| s.curves.scatter.iter().flat_map(|&(label, predicted)| [label, predicted]));
    let axis = Axis::around("", shown, 5);
    let panels = series
        .iter()
        .map(|s| {
            let note = ["Pearson", "MAE"]
                .into_iter()
                .filter_map(|label| Some(format!("{label} {}", value(overall(by_label(s.scores?, label)?)))))
                .collect::<Vec<_>>()
                .join(", ");
            panel(s.label, &note, &axis, &s.curves.scatter)
        })
        .collect();
    let mut numbers = Tsv::new(&["model", "label", "prediction"]);
    for curves in &evaluation.curves {
        for &(label, predicted) in &curves.scatter {
            numbers.row(&[curves.model.clone(), exact(label), exact(predicted)]);
        }
    }
    Some(Figure {
        id: "scatter",
        title: "Predicted against measured.".to_owned(),
        caption: "Every evaluated pair, or an even sample of them, pooled over folds, seeds averaged by pair."
            .to_owned(),
        layout: "three",
        panels,
        legend: vec![Key::new(Swatch::Line("reference".to_owned()), "prediction = label")],
        numbers,
    })
}

/// One scatter plot with the identity line.
pub fn panel(title: &str, note: &str, axis: &Axis, points: &[(f64, f64)]) -> Panel {
    let named = |label: &str| Axis { label: label.to_owned(), ..axis.clone() };
    let mut plot = Plot::new(Frame::COMPACT_SQUARE, &named("Measured"), &named("Predicted"));
    plot.line("reference", (axis.low, axis.low), (axis.high, axis.high));
    plot.cloud("cloud", points);
    plot.label("note halo", (plot.frame.left + 8.0, plot.frame.top + 16.0), note);
    plot.panel(title, format!("{} as points, prediction against label. {note}", counted(points.len(), "pair")))
}
