//! The transformer encoder of ESM-2 and `RiNALMo`, written once for all devices.

mod config;

pub use config::{AttentionResidual, EncoderConfig, FeedForward};
