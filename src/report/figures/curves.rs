//! ROC and precision–recall curves.

use super::series::{Series, chosen};
use super::{Figure, Key, Swatch};
use crate::eval::result::Evaluation;
use crate::report::axis::Axis;
use crate::report::metrics::{by_label, overall, prevalence};
use crate::report::numbers::{exact, value};
use crate::report::plot::{Frame, Panel, Plot};
use crate::report::tsv::Tsv;

/// Both curves of the chosen models; `None` where no model has any.
pub fn figure(evaluation: &Evaluation) -> Option<Figure> {
    let series = chosen(evaluation);
    let prevalence = prevalence(evaluation);
    let mut panels = Vec::new();
    if series.iter().any(|s| !s.curves.roc.is_empty()) {
        panels.push(roc(&series));
    }
    if series.iter().any(|s| !s.curves.precision_recall.is_empty()) {
        panels.push(precision_recall(&series, prevalence));
    }
    if panels.is_empty() {
        return None;
    }
    let mut legend: Vec<Key> = series.iter().map(key).collect();
    legend.push(Key::new(Swatch::Line("reference".to_owned()), "a guess"));
    Some(Figure {
        id: "curves",
        title: "ROC and precision–recall curves.".to_owned(),
        caption: "Pooled over the predictions of all folds, seeds averaged by pair. In brackets: AUROC; AUPRC. The \
                  network is bold; of ablations and baselines the best three each are drawn, and all are in the \
                  numbers."
            .to_owned(),
        layout: "two",
        panels,
        legend,
        numbers: numbers(evaluation),
    })
}

fn key(series: &Series) -> Key {
    let of = |label| series.scores.and_then(|scores| by_label(scores, label)).and_then(overall);
    let areas = match (of("AUROC"), of("AUPRC")) {
        (None, None) => String::new(),
        (roc, pr) => format!(" ({}; {})", value(roc), value(pr)),
    };
    Key::new(Swatch::Line(series.class.clone()), format!("{}{areas}", series.label))
}

fn roc(series: &[Series]) -> Panel {
    let axes = (Axis::unit("False positive rate"), Axis::unit("True positive rate"));
    let mut plot = Plot::new(Frame::SQUARE, &axes.0, &axes.1);
    plot.line("reference", (0.0, 0.0), (1.0, 1.0));
    // The network is drawn last, on top of the others.
    for s in series.iter().rev() {
        plot.curve(&s.class, s.label, &s.curves.roc);
    }
    plot.panel("ROC", format!("True positive rate against false positive rate of {} models.", series.len()))
}

fn precision_recall(series: &[Series], prevalence: Option<f64>) -> Panel {
    let axes = (Axis::unit("Recall"), Axis::unit("Precision"));
    let mut plot = Plot::new(Frame::SQUARE, &axes.0, &axes.1);
    if let Some(prevalence) = prevalence {
        plot.line("reference", (0.0, prevalence), (1.0, prevalence));
        let at = (plot.frame.left + 6.0, plot.y.at(prevalence) + if prevalence > 0.1 { 15.0 } else { -6.0 });
        plot.label("note", at, &format!("prevalence {}", value(prevalence)));
    }
    for s in series.iter().rev() {
        plot.curve(&s.class, s.label, &s.curves.precision_recall);
    }
    plot.panel("Precision–recall", format!("Precision against recall of {} models.", series.len()))
}

fn numbers(evaluation: &Evaluation) -> Tsv {
    let mut tsv = Tsv::new(&["model", "curve", "x", "y"]);
    for curves in &evaluation.curves {
        for (curve, points) in [("roc", &curves.roc), ("precision_recall", &curves.precision_recall)] {
            for &(x, y) in points {
                tsv.row(&[curves.model.clone(), curve.to_owned(), exact(x), exact(y)]);
            }
        }
    }
    tsv
}
