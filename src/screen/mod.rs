//! Scoring pairs and screening libraries with a trained network.
//!
//! `predict` runs the network on the device, in f32; a linear layer's sums depend on no other row of the batch, so a pair
//! has the same score, bit for bit, in any list and with any number of threads. `screen` lets the device find, on folded
//! operands and with a proven bound of its error, what can be among the best, and ranks that by exact scores in f64.

mod candidates;
mod digest;
mod domain;
mod folded_library;
mod folded_model;
mod hits;
mod library;
mod operand;
mod progress_file;
mod rejects;
mod rescore;
mod scorer;
mod search;
mod shards;
mod stream;
mod table;
mod targets;
#[cfg(test)]
mod tests;

pub use candidates::Hit;
pub use domain::Domain;
pub use hits::HitTable;
pub use library::Library;
pub use operand::Operand;
pub use progress_file::ProgressFile;
pub use rejects::write_rejects;
pub use scorer::Scorer;
pub use search::Screening;
pub use shards::{MergedScreen, SHARD_KIND, Screened, ShardDetail, is_merged, merge_shards, screen_shard};
pub use table::{Cell, Kind, TableFile};
