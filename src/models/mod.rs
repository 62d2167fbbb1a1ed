//! The networks, written once for all devices.
