//! Histograms.

use super::Figure;
use crate::data::Task;
use crate::eval::result::{DataOverview, Evaluation, Histogram};
use crate::report::axis::{Axis, Spacing};
use crate::report::numbers::{count, exact, value};
use crate::report::plot::{Frame, Panel, Plot};
use crate::report::tsv::Tsv;

/// Lengths and labels of the data; `None` where there is no histogram.
pub fn data(evaluation: &Evaluation) -> Option<Figure> {
    let DataOverview { rna_lengths, partner_lengths, labels, .. } = &evaluation.data;
    let binary = evaluation.setup.task == Task::Binary;
    let shown = [
        ("RNA lengths", "rna_length", "Letters", rna_lengths),
        ("Partner lengths", "partner_length", "Letters or heavy atoms", partner_lengths),
        ("Labels", "label", "Label", labels),
    ];
    let mut numbers = columns();
    let mut panels = Vec::new();
    for (title, name, x_label, histogram) in shown {
        if !is_drawable(histogram) {
            continue;
        }
        rows(&mut numbers, name, histogram);
        panels.push(if name == "label" && binary && histogram.counts.len() == 2 {
            two_classes(title, histogram)
        } else {
            panel(Frame::COMPACT, title, x_label, if name == "label" { "Pairs" } else { "Entities" }, histogram)
        });
    }
    (!panels.is_empty()).then(|| Figure {
        id: "data",
        title: "Lengths and labels.".to_owned(),
        caption: "Lengths are counted over distinct entities, labels over pairs.".to_owned(),
        layout: "three",
        panels,
        legend: Vec::new(),
        numbers,
    })
}

/// Header of the numbers.
pub fn columns() -> Tsv {
    Tsv::new(&["histogram", "from", "to", "count"])
}

/// The bins as rows of the numbers.
pub fn rows(numbers: &mut Tsv, name: &str, histogram: &Histogram) {
    for (edges, n) in histogram.edges.windows(2).zip(&histogram.counts) {
        numbers.row(&[name.to_owned(), exact(edges[0]), exact(edges[1]), n.to_string()]);
    }
}

/// True when there are bins with finite, rising edges and something in them.
pub fn is_drawable(histogram: &Histogram) -> bool {
    histogram.edges.len() == histogram.counts.len() + 1
        && histogram.edges.windows(2).all(|edges| edges[0] < edges[1])
        && histogram.edges.iter().all(|edge| edge.is_finite())
        && histogram.counts.iter().any(|&n| n > 0)
}

/// One histogram; bins of growing width get a logarithmic axis.
pub fn panel(frame: Frame, title: &str, x_label: &str, y_label: &str, histogram: &Histogram) -> Panel {
    let edges = &histogram.edges;
    let (low, high) = (edges[0], edges[edges.len() - 1]);
    let width = |i: usize| edges[i + 1] - edges[i];
    let grows = low > 0.0 && width(edges.len() - 2) > 4.0 * width(0);
    let x = if grows { Axis::log(x_label, low, high) } else { Axis::fixed(x_label, low, high, 5) };
    let y = counts_axis(y_label, histogram);
    let mut plot = Plot::new(frame, &x, &y);
    for (edges, &n) in edges.windows(2).zip(&histogram.counts) {
        let title = format!("{} to {}: {}", value(edges[0]), value(edges[1]), count(n));
        let sides = (plot.x.at(edges[0]), plot.x.at(edges[1]));
        bar(&mut plot, "bar", &title, sides, n);
    }
    let scale = if x.spacing == Spacing::Log { " (logarithmic axis)" } else { "" };
    let total: usize = histogram.counts.iter().sum();
    plot.panel(title, format!("Histogram of {} values from {} to {}{scale}.", count(total), value(low), value(high)))
}

/// Counts of label 0 and label 1 as two named bars.
fn two_classes(title: &str, histogram: &Histogram) -> Panel {
    let x = Axis { ticks: vec![0.0, 1.0], ..Axis::fixed("Label", -0.6, 1.6, 2) };
    let mut plot = Plot::new(Frame::COMPACT, &x, &counts_axis("Pairs", histogram));
    for (label, &n) in histogram.counts.iter().enumerate() {
        let (from, to) = (plot.x.at(label as f64 - 0.32), plot.x.at(label as f64 + 0.32));
        let class = if label == 1 { "bar" } else { "bar plain" };
        bar(&mut plot, class, &format!("label {label}: {}", count(n)), (from, to), n);
        let above = plot.y.at(n as f64) - 7.0;
        plot.label("number middle", (f64::midpoint(from, to), above.max(24.0)), &count(n));
    }
    let [zero, one] = [0, 1].map(|label| histogram.counts.get(label).copied().unwrap_or(0));
    plot.panel(title, format!("{} pairs with label 0 and {} with label 1.", count(zero), count(one)))
}

fn bar(plot: &mut Plot, class: &str, title: &str, (from, to): (f64, f64), n: usize) {
    if n == 0 {
        return;
    }
    let gap = if to - from > 4.0 { 0.75 } else { 0.0 };
    let base = plot.frame.bottom;
    // A bin that holds something is never invisible.
    let top = plot.y.at(n as f64).min(base - 1.0);
    plot.block(class, title, (from + gap, base), (to - gap, top));
}

fn counts_axis(label: &str, histogram: &Histogram) -> Axis {
    let most = histogram.counts.iter().max().copied().unwrap_or(0) as f64;
    // Room for the number above the highest bar.
    Axis::fixed(label, 0.0, (most * 1.12).max(1.0), 4).whole()
}
