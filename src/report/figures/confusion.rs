//! Confusion matrices.

use super::Figure;
use super::series::chosen;
use crate::eval::result::{CaseStudy, Evaluation};
use crate::report::markup::{Attributes, Markup, Px};
use crate::report::numbers::{count, percent};
use crate::report::plot::Panel;
use crate::report::tsv::Tsv;

/// Side of a cell and room for the row and column names.
const CELL: (f64, f64) = (82.0, 64.0);
const LEFT: f64 = 58.0;
/// Most matrices side by side.
const MOST_PANELS: usize = 6;
const TOP: f64 = 38.0;

/// Matrices of the models whose curves are drawn, pooled at the class threshold; `None` where all are empty.
pub fn figure(evaluation: &Evaluation) -> Option<Figure> {
    let with_counts = chosen(evaluation).into_iter().filter(|s| s.curves.confusion != [0; 4]);
    let series: Vec<_> = with_counts.take(MOST_PANELS).collect();
    if series.is_empty() {
        return None;
    }
    let mut numbers = columns();
    for curves in evaluation.curves.iter().filter(|c| c.confusion != [0; 4]) {
        numbers.row(&cells(&curves.model, curves.confusion));
    }
    Some(Figure {
        id: "confusion",
        title: format!("Confusion matrices at {}.", evaluation.setup.threshold_in_words()),
        caption: "Pooled over folds, seeds averaged by pair. Percentages are of the row: recall and specificity on \
                  the diagonal. All models are in the numbers."
            .to_owned(),
        layout: "small",
        panels: series.iter().map(|s| panel(s.label, s.curves.confusion)).collect(),
        legend: Vec::new(),
        numbers,
    })
}

/// Header of the numbers.
pub fn columns() -> Tsv {
    Tsv::new(&["model", "true_positive", "false_positive", "false_negative", "true_negative"])
}

/// One row of the numbers.
pub fn cells(model: &str, confusion: [usize; 4]) -> Vec<String> {
    std::iter::once(model.to_owned()).chain(confusion.iter().map(usize::to_string)).collect()
}

/// True positive, false positive, false negative, true negative of a case study at probability 0.5.
pub fn of_case(study: &CaseStudy) -> [usize; 4] {
    let mut confusion = [0; 4];
    for edge in &study.edges {
        let cell = match (edge.label >= 0.5, edge.probability >= 0.5) {
            (true, true) => 0,
            (false, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
        };
        confusion[cell] += 1;
    }
    confusion
}

/// One matrix: rows are the truth, columns the prediction.
pub fn panel(title: &str, [tp, fp, fnn, tn]: [usize; 4]) -> Panel {
    let mut marks = Markup::default();
    let text = |marks: &mut Markup, class: &str, x: f64, y: f64, text: &str| {
        marks.words("text", &[("class", &class), ("x", &Px(x)), ("y", &Px(y))], text);
    };
    text(&mut marks, "axis-name middle", LEFT + CELL.0, 13.0, "predicted");
    let rows = [("true 1", [tp, fnn]), ("true 0", [fp, tn])];
    for (r, (row_name, row)) in rows.into_iter().enumerate() {
        let top = TOP + r as f64 * CELL.1;
        text(&mut marks, "tick end", LEFT - 8.0, top + CELL.1 / 2.0 + 4.0, row_name);
        for (c, n) in row.into_iter().enumerate() {
            let left = LEFT + c as f64 * CELL.0;
            if r == 0 {
                text(&mut marks, "tick middle", left + CELL.0 / 2.0, TOP - 8.0, ["1", "0"][c]);
            }
            let total = row[0] + row[1];
            // At most 45 % of the colour, so that the text keeps its contrast.
            let strength = if total == 0 { 0.0 } else { 0.05 + 0.4 * n as f64 / total as f64 };
            let class = if r == c { "cell right" } else { "cell wrong" };
            let place: Attributes = &[
                ("class", &class),
                ("x", &Px(left + 1.0)),
                ("y", &Px(top + 1.0)),
                ("width", &Px(CELL.0 - 2.0)),
                ("height", &Px(CELL.1 - 2.0)),
                ("fill-opacity", &Px(strength)),
            ];
            marks.leaf("rect", place);
            text(&mut marks, "number middle", left + CELL.0 / 2.0, top + CELL.1 / 2.0, &count(n));
            text(&mut marks, "share middle", left + CELL.0 / 2.0, top + CELL.1 / 2.0 + 18.0, &percent(n, total));
        }
    }
    Panel {
        title: title.to_owned(),
        description: format!(
            "{title}: {tp} true positives, {fp} false positives, {fnn} false negatives, {tn} true negatives."
        ),
        width: LEFT + 2.0 * CELL.0 + 2.0,
        height: TOP + 2.0 * CELL.1 + 2.0,
        marks,
    }
}

#[cfg(test)]
mod tests {
    use super::of_case;
    use crate::report::sample;

    #[test]
    fn the_case_study_is_counted() {
        let study = sample::binary().case_study.unwrap_or_else(|| unreachable!("the sample has one"));
        assert_eq!(of_case(&study), [28, 2, 1, 6]);
    }
}
