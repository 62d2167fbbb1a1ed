//! From sequences and molecules to vectors on disk: encoding, the embedding store, import and export.

mod admission;
pub mod backbone;
mod destination;
mod encoder;
pub mod export;
pub mod import;
mod join;
mod molecules;
pub mod pipeline;
mod pooling;
mod records;
mod room;
mod shards;
pub mod store;
mod vectors;
mod weight_free;

pub use destination::stores_of;
pub use encoder::{Measure, Prepared, ReadAhead, RecordEncoder, RecordKind, Refusal};
pub use join::join;
pub use molecules::{MoleBert, MoleculeEncoder, Molecules};
pub use pooling::Pooling;
pub use shards::merge_shards;
pub use store::{Store, StoreWriter};
pub use vectors::Vectors;
pub use weight_free::WeightFree;
