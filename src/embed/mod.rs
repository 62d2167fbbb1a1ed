//! From sequences to vectors on disk: encoding, the embedding store, import and export.

pub mod pipeline;
pub mod store;

pub use store::{Store, StoreWriter};
