//! The networks, written once for all devices.

pub mod backbone;
pub mod encoder;
pub mod fusion;
pub mod gin;
pub mod mole_bert;
