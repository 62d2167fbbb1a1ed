//! The section on how to repeat the evaluation.

use super::numbers::count;
use super::page::{About, Page};
use crate::data::EncoderIdentity;

/// Most seeds that are written out.
const MOST_SEEDS: usize = 24;

/// Writes the section.
pub fn write(page: &mut Page) {
    let evaluation = page.evaluation;
    let setup = &evaluation.setup;
    page.section("repeat", "How to repeat it", About::Input, |page| {
        if !setup.command.is_empty() {
            page.html.element("pre", &[], |pre| pre.words("code", &[], &setup.command));
        }
        let protocol = if page.is_optimistic() { "paper (optimistic)" } else { setup.protocol.as_str() };
        let rows = [
            ("Program", format!("{}, layout {}", evaluation.tool, evaluation.schema)),
            ("Protocol", format!("{protocol}; split {}; folds {}", setup.split, setup.folds)),
            ("Seeds", seeds(&setup.seeds)),
            ("Training", format!("at most {} epochs; stop: {}", count(setup.epochs), setup.stop)),
            (
                "Inputs",
                if setup.standardise { "standardised on the training entities" } else { "as they are" }.to_owned(),
            ),
            ("Network", format!("{} ({} parameters)", setup.network, count(setup.parameters))),
            ("RNA encoder", encoder(&setup.rna_encoder)),
            ("Partner encoder", encoder(&setup.partner_encoder)),
        ];
        page.html.element("dl", &[("class", &"setup")], |list| {
            for (name, text) in rows {
                list.element("div", &[], |item| {
                    item.words("dt", &[], name);
                    item.words("dd", &[], text);
                });
            }
        });
    });
}

fn seeds(seeds: &[u64]) -> String {
    let written: Vec<String> = seeds.iter().take(MOST_SEEDS).map(u64::to_string).collect();
    let rest = if seeds.len() > MOST_SEEDS { format!(" … ({} in all)", seeds.len()) } else { String::new() };
    if written.is_empty() { "none".to_owned() } else { written.join(", ") + &rest }
}

fn encoder(encoder: &EncoderIdentity) -> String {
    format!("{}, pooling {}, digest {}", encoder.name, encoder.pooling, encoder.digest)
}
