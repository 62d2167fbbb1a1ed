//! From a backbone folder to an encoder of sequences.

use std::path::Path;

use super::{BackboneCard, BackboneEncoder, BackboneOptions, OnDevice};
use crate::error::{Error, Result};
use crate::models::backbone::Backbone;
use crate::ops::Backend;
use crate::ops::linear::Precision;
use crate::seq::Alphabet;
use crate::tokens::{Vocabulary, file};

/// What of a backbone changes the numbers beside its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Variant {
    /// Arithmetic of the linear layers.
    pub precision: Precision,
    /// Letters whose rows were never trained are unknown.
    pub trained_letters_only: bool,
}

impl<B: Backend + Send + Sync> BackboneEncoder<OnDevice<B>> {
    /// Loads the network of an opened backbone with the vocabulary of its tokenizer files, else the built-in one.
    ///
    /// # Errors
    /// [`Error::Format`] for a backbone that is no sequence model, and for a tokenizer file that does not belong to its
    /// weights; those of [`OnDevice::load`].
    pub fn load(
        backend: B,
        backbone: &Backbone,
        path: &Path,
        variant: Variant,
        options: BackboneOptions,
    ) -> Result<Self> {
        let config = &backbone.config;
        let network = config.network.sequence().ok_or_else(|| {
            let reason = format!("'{}' is no sequence model", config.name);
            Error::format(path, reason, "name the folder of an ESM-2 or a RiNALMo")
        })?;
        let mut vocabulary = vocabulary(backbone, network.vocabulary.name(), path)?;
        if variant.trained_letters_only {
            vocabulary = vocabulary.with_trained_letters_only();
        }
        let card = BackboneCard {
            name: config.name.clone(),
            digest: format!("{} in {}", config.weights_digest, variant.precision.name()),
            trained_residues: network.max_trained_length,
        };
        let network = OnDevice::load(backend, &network.encoder, backbone.scope(), variant.precision)?;
        Ok(Self::new(network, vocabulary, card, options))
    }
}

fn vocabulary(backbone: &Backbone, built_in: &str, path: &Path) -> Result<Vocabulary> {
    let unknown = || Error::format(path, format!("vocabulary '{built_in}' is not known"), "use a newer version");
    let built_in = Vocabulary::by_name(built_in).ok_or_else(unknown)?;
    let Some(network) = backbone.config.network.sequence() else { return Ok(built_in) };
    let Some(file) = backbone.tokenizer.iter().next() else { return Ok(built_in) };
    let alphabet =
        if backbone.config.network.modality() == Alphabet::Rna.name() { Alphabet::Rna } else { Alphabet::Protein };
    let found = file::read(file, alphabet)?;
    found
        .check(network.encoder.vocab_size, network.encoder.mask_id)
        .map_err(|error| Error::format(file, error.to_string(), error.help()))?;
    Ok(found)
}
