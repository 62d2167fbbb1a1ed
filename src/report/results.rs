//! The sections on what the evaluation found: scores, comparisons, curves, training, gate.

use super::figures::{confusion, curves, forest, gate, histories, reliability, scatter};
use super::page::{About, Page};
use super::tables;

/// Writes the sections that have data.
pub fn write(page: &mut Page) {
    let evaluation = page.evaluation;
    page.section("scores", "Scores", About::Results, tables::scores);
    page.section("comparison", "Against what it must beat", About::Results, |page| {
        page.wrap("div", &[("class", &"beside")], |page| {
            page.figure(forest::models(evaluation));
            page.figure(forest::differences(evaluation));
        });
        tables::comparisons(page);
    });
    page.section("curves", "Discrimination and calibration", About::Results, |page| {
        page.figure(curves::figure(evaluation));
        page.wrap("div", &[("class", &"beside uneven")], |page| {
            page.figure(reliability::figure(evaluation));
            page.figure(confusion::figure(evaluation));
        });
    });
    page.section("scatter", "Predicted and measured values", About::Results, |page| {
        page.figure(scatter::figure(evaluation));
    });
    page.section("training", "Training", About::Results, |page| page.figure(histories::figure(evaluation)));
    page.section("gate", "The gate", About::Results, |page| page.figure(gate::figure(evaluation)));
}
