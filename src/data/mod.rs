//! Pairs, labels and the entities that they join: what the trainer and the evaluation work on.

mod dataset;
pub mod folds;

pub use dataset::{Dataset, EncoderIdentity, Entities, MemoryVectors, Pair, Side, Task, VectorSource};
pub use folds::{Clusters, FoldOptions, Plan, Split, SplitKind};
