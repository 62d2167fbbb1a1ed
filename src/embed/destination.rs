//! The stores that an embedding goes to.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::encoder::RecordEncoder;
use super::pipeline::{EmbedOptions, LongSequences, UnknownLetters};
use super::pooling::Pooling;
use super::store::{Detail, DigestOf, Store, StoreOptions};
use crate::error::{Error, Result};
use crate::files::OutputFolder;
use crate::files::manifest::MANIFEST;

/// One store to be filled.
pub(super) struct Destination {
    pub pooling: Pooling,
    pub path: PathBuf,
    pub options: StoreOptions,
}

impl Destination {
    /// The store of each pooling: `out` itself for one, `out/<pooling>` for several.
    pub fn plan<E: RecordEncoder>(
        out: &Path,
        encoder: &E,
        poolings: &[Pooling],
        options: EmbedOptions,
        input_digest: Option<&str>,
    ) -> Result<Vec<Self>> {
        let several = poolings.len() > 1;
        if several && out.join(MANIFEST).exists() {
            return Err(Error::usage(
                format!("{} holds a finished output, and several poolings go to folders inside it", out.display()),
                "choose another --out",
            ));
        }
        let origin = json!({
            "input": input_digest,
            "unknown": if options.unknown == UnknownLetters::Keep { "unk" } else { "error" },
            "max_length": options.max_length,
            "long": match options.long {
                LongSequences::Refuse => "error",
                LongSequences::Truncate => "truncate",
                LongSequences::Window => "window",
            },
        });
        let plan = poolings.iter().map(|&pooling| Self {
            pooling,
            path: if several { out.join(pooling.name()) } else { out.to_path_buf() },
            options: StoreOptions {
                encoder: encoder.identity(pooling),
                modality: encoder.kind().modality().to_owned(),
                layout: pooling.layout(),
                dtype: options.dtype,
                dim: encoder.dim(pooling),
                digest_of: DigestOf::Sequence,
                origin: origin.clone(),
                force: options.force,
            },
        });
        Ok(plan.collect())
    }

    /// The detail of the store when it is finished and made as wanted.
    pub fn finished(&self) -> Result<Option<Detail>> {
        OutputFolder::settle(&self.path)?;
        let Ok(found) = Store::describe(&self.path) else { return Ok(None) };
        let wanted = &self.options;
        let same = found.encoder == wanted.encoder
            && found.dtype == wanted.dtype
            && found.layout == wanted.layout.name()
            && found.origin == wanted.origin;
        // A store that cannot be opened is no store to be left as it is.
        let sound = same && Store::is_sound(&self.path, wanted.layout);
        Ok(sound.then_some(found))
    }
}
