//! The readers, one target a format.

mod folders;
mod scratch;
mod tables;
mod tensors;
mod text;
mod vectors;

pub use folders::{CONFIG, MANIFEST, STORE, VOCABULARY};
pub use tables::{CLUSTERS, FOLDS, PAIRS};
pub use tensors::{NPY, PICKLE, SAFETENSORS, TORCH, TORCH_LEGACY};
pub use text::{FASTA, GZIP, SMILES};
pub use vectors::VECTORS;

/// A refusal says what is wrong and what to do; true of what was read.
fn read<T>(outcome: biollmnet::error::Result<T>) -> bool {
    outcome.inspect_err(|error| assert!(!error.to_string().is_empty())).is_ok()
}
