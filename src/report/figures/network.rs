//! The case study as a network: one RNA, its partners around it.

use crate::error::shortened;
use std::f64::consts::{PI, TAU};

use super::{Figure, Key, Swatch};
use crate::data::Task;
use crate::eval::result::{CaseEdge, CaseStudy, Evaluation};
use crate::report::markup::{Attributes, Markup, Px};
use crate::report::numbers::{counted, exact, value};
use crate::report::plot::Panel;
use crate::report::tsv::Tsv;

/// Most partners around the RNA.
const MOST_PARTNERS: usize = 60;
const SIDE: f64 = 460.0;
const RADIUS: f64 = 145.0;
const LETTERS: usize = 11;

/// The truth and the prediction side by side; `None` without a case study of a binary task.
pub fn figure(evaluation: &Evaluation) -> Option<Figure> {
    let study = evaluation.case_study.as_ref().filter(|study| !study.edges.is_empty())?;
    if evaluation.setup.task == Task::Regression {
        return None;
    }
    let drawn = drawn(study);
    let mut numbers = Tsv::new(&["rna", "partner", "label", "probability", "predicted", "correct"]);
    for edge in by_probability(study) {
        let flags = [is_predicted(edge), !is_wrong(edge)].map(|flag| u8::from(flag).to_string());
        let names = [study.rna.clone(), edge.partner.clone(), exact(edge.label), exact(edge.probability)];
        numbers.row(&[names.as_slice(), &flags].concat());
    }
    let limit = if drawn.len() < study.edges.len() {
        format!(
            " {} of {} are drawn: all errors first, then the most certain predictions.",
            drawn.len(),
            counted(study.edges.len(), "partner")
        )
    } else {
        String::new()
    };
    Some(Figure {
        id: "network",
        title: format!("Partners of {}.", shortened(&study.rna, 40)),
        caption: format!(
            "{} Partners stand in order of label, then probability, clockwise from the top.{limit}",
            study.note
        ),
        layout: "two",
        panels: vec![panel(study, &drawn, false), panel(study, &drawn, true)],
        legend: vec![
            Key::new(Swatch::Dot("node positive".to_owned()), "true interaction (circle)"),
            Key::new(Swatch::Square("node negative".to_owned()), "no interaction (square)"),
            Key::new(Swatch::Line("edge yes".to_owned()), "interacts: in truth, or predicted (solid)"),
            Key::new(Swatch::Line("edge no".to_owned()), "does not (dashed)"),
            Key::new(Swatch::Line("edge wrong".to_owned()), "predicted wrongly (thick, crossed out)"),
        ],
        numbers,
    })
}

/// All edges by falling probability, ties by name.
pub fn by_probability(study: &CaseStudy) -> Vec<&CaseEdge> {
    let mut edges: Vec<&CaseEdge> = study.edges.iter().collect();
    edges.sort_by(|a, b| b.probability.total_cmp(&a.probability).then_with(|| a.partner.cmp(&b.partner)));
    edges
}

/// True when the prediction says that the pair interacts.
pub fn is_predicted(edge: &CaseEdge) -> bool {
    edge.probability >= 0.5
}

/// True when prediction and label differ.
pub fn is_wrong(edge: &CaseEdge) -> bool {
    is_predicted(edge) != (edge.label >= 0.5)
}

fn drawn(study: &CaseStudy) -> Vec<&CaseEdge> {
    let mut edges = by_probability(study);
    let certainty = |edge: &CaseEdge| (edge.probability - 0.5).abs();
    edges.sort_by(|a, b| is_wrong(b).cmp(&is_wrong(a)).then_with(|| certainty(b).total_cmp(&certainty(a))));
    edges.truncate(MOST_PARTNERS);
    let positive = |edge: &CaseEdge| edge.label >= 0.5;
    edges.sort_by(|a, b| {
        let by_label = positive(b).cmp(&positive(a));
        by_label.then_with(|| b.probability.total_cmp(&a.probability)).then_with(|| a.partner.cmp(&b.partner))
    });
    edges
}

fn panel(study: &CaseStudy, edges: &[&CaseEdge], predicted: bool) -> Panel {
    let centre = SIDE / 2.0;
    let mut marks = Markup::default();
    let place = |i: usize, radius: f64| {
        let angle = TAU * i as f64 / edges.len() as f64 - PI / 2.0;
        (centre + radius * angle.cos(), centre + radius * angle.sin(), angle)
    };
    for (i, edge) in edges.iter().enumerate() {
        let (x, y, _) = place(i, RADIUS);
        let positive = if predicted { is_predicted(edge) } else { edge.label >= 0.5 };
        let wrong = predicted && is_wrong(edge);
        let class =
            ["edge no", "edge yes", "edge no wrong", "edge yes wrong"][usize::from(positive) + 2 * usize::from(wrong)];
        let ends: Attributes =
            &[("class", &class), ("x1", &Px(centre)), ("y1", &Px(centre)), ("x2", &Px(x)), ("y2", &Px(y))];
        marks.leaf("line", ends);
        if wrong {
            let (x, y, _) = place(i, RADIUS * 0.72);
            let cross = format!("M{0} {1}l10 10m0 -10l-10 10", Px(x - 5.0), Px(y - 5.0));
            marks.leaf("path", &[("class", &"cross"), ("d", &cross)]);
        }
    }
    for (i, edge) in edges.iter().enumerate() {
        node(&mut marks, edge, place(i, RADIUS));
        let strong = predicted && is_wrong(edge);
        partner_name(&mut marks, &edge.partner, place(i, RADIUS + 11.0), (edges.len() > 44, strong));
    }
    centre_name(&mut marks, &study.rna, centre);
    let n_wrong = edges.iter().filter(|edge| is_wrong(edge)).count();
    let n_positive = edges.iter().filter(|edge| if predicted { is_predicted(edge) } else { edge.label >= 0.5 }).count();
    let (title, description) = if predicted {
        let errors = counted(n_wrong, "error");
        ("Predicted", format!("{n_positive} of {} predicted to interact; {errors}.", counted(edges.len(), "partner")))
    } else {
        ("Actual", format!("{n_positive} of {} truly interact.", counted(edges.len(), "partner")))
    };
    Panel { title: title.to_owned(), description, width: SIDE, height: SIDE, marks }
}

fn node(marks: &mut Markup, edge: &CaseEdge, (x, y, _): (f64, f64, f64)) {
    let title = format!("{}: label {}, probability {}", edge.partner, value(edge.label), value(edge.probability));
    if edge.label >= 0.5 {
        let circle: Attributes = &[("class", &"node positive"), ("cx", &Px(x)), ("cy", &Px(y)), ("r", &6)];
        marks.element("circle", circle, |mark| mark.words("title", &[], title));
    } else {
        let square: Attributes =
            &[("class", &"node negative"), ("x", &Px(x - 5.5)), ("y", &Px(y - 5.5)), ("width", &11), ("height", &11)];
        marks.element("rect", square, |mark| mark.words("title", &[], title));
    }
}

/// The name runs outwards along its spoke and is never upside down.
fn partner_name(marks: &mut Markup, name: &str, (x, y, angle): (f64, f64, f64), (dense, strong): (bool, bool)) {
    let degrees = angle.to_degrees();
    let (turn, side) = if angle.cos() < -1e-9 { (degrees + 180.0, "end") } else { (degrees, "start") };
    let turned = format!("rotate({} {} {})", Px(turn), Px(x), Px(y));
    let dense = if dense { " dense" } else { "" };
    let strong = if strong { " strong" } else { "" };
    let class = format!("partner {side}{dense}{strong}");
    let place: Attributes =
        &[("class", &class), ("x", &Px(x)), ("y", &Px(y)), ("dy", &"0.35em"), ("transform", &turned)];
    marks.element("text", place, |text| {
        text.words("title", &[], name);
        text.text(shortened(name, LETTERS));
    });
}

fn centre_name(marks: &mut Markup, rna: &str, centre: f64) {
    let shown = shortened(rna, 14);
    let width = (shown.chars().count() as f64 * 8.2 + 20.0).max(48.0);
    let pill: Attributes = &[
        ("class", &"hub"),
        ("x", &Px(centre - width / 2.0)),
        ("y", &Px(centre - 15.0)),
        ("width", &Px(width)),
        ("height", &30),
        ("rx", &15),
    ];
    marks.leaf("rect", pill);
    marks.element("text", &[("class", &"hub-name"), ("x", &Px(centre)), ("y", &Px(centre + 4.5))], |text| {
        text.words("title", &[], rna);
        text.text(shown);
    });
}

#[cfg(test)]
mod tests {
    use super::{MOST_PARTNERS, drawn, is_wrong};
    use crate::report::sample;

    #[test]
    fn a_crowd_is_limited_and_keeps_its_errors() {
        let study = sample::crowded().case_study.unwrap_or_else(|| unreachable!("the sample has one"));
        let n_wrong = study.edges.iter().filter(|edge| is_wrong(edge)).count();
        let drawn = drawn(&study);
        assert!(study.edges.len() > MOST_PARTNERS && n_wrong > 0 && n_wrong < MOST_PARTNERS);
        assert_eq!(drawn.len(), MOST_PARTNERS);
        assert_eq!(drawn.iter().filter(|edge| is_wrong(edge)).count(), n_wrong);
    }
}
