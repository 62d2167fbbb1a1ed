//! The networks, written once for all devices.

pub mod fusion;
