//! The networks, written once for all devices.

pub mod backbone;
pub mod encoder;
pub mod fusion;
