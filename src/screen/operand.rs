//! Vectors of one side: a store, or a file of sequences or molecules that is embedded on the way.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::data::EncoderIdentity;
use crate::embed::pipeline::{EmbedOptions, embed};
use crate::embed::store::Dtype;
use crate::embed::{Molecules, Pooling, Store, WeightFree};
use crate::error::{Error, Result};
use crate::features::{self, Ecfp};
use crate::progress::Progress;

/// Vectors of one side: a store, or a FASTA or SMILES file that was embedded into a temporary one.
pub struct Operand {
    /// The vectors.
    pub store: Arc<Store>,
    /// Holds the temporary store as long as it is read.
    folder: Option<TempDir>,
}

impl Operand {
    /// Opens the store at `path`; any other file is read as FASTA or SMILES and embedded with `encoder`, which
    /// must be one without weights.
    ///
    /// # Errors
    /// Those of [`Store::open`] and [`embed`]; [`Error::Usage`] for a file whose encoder is not part of this program.
    pub fn open(path: &Path, encoder: &EncoderIdentity, progress: &dyn Progress) -> Result<Self> {
        if path.is_dir() {
            return Ok(Self { store: Arc::new(Store::open(path)?), folder: None });
        }
        if path != Path::new("-") && !path.exists() {
            return Err(Error::io("read", path)(std::io::ErrorKind::NotFound.into()));
        }
        let options = EmbedOptions { resume: false, ..EmbedOptions::of(Dtype::F32) };
        let folder = tempfile::tempdir().map_err(Error::io("create a folder in", std::env::temp_dir()))?;
        let place = folder.path().join("store");
        let mean = [Pooling::Mean];
        match features::by_name(&encoder.name) {
            Some(known) => embed(path, &mut WeightFree::new(known), &mean, options, &place, progress)?,
            None if encoder.name == features::ECFP => {
                embed(path, &mut Molecules::new(Ecfp), &mean, options, &place, progress)?
            }
            None => {
                return Err(Error::usage(
                    format!(
                        "{} is a file, and the model takes vectors of '{}', which need its weights",
                        path.display(),
                        encoder.name
                    ),
                    "name a store with vectors of that encoder: 'biollmnet embed' makes one, 'biollmnet import-vectors' \
                     takes vectors made elsewhere",
                ));
            }
        };
        Ok(Self { store: Arc::new(Store::open(place)?), folder: Some(folder) })
    }

    /// True when it was embedded on the way, so that nobody has been told of its refused records yet.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.folder.is_some()
    }
}
