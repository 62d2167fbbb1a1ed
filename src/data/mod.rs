//! Pairs, labels and the entities that they join: what the trainer and the evaluation work on.

mod columns;
mod dataset;
pub mod folds;
pub mod pairs;
mod rejects;
pub(crate) mod table;

pub use columns::{Columns, Labels};
pub use dataset::{Dataset, EncoderIdentity, Entities, MemoryVectors, Pair, Side, Task, VectorSource};
pub use folds::{Clusters, FoldOptions, Plan, Split, SplitKind};
pub use pairs::{Contradiction, PairRow, PairTable};
pub use rejects::{Reject, RejectReason};
