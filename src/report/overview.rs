//! The section on the data.

use std::collections::BTreeMap;

use super::figures::histogram;
use super::markup::Markup;
use super::numbers::{count, percent, value};
use super::page::{About, Page};
use crate::data::Task;
use crate::eval::result::{DataOverview, Evaluation};

/// Most contradictory pairs that are listed.
const MOST_LISTED: usize = 200;

/// Writes the section, where there is data.
pub fn write(page: &mut Page) {
    let evaluation = page.evaluation;
    if evaluation.data == DataOverview::default() {
        return;
    }
    page.section("data", "Data", About::Input, |page| {
        let facts = facts(evaluation);
        page.html.element("dl", &[("class", &"facts")], |list| {
            for (name, number, note) in &facts {
                list.element("div", &[], |item| {
                    item.words("dt", &[], name);
                    item.element("dd", &[], |dd| {
                        dd.words("b", &[], number);
                        if !note.is_empty() {
                            dd.words("small", &[], note);
                        }
                    });
                });
            }
        });
        page.figure(histogram::data(evaluation));
        let data = &evaluation.data;
        rejected(page, "Rows left out while reading.", &data.rejected);
        rejected(page, "Rows of the test set left out while reading.", &data.test_rejected);
        contradictory(&mut page.html, &evaluation.data);
    });
}

/// Name, number and remark.
fn facts(evaluation: &Evaluation) -> Vec<(&'static str, String, String)> {
    let data = &evaluation.data;
    let binary = evaluation.setup.task == Task::Binary && evaluation.setup.active_from.is_none();
    let one_label = |n: usize| if binary { format!("{} with one label only", count(n)) } else { String::new() };
    let pairs_note = if data.n_sequence_pairs > 0 {
        format!("{} distinct pairs of sequences", count(data.n_sequence_pairs))
    } else {
        String::new()
    };
    let mut facts = vec![("Pairs", count(data.n_pairs), pairs_note)];
    if binary {
        facts.push(("Positive pairs", count(data.n_positive), percent(data.n_positive, data.n_pairs)));
    }
    if data.n_test_pairs > 0 {
        facts.push(("Test pairs", count(data.n_test_pairs), "separate set".to_owned()));
    }
    facts.extend([
        ("RNAs", count(data.n_rna), one_label(data.n_rna_one_label)),
        ("Partners", count(data.n_partner), one_label(data.n_partner_one_label)),
        ("Distinct RNA sequences", count(data.n_rna_groups), String::new()),
        ("Distinct partner sequences", count(data.n_partner_groups), String::new()),
    ]);
    if data.n_dropped_by_split > 0 {
        facts.push((
            "Dropped by the split",
            count(data.n_dropped_by_split),
            "pairs, over the folds of a seed".to_owned(),
        ));
    }
    for (name, similarity) in [("RNA similarity", data.similarity_rna), ("Partner similarity", data.similarity_partner)]
    {
        if similarity.is_some_and(f64::is_finite) {
            facts.push((name, value(similarity), "cosine to the nearest training entity, mean".to_owned()));
        }
    }
    let n_contradictory = data.contradictory.len();
    facts.push((
        "Contradictory pairs",
        count(n_contradictory),
        format!("{} by sequence", count(data.n_contradictory_sequence_pairs)),
    ));
    facts
}

fn rejected(page: &mut Page, caption: &str, rejected: &BTreeMap<String, usize>) {
    if rejected.is_empty() {
        return;
    }
    page.table("small", caption, None, |table| {
        table.element("thead", &[], |head| {
            head.element("tr", &[], |row| {
                row.words("th", &[("scope", &"col"), ("class", &"name")], "Reason");
                row.words("th", &[("scope", &"col")], "Rows");
            });
        });
        table.element("tbody", &[], |body| {
            for (reason, &n) in rejected {
                body.element("tr", &[], |row| {
                    row.words("th", &[("scope", &"row"), ("class", &"name")], reason);
                    row.words("td", &[("class", &"n")], count(n));
                });
            }
        });
    });
}

fn contradictory(html: &mut Markup, data: &DataOverview) {
    let pairs = &data.contradictory;
    if pairs.is_empty() {
        return;
    }
    html.element("details", &[], |details| {
        details.words("summary", &[], format!("Pairs of identical ids with both labels ({})", count(pairs.len())));
        details.element("ul", &[("class", &"ids")], |list| {
            for pair in pairs.iter().take(MOST_LISTED) {
                list.words("li", &[], pair);
            }
        });
        if pairs.len() > MOST_LISTED {
            let rest = count(pairs.len() - MOST_LISTED);
            details.words("p", &[], format!("{rest} more are in metrics.json."));
        }
    });
}
