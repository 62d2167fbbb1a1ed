//! Scoring pairs and screening libraries with a trained network.
//!
//! A linear layer's sums depend on no other row of the batch, so a pair has the same score, bit for bit, in a list of
//! pairs, in a screen of any shape, and with any number of threads.

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
