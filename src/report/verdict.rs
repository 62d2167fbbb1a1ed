//! The findings in words, before every number.

use super::page::{About, Page};
use crate::eval::result::Finding;

/// Marks of a finding: a tick, a cross, a bar; told apart by shape, word and colour.
const HOLDS: (&str, &str, &str) = ("holds", "holds", "M3 8.5l3.2 3.5L13 4.5");
const FAILS: (&str, &str, &str) = ("fails", "does not hold", "M4 4l8 8M12 4l-8 8");
const REMARK: (&str, &str, &str) = ("remark", "remark", "M8 3.5v6M8 12v.6");

/// Writes the section, where there is a finding.
pub fn write(page: &mut Page) {
    let evaluation = page.evaluation;
    page.section("verdict", "Verdict", About::Results, |page| {
        page.wrap("ul", &[("class", &"verdict")], |page| {
            for finding in &evaluation.verdict {
                finding_item(page, finding);
            }
        });
    });
}

fn finding_item(page: &mut Page, finding: &Finding) {
    let (class, word, path) = match finding.holds {
        Some(true) => HOLDS,
        Some(false) => FAILS,
        None => REMARK,
    };
    page.html.element("li", &[("class", &class)], |item| {
        item.element("p", &[("class", &"claim")], |p| {
            p.element("span", &[("class", &"badge")], |badge| {
                badge.element("svg", &[("aria-hidden", &"true"), ("viewBox", &"0 0 16 16")], |svg| {
                    svg.leaf("path", &[("d", &path)]);
                });
                badge.text(word);
            });
            p.text(" ");
            p.words("b", &[], &finding.claim);
        });
        item.words("p", &[], &finding.text);
    });
}
