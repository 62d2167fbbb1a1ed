//! The transformer encoder of ESM-2 and `RiNALMo`, written once for all devices.
//!
//! ESM-2: Lin et al. 2023, doi 10.1126/science.ade2574. `RiNALMo`: Penić et al. 2025, doi 10.1038/s41467-025-60872-5.

mod config;
mod layer;
mod network;
mod rotary;
#[cfg(test)]
mod tests;
mod trace;
mod workspace;

pub use config::{AttentionResidual, EncoderConfig, FeedForward};
pub use network::Encoder;
pub use trace::{Stage, Trace};
pub use workspace::Workspace;
