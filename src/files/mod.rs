//! Files as everything else sees them: compressed reading, atomic writing, checksums, manifests.

pub mod atomic;
pub mod column;
pub mod digest;
pub(crate) mod folder_lock;
pub(crate) mod foreign;
pub mod input;
pub mod manifest;
pub mod mapped;
pub mod output_folder;
pub(crate) mod parquet_column;
pub(crate) mod parquet_footer;
pub mod progress_folder;
pub mod shard;
pub mod shard_set;
pub mod space;
pub mod verify;
pub(crate) mod whole;
pub(crate) mod words;

pub use atomic::AtomicFile;
pub use manifest::Manifest;
pub use output_folder::OutputFolder;
pub use progress_folder::ProgressFolder;
pub use shard::Shard;
