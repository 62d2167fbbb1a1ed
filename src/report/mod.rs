//! The report: one self-contained HTML file with inline SVG, and the numbers of every figure as TSV.
//!
//! The page needs no script and loads nothing. What it says comes from the [`Evaluation`] alone, in a fixed order,
//! so the same evaluation always gives the same bytes.

mod axis;
mod case_study;
mod drawing;
mod figures;
mod markup;
mod metrics;
mod numbers;
mod overview;
mod page;
mod plot;
mod repeat;
mod results;
mod tables;
mod tsv;
mod verdict;

#[cfg(test)]
mod contrast;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use crate::eval::result::Evaluation;

/// A file of the report, not yet written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Path below the output folder, with `/` between its parts.
    pub path: String,
    /// The whole content.
    pub contents: String,
}

/// Renders `report.html` and one `figures/<id>.tsv` per figure and table, the page first.
///
/// Parts without data are left out: an evaluation without a gate has no gate section and no `figures/gate.tsv`.
#[must_use]
pub fn render(evaluation: &Evaluation) -> Vec<RenderedFile> {
    let mut page = page::Page::new(evaluation);
    verdict::write(&mut page);
    results::write(&mut page);
    case_study::write(&mut page);
    overview::write(&mut page);
    repeat::write(&mut page);
    page.finish()
}
