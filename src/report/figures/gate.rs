//! What the gate does: share of the partner per hidden dimension and per interaction.

use super::{Figure, Key, Swatch, histogram};
use crate::eval::result::{Evaluation, GateSummary};
use crate::report::axis::Axis;
use crate::report::numbers::{counted, exact, value};
use crate::report::plot::{Frame, Panel, Plot};
use crate::report::tsv::Tsv;

/// Most points of the sorted line.
const MOST_POINTS: usize = 512;

/// Both views of the gate; `None` where there is no gate.
pub fn figure(evaluation: &Evaluation) -> Option<Figure> {
    let gate = evaluation.gate.as_ref()?;
    let sorted = sorted(gate);
    let mut numbers = Tsv::new(&["part", "rank", "dimension", "share", "sd", "from", "to", "count"]);
    let blank = String::new;
    for (rank, &(dimension, share, sd)) in sorted.iter().enumerate() {
        let cells = [(rank + 1).to_string(), dimension.to_string(), exact(share), exact(sd)];
        numbers.row(&[&["dimension".to_owned()], cells.as_slice(), &[blank(), blank(), blank()]].concat());
    }
    let mut panels = Vec::new();
    if !sorted.is_empty() {
        panels.push(per_dimension(&sorted));
    }
    if histogram::is_drawable(&gate.per_interaction) {
        let bins = &gate.per_interaction;
        for (edges, n) in bins.edges.windows(2).zip(&bins.counts) {
            let cells = [exact(edges[0]), exact(edges[1]), n.to_string()];
            let empty = [blank(), blank(), blank(), blank()];
            numbers.row(&[&["interaction".to_owned()], empty.as_slice(), &cells].concat());
        }
        panels.push(histogram::panel(Frame::PANEL, "Per interaction", "Share of the partner", "Test pairs", bins));
    }
    if panels.is_empty() {
        return None;
    }
    Some(Figure {
        id: "gate",
        title: "Contribution of the partner through the gate.".to_owned(),
        caption: "Left: σ(g) of each hidden dimension, sorted; above 0.5 the partner weighs more, below it the RNA. \
                  Band: ± SD over trainings. Right: mean share of the partner of each test pair, weighted by the size \
                  of both operands."
            .to_owned(),
        layout: "two",
        panels,
        legend: vec![
            Key::new(Swatch::Line("series main".to_owned()), "mean over trainings"),
            Key::new(Swatch::Square("band".to_owned()), "± SD over trainings"),
            Key::new(Swatch::Line("reference".to_owned()), "equal shares"),
        ],
        numbers,
    })
}

/// (dimension, share, SD) by rising share; values that are not numbers are left out.
fn sorted(gate: &GateSummary) -> Vec<(usize, f64, Option<f64>)> {
    let sd = |i: usize| gate.per_dimension_sd.get(i).copied().filter(|sd| sd.is_finite());
    let mut dimensions: Vec<_> = gate.per_dimension.iter().enumerate().map(|(i, &share)| (i, share, sd(i))).collect();
    dimensions.retain(|(_, share, _)| share.is_finite());
    dimensions.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    dimensions
}

fn per_dimension(sorted: &[(usize, f64, Option<f64>)]) -> Panel {
    let n = sorted.len();
    let stride = n.div_ceil(MOST_POINTS);
    let drawn = || sorted.iter().enumerate().filter(|(i, _)| i % stride == 0 || i + 1 == n);
    let line = |of: fn(f64, f64) -> f64| -> Vec<(f64, f64)> {
        drawn().map(|(i, &(_, share, sd))| (i as f64 + 1.0, of(share, sd.unwrap_or(0.0)))).collect()
    };
    let x = Axis::fixed("Hidden dimension, sorted", 1.0, n.max(2) as f64, 5).whole();
    let mut plot = Plot::new(Frame::PANEL, &x, &Axis::unit("σ(g), share of the partner"));
    let (low, high) = (line(|share, sd| (share - sd).max(0.0)), line(|share, sd| (share + sd).min(1.0)));
    plot.band("band", &low, &high);
    plot.line("reference", (1.0, 0.5), (n.max(2) as f64, 0.5));
    plot.curve("series main", "σ(g)", &line(|share, _| share));
    let partner = sorted.iter().filter(|(_, share, _)| *share > 0.5).count();
    let at = (plot.frame.left + 8.0, plot.frame.top + 16.0);
    plot.label("note halo", at, &format!("partner weighs more in {partner} of {n}"));
    let ends = (sorted[0].1, sorted[n - 1].1);
    plot.panel(
        "Per dimension",
        format!("Shares of {} from {} to {}.", counted(n, "dimension"), value(ends.0), value(ends.1)),
    )
}
