//! Sequences as token ids, and batches of them without padding.

mod batch;

pub use batch::TokenBatch;
