//! Pairs, labels and the entities that they join: what the trainer and the evaluation work on.

pub mod clusters;
mod columns;
mod dataset;
pub mod pairs;
mod rejects;
mod table;

pub use clusters::Clusters;
pub use columns::{Columns, Labels};
pub use dataset::{Dataset, EncoderIdentity, Entities, MemoryVectors, Pair, Task, VectorSource};
pub use pairs::{Contradiction, PairRow, PairTable};
pub use rejects::{Reject, RejectReason};
