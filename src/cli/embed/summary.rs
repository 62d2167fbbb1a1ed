//! What `embed` says when it is done.

use std::path::{Path, PathBuf};

use biollmnet::embed::pipeline::{Embedded, Filled, Work};
use biollmnet::embed::store::StoreSummary;
use biollmnet::embed::{Measure, Pooling, stores_of};
use biollmnet::error::Result;
use biollmnet::files::Shard;
use serde_json::{Value, json};

use crate::cli::output::{print, print_json};
use crate::cli::{Context, Outcome};

/// A share of unknown letters beyond which the sequences are likely of another kind.
const WRONG_KIND: f64 = 0.1;

/// Prints a line for each store or shard of one, or one JSON object; warns of unknown letters.
pub fn report(
    embedded: &Embedded,
    out: &Path,
    poolings: &[Pooling],
    shard: Shard,
    (measure, modality): (Measure, &str),
    context: &Context,
) -> Result<Outcome> {
    let places = stores_of(out, poolings);
    let stores =
        || poolings.iter().zip(&places).zip(&embedded.stores).map(|((pooling, place), store)| (*pooling, place, store));
    let written = embedded.stores.iter().any(|store| matches!(store, Filled::Written(_)));
    if context.json {
        let mut objects: Vec<Value> =
            stores().map(|(pooling, place, store)| store_as_json(place, shard, pooling, store)).collect();
        let mut object = match objects.len() {
            1 => objects.remove(0),
            _ => json!({ "store": out, "stores": objects }),
        };
        if written && let Some(fields) = object.as_object_mut() {
            fields.extend(work_as_json(&embedded.work, measure));
        }
        print_json(&object)?;
    } else {
        let speed = speed(&embedded.work, measure);
        for (_, place, store) in stores() {
            match store {
                Filled::UpToDate(detail) => {
                    let place = place_of(place, shard, store);
                    print(format!("{}: up to date ({} records)", place.display(), detail.records))?;
                }
                Filled::Written(summary) if poolings.len() == 1 => print(format!("{}; {speed}", describe(summary)))?,
                Filled::Written(summary) => print(describe(summary))?,
            }
        }
        if written && poolings.len() > 1 {
            print(speed)?;
        }
    }
    if !shard.is_whole() && written {
        context.note(format!("next, when all {} shards are done: biollmnet merge {}", shard.count, out.display()));
    }
    if let Some(warning) = about_unknown(&embedded.work, modality) {
        context.note(warning);
    }
    let refused = embedded.stores.iter().map(|store| match store {
        Filled::Written(summary) => summary.n_refused(),
        Filled::UpToDate(_) => 0,
    });
    Ok(Outcome::from_rejected(refused.sum()))
}

/// Where it is: the store, or the shard of it.
fn place_of(store: &Path, shard: Shard, filled: &Filled) -> PathBuf {
    match filled {
        Filled::Written(summary) => summary.path.clone(),
        // A merged store stands for each of its shards.
        Filled::UpToDate(detail) if detail.shard.is_none() => store.to_path_buf(),
        Filled::UpToDate(_) => shard.place(store),
    }
}

fn store_as_json(store: &Path, shard: Shard, pooling: Pooling, filled: &Filled) -> Value {
    let (up_to_date, records, vectors, refused) = match filled {
        Filled::UpToDate(detail) => (true, detail.records, detail.vectors, &detail.refused),
        Filled::Written(summary) => (false, summary.records, summary.vectors, &summary.refused),
    };
    json!({
        "store": place_of(store, shard, filled), "pooling": pooling.name(), "up_to_date": up_to_date, "records": records, "vectors": vectors,
        "refused": refused,
    })
}

fn work_as_json(work: &Work, measure: Measure) -> serde_json::Map<String, Value> {
    let mut fields = serde_json::Map::new();
    fields.insert("letters".into(), work.letters.into());
    fields.insert("unknown".into(), work.unknown.into());
    fields.insert("seconds".into(), work.seconds.into());
    fields.insert("mb_per_second".into(), (per_second(work.letters, work) / 1e6).into());
    if measure == Measure::Tokens {
        fields.insert("tokens".into(), work.encoded.into());
        fields.insert("tokens_per_second".into(), per_second(work.encoded, work).into());
    }
    fields
}

fn per_second(n: u64, work: &Work) -> f64 {
    n as f64 / work.seconds.max(1e-9)
}

/// `3.2 MB/s in 0.01 s`, of a backbone `870 tokens, 1250 tokens/s in 0.70 s`.
fn speed(work: &Work, measure: Measure) -> String {
    let seconds = work.seconds;
    match measure {
        Measure::Records => format!("{:.1} MB/s in {seconds:.2} s", per_second(work.letters, work) / 1e6),
        Measure::Tokens => {
            let rate = per_second(work.encoded, work);
            format!("{} tokens, {rate:.0} tokens/s in {seconds:.2} s", work.encoded)
        }
    }
}

/// What to say about letters outside the vocabulary; nothing where there are none.
fn about_unknown(work: &Work, modality: &str) -> Option<String> {
    let Work { unknown, letters, .. } = *work;
    if unknown == 0 {
        return None;
    }
    let text = format!("warning: {unknown} of {letters} letters are outside the {modality} alphabet");
    let wrong_kind = unknown as f64 > WRONG_KIND * letters as f64;
    Some(if wrong_kind { format!("{text}: are these {modality} sequences?") } else { text })
}

/// `STORE: 10 records, 8 distinct vectors, 2 refused (2 duplicate-id; listed in STORE/rejects.tsv)`.
pub fn describe(summary: &StoreSummary) -> String {
    let shown = summary.path.display();
    let refused = match summary.n_refused() {
        0 => "none refused".to_owned(),
        n => {
            let reasons: Vec<_> = summary.refused.iter().map(|(status, n)| format!("{n} {status}")).collect();
            format!("{n} refused ({}; listed in {})", reasons.join(", "), summary.path.join("rejects.tsv").display())
        }
    };
    format!("{shown}: {} records, {} distinct vectors, {refused}", summary.records, summary.vectors)
}
