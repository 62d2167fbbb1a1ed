//! From sequences to vectors on disk: encoding, the embedding store, import and export.

pub mod export;
pub mod import;
mod join;
pub mod pipeline;
pub mod store;

pub use join::join;
pub use store::{Store, StoreWriter};
