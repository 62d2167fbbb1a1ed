//! The stores that an embedding goes to.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::encoder::RecordEncoder;
use super::pipeline::{EmbedOptions, LongSequences, UnknownLetters};
use super::pooling::Pooling;
use super::store::{Detail, DigestOf, KIND, SHARD_KIND, Store, StoreOptions, read_detail};
use crate::error::{Error, Result};
use crate::files::manifest::{FileEntry, MANIFEST};
use crate::files::{Manifest, OutputFolder, Shard};

/// The store of each pooling: `out` itself for one, `out/<pooling>` for several.
#[must_use]
pub fn stores_of(out: &Path, poolings: &[Pooling]) -> Vec<PathBuf> {
    match poolings {
        [_] => vec![out.to_path_buf()],
        several => several.iter().map(|pooling| out.join(pooling.name())).collect(),
    }
}

/// One store to be filled.
pub(super) struct Destination {
    pub pooling: Pooling,
    /// The store.
    store: PathBuf,
    shard: Shard,
    /// What is written: the store, or a shard of it.
    pub path: PathBuf,
    pub options: StoreOptions,
}

impl Destination {
    /// The store of each pooling.
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
        let shard = options.shard;
        let plan = poolings.iter().copied().zip(stores_of(out, poolings)).map(|(pooling, store)| Self {
            pooling,
            path: if shard.is_whole() { store.clone() } else { shard.place(&store) },
            store,
            shard,
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

    /// The detail of the store when it is finished and made as wanted; for a shard also that of the store that it has
    /// been merged into.
    pub fn finished(&self) -> Result<Option<Detail>> {
        if self.shard.is_whole() {
            return self.finished_store(&self.path);
        }
        if let Some(found) = self.finished_store(&self.store)? {
            return Ok(Some(found));
        }
        OutputFolder::settle(&self.path)?;
        let Ok(manifest) = Manifest::read_kind(&self.path, SHARD_KIND) else { return Ok(None) };
        let Ok(found) = read_detail(&self.path, &manifest) else { return Ok(None) };
        let there =
            |file: &FileEntry| fs::metadata(self.path.join(&file.path)).is_ok_and(|there| there.len() == file.bytes);
        Ok((self.options.made(&found) && manifest.files.iter().all(there)).then_some(found))
    }

    /// Bytes that an earlier process left to go on with.
    pub fn kept_bytes(&self) -> u64 {
        let kind = if self.shard.is_whole() { KIND } else { SHARD_KIND };
        let kept = OutputFolder::checkpoint_at(&self.path, kind);
        kept.map_or(0, |kept| kept.files.iter().map(|file| file.bytes).sum())
    }

    fn finished_store(&self, path: &Path) -> Result<Option<Detail>> {
        OutputFolder::settle(path)?;
        let Ok(found) = Store::describe(path) else { return Ok(None) };
        // A store that cannot be opened is no store to be left as it is.
        let sound = self.options.made(&found) && Store::is_sound(path, self.options.layout);
        Ok(sound.then_some(found))
    }
}
