//! Mole-BERT: the graph network with its published sizes, and the tokenizer of atoms.

mod tokenizer;

pub use tokenizer::{Codebook, N_CODES};

#[cfg(test)]
mod tests;
