//! Sequences as token ids, and batches of them without padding.

mod batch;
pub mod file;
mod packing;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use batch::TokenBatch;
pub use packing::pack;
pub use vocabulary::{NAMES, SPECIAL_TOKENS, Vocabulary};
