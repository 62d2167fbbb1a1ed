//! Scoring pairs and screening libraries with a trained network.
//!
//! Every score is computed in batches of one size, so that a pair has the same score, bit for bit, in a list of pairs,
//! in a screen of any shape, and with any number of threads.

mod collection;
mod operand;
mod scorer;
mod search;
mod table;
#[cfg(test)]
mod tests;
mod top_k;

pub use collection::{Collection, collect};
pub use operand::Operand;
pub use scorer::Scorer;
pub use search::{Screening, hit_pairs};
pub use table::{Cell, Kind, TableFile};
pub use top_k::Hit;

/// `rows`, and the last one again until the last batch is whole.
fn whole_batches(rows: &[u32]) -> Vec<u32> {
    let mut whole = rows.to_vec();
    whole.resize(rows.len().next_multiple_of(crate::train::SCORING_BATCH), rows.last().copied().unwrap_or_default());
    whole
}
