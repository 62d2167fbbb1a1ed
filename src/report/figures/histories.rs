//! Training curves.

use super::{Figure, Key, Swatch};
use crate::data::Task;
use crate::eval::result::{Evaluation, History};
use crate::report::axis::{Axis, extent};
use crate::report::numbers::{count, counted, exact, value};
use crate::report::plot::{Frame, Panel, Plot};
use crate::report::tsv::Tsv;

/// Most single trainings that are drawn; the median is over all.
const MOST_LINES: usize = 40;
/// Most points of a drawn line.
const MOST_POINTS: usize = 160;

/// A curve of a training.
type Curve = fn(&History) -> &[f64];

/// Loss per epoch of every training and their median; `None` without trainings.
pub fn figure(evaluation: &Evaluation) -> Option<Figure> {
    let histories = &evaluation.histories;
    let optimistic = evaluation.setup.protocol == "paper";
    let inner = if optimistic { "Loss on the evaluation fold" } else { "Loss on the inner part" };
    let curves: [(&str, Curve); 3] = [
        ("Training loss", |h| &h.train_loss),
        (inner, |h| &h.inner_loss),
        ("Watched by the stopping rule", |h| &h.watched),
    ];
    let mut panels = Vec::new();
    for (i, (title, curve)) in curves.into_iter().enumerate() {
        let has_data = histories.iter().any(|h| curve(h).iter().any(|v| v.is_finite()));
        let repeats = i == 2 && histories.iter().all(|h| h.watched == h.inner_loss);
        if has_data && !repeats {
            panels.push(panel(title, histories, curve));
        }
    }
    if panels.is_empty() {
        return None;
    }
    let drawn = if histories.len() > MOST_LINES {
        format!(" {MOST_LINES} of {} are drawn, evenly chosen.", counted(histories.len(), "training"))
    } else {
        String::new()
    };
    let of_values = evaluation.setup.task == Task::Regression || evaluation.setup.active_from.is_some();
    let unit =
        if of_values { " The loss is the squared error of labels divided by the largest training label." } else { "" };
    Some(Figure {
        id: "histories",
        title: match &panels[..] {
            // A panel alone has no heading of its own.
            [only] => format!("{} of the network.", only.title),
            _ => "Training curves of the network.".to_owned(),
        },
        caption: format!(
            "One thin line per training ({}), median bold as long as half of them run.{drawn} Lines beyond the upper \
             edge are cut there.{unit}",
            counted(histories.len(), "training")
        ),
        layout: if panels.len() == 2 { "two" } else { "three" },
        panels,
        legend: vec![
            Key::new(Swatch::Line("thin".to_owned()), "one training"),
            Key::new(Swatch::Line("series main".to_owned()), "median"),
            Key::new(Swatch::Dot("kept".to_owned()), "epoch whose weights were kept"),
        ],
        numbers: numbers(histories),
    })
}

fn panel(title: &str, histories: &[History], curve: Curve) -> Panel {
    let median = median(histories, curve);
    let n_epochs = histories.iter().map(|h| curve(h).len()).max().unwrap_or(1);
    let x = Axis::fixed("Epoch", 1.0, n_epochs.max(2) as f64, 5).whole();
    let y = Axis::around("", domain(histories, curve, &median), 5);
    let mut plot = Plot::new(Frame::PANEL, &x, &y);
    let stride = histories.len().div_ceil(MOST_LINES).max(1);
    for history in histories.iter().step_by(stride) {
        let name = format!("seed {}, fold {}", history.seed, history.fold);
        plot.curve("thin", &name, &thinned(curve(history)));
    }
    plot.curve("series main", "median", &thinned(&median));
    for history in histories.iter().step_by(stride) {
        let Some(kept) = history.kept_epoch.checked_sub(1).and_then(|epoch| curve(history).get(epoch)) else {
            continue;
        };
        let epoch = history.kept_epoch;
        let title = format!("seed {}, fold {}: epoch {epoch}, {}", history.seed, history.fold, value(*kept));
        plot.point("kept", 3.0, &title, (epoch as f64, *kept));
    }
    let last = median.last().copied().map_or_else(String::new, |v| format!(" The median ends at {}.", value(v)));
    plot.panel(
        title,
        format!("{title} of {} over {} epochs.{last}", counted(histories.len(), "training"), count(n_epochs)),
    )
}

/// Values that the vertical axis must show: all but the highest 2 %, which are mostly first epochs.
fn domain(histories: &[History], curve: Curve, median: &[f64]) -> Vec<f64> {
    let mut values: Vec<f64> = histories.iter().flat_map(curve).copied().filter(|v| v.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let n_shown = if values.len() < 50 { values.len() } else { values.len() - values.len() / 50 };
    let (low, high) = extent(values.into_iter().take(n_shown).chain(median.iter().copied())).unwrap_or((0.0, 1.0));
    vec![low, high]
}

/// Median of each epoch, as long as at least half of the trainings reached it.
fn median(histories: &[History], curve: Curve) -> Vec<f64> {
    let n_epochs = histories.iter().map(|h| curve(h).len()).max().unwrap_or(0);
    let n_with = histories.iter().filter(|h| !curve(h).is_empty()).count();
    (0..n_epochs)
        .map_while(|epoch| {
            let reached: Vec<f64> = histories.iter().filter_map(|h| curve(h).get(epoch)).copied().collect();
            (reached.len() * 2 >= n_with).then(|| middle(reached))
        })
        .collect()
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.retain(|v| v.is_finite());
    values.sort_by(f64::total_cmp);
    let n = values.len();
    match (values.get(n / 2), n % 2) {
        (None, _) => f64::NAN,
        (Some(&upper), 1) => upper,
        (Some(&upper), _) => f64::midpoint(values[n / 2 - 1], upper),
    }
}

/// Points (epoch, value), at most [`MOST_POINTS`] and always the last.
fn thinned(values: &[f64]) -> Vec<(f64, f64)> {
    let stride = values.len().div_ceil(MOST_POINTS).max(1);
    let last = values.len().saturating_sub(1);
    let kept = values.iter().enumerate().filter(|(i, _)| i % stride == 0 || *i == last);
    kept.map(|(i, &v)| (i as f64 + 1.0, v)).collect()
}

fn numbers(histories: &[History]) -> Tsv {
    let mut tsv = Tsv::new(&["seed", "fold", "epoch", "train_loss", "inner_loss", "watched", "kept"]);
    let curves: [Curve; 3] = [|h| &h.train_loss, |h| &h.inner_loss, |h| &h.watched];
    for history in histories {
        for epoch in 0..curves.iter().map(|curve| curve(history).len()).max().unwrap_or(0) {
            let place = [history.seed.to_string(), history.fold.to_string(), (epoch + 1).to_string()];
            let values = curves.map(|curve| exact(curve(history).get(epoch).copied()));
            let kept = u8::from(history.kept_epoch == epoch + 1).to_string();
            tsv.row(&[place.as_slice(), &values, &[kept]].concat());
        }
    }
    let medians = curves.map(|curve| median(histories, curve));
    for epoch in 0..medians.iter().map(Vec::len).max().unwrap_or(0) {
        let values = [0, 1, 2].map(|i: usize| exact(medians[i].get(epoch).copied()));
        let place = ["median".to_owned(), String::new(), (epoch + 1).to_string()];
        tsv.row(&[place.as_slice(), &values, &[String::new()]].concat());
    }
    tsv
}

#[cfg(test)]
mod tests {
    use super::{History, median, middle, thinned};

    fn history(losses: &[f64]) -> History {
        let (train_loss, inner_loss, watched) = (losses.to_vec(), Vec::new(), Vec::new());
        History { seed: 0, fold: 0, train_loss, inner_loss, watched, kept_epoch: 1 }
    }

    #[test]
    fn the_median_stops_where_most_trainings_have_stopped() {
        let histories = [history(&[3.0, 2.0, 1.0]), history(&[1.0, 2.0]), history(&[2.0])];
        assert_eq!(median(&histories, |h| &h.train_loss), [2.0, 2.0]);
        assert_eq!(middle(vec![4.0, f64::NAN, 1.0]), 2.5);
        assert!(middle(Vec::new()).is_nan());
    }

    #[test]
    fn long_curves_keep_their_last_point() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        let points = thinned(&values);
        assert!(points.len() <= 161);
        assert_eq!(points.last(), Some(&(1000.0, 999.0)));
    }
}
