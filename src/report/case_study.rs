//! The section on one chosen RNA: network, confusion matrix, table.

use super::axis::Axis;
use super::figures::{Figure, confusion, network, scatter};
use super::markup::{Attributes, Markup, Px};
use super::numbers::{counted, exact, value};
use super::page::{About, Page};
use super::tsv::Tsv;
use crate::data::Task;
use crate::error::shortened;
use crate::eval::result::{CaseEdge, CaseStudy};

/// Rows that are always visible, and rows at most.
const OPEN_ROWS: usize = 40;
const MOST_ROWS: usize = 500;

/// Writes the section, where there is a case study.
pub fn write(page: &mut Page) {
    let evaluation = page.evaluation;
    let Some(study) = evaluation.case_study.as_ref().filter(|study| !study.edges.is_empty()) else { return };
    let title = format!("Case study: {}", shortened(&study.rna, 40));
    let regression = evaluation.setup.task == Task::Regression;
    page.section("case", &title, About::Results, |page| {
        page.figure(network::figure(evaluation));
        let class = if regression { "beside" } else { "beside case" };
        page.wrap("div", &[("class", &class)], |page| {
            page.figure(Some(if regression { measured(study) } else { matrix(study) }));
            page.wrap("div", &[], |page| table(page, study, regression));
        });
    });
}

fn matrix(study: &CaseStudy) -> Figure {
    let cells = confusion::of_case(study);
    let mut numbers = confusion::columns();
    numbers.row(&confusion::cells("network", cells));
    Figure {
        id: "case_confusion",
        title: "Confusion matrix of the case study.".to_owned(),
        caption: format!("{} at probability 0.5.", counted(study.edges.len(), "partner")),
        layout: "small",
        panels: vec![confusion::panel("Case study", cells)],
        legend: Vec::new(),
        numbers,
    }
}

fn measured(study: &CaseStudy) -> Figure {
    let points: Vec<(f64, f64)> = study.edges.iter().map(|edge| (edge.label, edge.probability)).collect();
    let axis = Axis::around("", points.iter().flat_map(|&(label, predicted)| [label, predicted]), 5);
    let mut numbers = Tsv::new(&["rna", "partner", "label", "prediction"]);
    for edge in network::by_probability(study) {
        numbers.row(&[study.rna.clone(), edge.partner.clone(), exact(edge.label), exact(edge.probability)]);
    }
    Figure {
        id: "case_scatter",
        title: format!("Predicted against measured values of {}.", shortened(&study.rna, 40)),
        caption: study.note.clone(),
        layout: "snug",
        panels: vec![scatter::panel("Case study", "", &axis, &points)],
        legend: Vec::new(),
        numbers,
    }
}

fn table(page: &mut Page, study: &CaseStudy, regression: bool) {
    let edges = network::by_probability(study);
    let what = if regression { "value" } else { "probability" };
    let (open, folded) = edges.split_at(edges.len().min(OPEN_ROWS));
    page.table("case", &format!("Partners by {what}."), None, |table| rows(table, open, regression, 0));
    if folded.is_empty() {
        return;
    }
    let shown = &folded[..folded.len().min(MOST_ROWS)];
    page.wrap("details", &[], |page| {
        page.html.words("summary", &[], format!("{} more partners", folded.len()));
        page.further_table("case", "Further partners.", |table| rows(table, shown, regression, OPEN_ROWS));
        if shown.len() < folded.len() {
            let rest = folded.len() - shown.len();
            page.html.words("p", &[], format!("{rest} more are in the figure's numbers."));
        }
    });
}

fn rows(table: &mut Markup, edges: &[&CaseEdge], regression: bool, before: usize) {
    let headings: &[(&str, &str)] = if regression {
        &[("", "#"), ("name", "Partner"), ("", "Measured"), ("", "Predicted")]
    } else {
        &[("", "#"), ("name", "Partner"), ("", "Label"), ("", "Probability"), ("name", ""), ("name", "Outcome")]
    };
    table.element("thead", &[], |head| {
        head.element("tr", &[], |row| {
            for (class, heading) in headings.iter().filter(|(_, heading)| !heading.is_empty()) {
                let span = if *heading == "Probability" { 2 } else { 1 };
                row.words("th", &[("scope", &"col"), ("class", class), ("colspan", &span)], heading);
            }
        });
    });
    table.element("tbody", &[], |body| {
        for (i, edge) in edges.iter().enumerate() {
            let wrong = !regression && network::is_wrong(edge);
            body.element("tr", &[("class", &if wrong { "wrong" } else { "" })], |row| {
                row.words("td", &[("class", &"n soft")], before + i + 1);
                let name: Attributes = &[("scope", &"row"), ("class", &"name id"), ("title", &edge.partner)];
                row.words("th", name, shortened(&edge.partner, 30));
                let label = if edge.label.fract() == 0.0 { exact(edge.label) } else { value(edge.label) };
                row.words("td", &[("class", &"n")], label);
                row.words("td", &[("class", &"n")], value(edge.probability));
                if !regression {
                    row.element("td", &[("class", &"bar-cell")], |cell| probability_bar(cell, edge));
                    row.words("td", &[("class", &"name outcome")], outcome(edge));
                }
            });
        }
    });
}

fn outcome(edge: &CaseEdge) -> &'static str {
    match (edge.label >= 0.5, network::is_predicted(edge)) {
        (true, true) => "true positive",
        (false, false) => "true negative",
        (false, true) => "✕ false positive",
        (true, false) => "✕ false negative",
    }
}

fn probability_bar(cell: &mut Markup, edge: &CaseEdge) {
    let width = 80.0 * edge.probability.clamp(0.0, 1.0);
    let class = if network::is_wrong(edge) { "fill wrong" } else { "fill" };
    cell.element("svg", &[("aria-hidden", &"true"), ("width", &80), ("height", &10)], |svg| {
        svg.leaf("rect", &[("class", &"track"), ("width", &80), ("height", &10)]);
        svg.leaf("rect", &[("class", &class), ("width", &Px(width)), ("height", &10)]);
        svg.leaf("line", &[("class", &"half"), ("x1", &40), ("x2", &40), ("y1", &0), ("y2", &10)]);
    });
}
