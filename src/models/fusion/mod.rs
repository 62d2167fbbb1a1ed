//! The BioLLMNet fusion network in every variant of the paper and of its published code.
//!
//! Partner `a [n, d_a]` and RNA `b [n, d_b]` are projected (or not), fused by a gate (or joined, or averaged) and read
//! by a head of linear layers with ReLU and dropout. The paper projects the RNA alone to the partner's width; its code
//! projects both sides to a hidden width. Paper: Methods, "BioLLMNet architecture", doi 10.1093/bib/bbaf549.

mod backward;
mod config;
pub mod fold;
mod gate_share;
mod inference;
mod layout;
mod network;
mod parameters;
mod workspace;

pub use backward::{Learning, Step};
pub use config::{Fusion, FusionConfig, Projection};
pub use gate_share::GateShare;
pub use inference::{FusionInference, PairScores};
pub use layout::{Layout, Tensor};
pub use network::FusionNetwork;
pub use parameters::{Moments, Parameters};
pub use workspace::Workspace;
