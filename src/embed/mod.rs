//! From sequences to vectors on disk: encoding, the embedding store, import and export.

pub mod export;
pub mod import;
pub mod pipeline;
pub mod store;

pub use store::{Store, StoreWriter};
