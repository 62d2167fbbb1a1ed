//! Reliability: how often a predicted probability comes true.

use super::series::chosen;
use super::{Figure, Key, Swatch};
use crate::eval::result::Evaluation;
use crate::report::axis::Axis;
use crate::report::metrics::{by_label, main_model, overall};
use crate::report::numbers::{count, counted, exact, value};
use crate::report::plot::{Frame, Panel, Plot};
use crate::report::tsv::Tsv;

/// Height of the strip of counts below the curve.
const STRIP: f64 = 44.0;

/// Reliability of the network with the number of pairs per bin; `None` where it has no bins.
pub fn figure(evaluation: &Evaluation) -> Option<Figure> {
    let main = main_model(evaluation)?;
    let series = chosen(evaluation).into_iter().find(|s| s.curves.model == main.name)?;
    let bins = &series.curves.reliability;
    if bins.is_empty() {
        return None;
    }
    let ece = by_label(main, "ECE").and_then(overall).map_or(String::new(), |ece| format!(" ECE {}.", value(ece)));
    let mut numbers = Tsv::new(&["model", "mean_probability", "fraction_positive", "count"]);
    for curves in &evaluation.curves {
        for &(probability, fraction, n) in &curves.reliability {
            numbers.row(&[curves.model.clone(), exact(probability), exact(fraction), n.to_string()]);
        }
    }
    Some(Figure {
        id: "reliability",
        title: "Reliability.".to_owned(),
        caption: format!(
            "Share of true interactions among the pairs of each probability bin; bars: pairs in the bin, at most {}.{ece}",
            count(bins.iter().map(|bin| bin.2).max().unwrap_or(0))
        ),
        layout: "one",
        panels: vec![panel(series.label, bins)],
        legend: vec![
            Key::new(Swatch::Line("series main".to_owned()), series.label),
            Key::new(Swatch::Line("reference".to_owned()), "perfect calibration"),
        ],
        numbers,
    })
}

fn panel(label: &str, bins: &[(f64, f64, usize)]) -> Panel {
    let whole = Frame::SQUARE;
    let (x, y) = (Axis::unit("Predicted probability"), Axis::unit("Fraction positive"));
    let mut plot = Plot::bare(Frame { bottom: whole.bottom - STRIP - 10.0, ..whole }, &x, &y);
    plot.vertical_axis(&y);
    // The counts stand between the curve and the horizontal axis that both share.
    plot.frame = whole;
    plot.horizontal_axis(&x);
    let most = bins.iter().map(|bin| bin.2).max().unwrap_or(0).max(1);
    for &(probability, _, n) in bins {
        let height = (STRIP * n as f64 / most as f64).max(1.0);
        let x = plot.x.at(probability);
        let title = format!("{} near {}", counted(n, "pair"), value(probability));
        plot.block("bar plain", &title, (x - 6.0, whole.bottom), (x + 6.0, whole.bottom - height));
    }
    plot.line("reference", (0.0, 0.0), (1.0, 1.0));
    let points: Vec<(f64, f64)> = bins.iter().map(|&(probability, fraction, _)| (probability, fraction)).collect();
    plot.curve("series main", label, &points);
    for &(probability, fraction, n) in bins {
        let title = format!("predicted {}, true {} ({})", value(probability), value(fraction), counted(n, "pair"));
        plot.point("dot main", 3.5, &title, (probability, fraction));
    }
    plot.panel("Reliability", format!("Fraction positive against predicted probability of {label}."))
}
