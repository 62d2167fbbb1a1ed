//! Backbones as they lie on disk: what a folder says about its network, and the weights under canonical names.
//!
//! A backbone folder is `config.json` and `model.safetensors` with a manifest, as `import` and `init` write it. Folders of
//! Hugging Face's ESM and of multimolecule's `RiNALMo` are opened in place, with the same numbers and the same digest.

mod config;
mod digest;
mod hugging_face;
mod import;
mod layout;
mod names;
mod open;
mod published;
mod random;
mod source;
mod state_dict;
mod write;

pub use config::{BackboneConfig, GraphNetwork, Network, SequenceNetwork, SourceNote, Vocabulary};
pub use import::{ImportOptions, Imported, import};
pub use names::{HUGGING_FACE_ESM, MULTIMOLECULE};
pub use open::{Backbone, TokenizerFiles};
pub use published::Preset;
pub use random::init;
pub use source::{Kind, looks_like_fusion};
pub use write::DtypeChoice;

/// The `kind` of a backbone folder in its manifest.
pub const KIND: &str = "backbone";
/// Configuration of a backbone folder, and of the foreign folders that are opened in place.
pub const CONFIG: &str = "config.json";
/// The weights of a backbone folder.
pub const WEIGHTS: &str = "model.safetensors";

#[cfg(test)]
mod tests;
