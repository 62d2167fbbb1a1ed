//! What can be predicted from who takes part, without looking at any sequence.
//!
//! Per entity of a pair one feature from the training labels of that entity, a training pair leaving its own label
//! out: `ln((pos + 1)/(neg + 1))` in classification, the shrunken mean residual `Σ(y − ȳ)/(n + 1)` in regression,
//! 0 for an entity that the training part lacks. The two features enter a logistic (λ = 1e-6) or ridge (λ = 1e-3)
//! regression.

use rustc_hash::FxHashMap;

use super::design::Design;
use super::linear::{Loss, fit};
use super::{BOTH_SIDES, Baseline, Rows, log_odds, targets};
use crate::data::{Dataset, Entities, Side, Task};
use crate::error::Result;

/// Entities are told apart by id.
#[derive(Debug, Clone, Copy)]
pub struct IdOnly;

/// Entities are told apart by sequence.
#[derive(Debug, Clone, Copy)]
pub struct SequenceGroupOnly;

impl Baseline for IdOnly {
    fn name(&self) -> &'static str {
        "id-only"
    }

    fn label(&self) -> &'static str {
        "Ids only"
    }

    fn predict(&self, train: Rows<'_>, test: Rows<'_>) -> Result<Vec<f64>> {
        predict(train, test, |entities, entity| &entities.ids[entity])
    }
}

impl Baseline for SequenceGroupOnly {
    fn name(&self) -> &'static str {
        "sequence-group-only"
    }

    fn label(&self) -> &'static str {
        "Identity of the sequences only"
    }

    fn predict(&self, train: Rows<'_>, test: Rows<'_>) -> Result<Vec<f64>> {
        // Where the sequence is not known, the id is all that tells entities apart.
        predict(train, test, |entities, entity| match entities.digest[entity].as_str() {
            "" => &entities.ids[entity],
            digest => digest,
        })
    }
}

type Key = fn(&Entities, usize) -> &str;

fn predict((train, train_rows): Rows<'_>, (test, test_rows): Rows<'_>, key: Key) -> Result<Vec<f64>> {
    let labels = targets(train, train_rows);
    let regression = train.task == Task::Regression;
    let mean = labels.iter().sum::<f64>() / labels.len().max(1) as f64;
    let centre = if regression { mean } else { 0.0 };
    let tallies = BOTH_SIDES.map(|side| Tally::of(train, train_rows, &labels, centre, side, key));
    let feature = |sum: f64, n: f64| if regression { sum / (n + 1.0) } else { log_odds(sum, n - sum, 1.0) };
    let features = |data: &Dataset, row: u32, own: Option<f64>| {
        [0, 1].map(|i| {
            let entity = data.pairs[row as usize].entity(BOTH_SIDES[i]);
            let (sum, n) = tallies[i].get(key(data.entities(BOTH_SIDES[i]), entity));
            own.map_or_else(|| feature(sum, n), |own| feature(sum - (own - centre), n - 1.0))
        })
    };
    let fitted = train_rows.iter().zip(&labels).flat_map(|(&row, &label)| features(train, row, Some(label))).collect();
    let tested = test_rows.iter().flat_map(|&row| features(test, row, None)).collect();
    let (loss, lambda) = if regression { (Loss::Squared, 1e-3) } else { (Loss::Logistic, 1e-6) };
    let weights = fit(&Design::of_pairs(2, fitted), &labels, loss, lambda)?;
    Ok(Design::of_pairs(2, tested).times(&weights))
}

/// Sum of the (centred) training labels and number of training pairs of each entity of one side.
struct Tally<'a>(FxHashMap<&'a str, (f64, f64)>);

impl<'a> Tally<'a> {
    fn of(data: &'a Dataset, rows: &[u32], labels: &[f64], centre: f64, side: Side, key: Key) -> Self {
        let mut sums: FxHashMap<&str, (f64, f64)> = FxHashMap::default();
        for (&row, label) in rows.iter().zip(labels) {
            let (sum, n) = sums.entry(key(data.entities(side), data.pairs[row as usize].entity(side))).or_default();
            *sum += label - centre;
            *n += 1.0;
        }
        Self(sums)
    }

    fn get(&self, key: &str) -> (f64, f64) {
        self.0.get(key).copied().unwrap_or_default()
    }
}
