//! The graph isomorphism network of Mole-BERT, written once for all devices.
//!
//! Atoms begin with `h = A₁[type] + A₂[chirality]`. A layer takes `m = Σ (h_neighbour + B₁[order] + B₂[direction]) + h +
//! B₁[self loop] + B₂[0]`, then `h = norm(W₂·relu(W₁·m + b₁) + b₂)` with a ReLU behind the norm in all layers but the last.
//! Xia et al. 2023, "Mole-BERT"; Hu et al. 2020, "Strategies for pre-training graph neural networks".

mod batch;
mod config;
mod network;
mod readout;
mod workspace;

pub use batch::MoleculeBatch;
pub use config::GinConfig;
pub use network::Gin;
pub use readout::Readout;
pub use workspace::GinWorkspace;

#[cfg(test)]
mod tests;
