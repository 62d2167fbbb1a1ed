//! From a backbone folder to an encoder of sequences.

use std::path::Path;

use half::f16;

use super::{BackboneCard, BackboneEncoder, BackboneOptions, OnDevice, TokenEncoder};
use crate::error::{Error, Result};
use crate::models::backbone::{Backbone, SequenceNetwork};
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

/// Loads the network of an opened backbone on a device: its states lie in f16 where the precision is that or fp8, else in f32.
///
/// # Errors
/// [`Error::Format`] for a backbone that is no sequence model; those of [`OnDevice::load`].
pub fn load<B: Backend + Send + Sync + 'static>(
    backend: B,
    backbone: &Backbone,
    path: &Path,
    precision: Precision,
) -> Result<Box<dyn TokenEncoder>> {
    let encoder = &sequence_network(backbone, path)?.encoder;
    Ok(match precision {
        Precision::F16 | Precision::Fp8 => {
            Box::new(OnDevice::<B, f16>::load(backend, encoder, backbone.scope(), precision)?)
        }
        Precision::F32 | Precision::Int8 => {
            Box::new(OnDevice::<B, f32>::load(backend, encoder, backbone.scope(), precision)?)
        }
    })
}

fn sequence_network<'a>(backbone: &'a Backbone, path: &Path) -> Result<&'a SequenceNetwork> {
    backbone.config.network.sequence().ok_or_else(|| {
        let reason = format!("'{}' is no sequence model", backbone.config.name);
        Error::format(path, reason, "name the folder of an ESM-2 or a RiNALMo")
    })
}

impl BackboneEncoder<Box<dyn TokenEncoder>> {
    /// The encoder of a network that [`load`] loaded, with the vocabulary of the backbone's tokenizer files, else the
    /// built-in one.
    ///
    /// # Errors
    /// [`Error::Format`] for a tokenizer file that does not belong to the weights.
    pub fn of(
        network: Box<dyn TokenEncoder>,
        backbone: &Backbone,
        path: &Path,
        variant: Variant,
        options: BackboneOptions,
    ) -> Result<Self> {
        let config = sequence_network(backbone, path)?;
        let mut vocabulary = vocabulary(backbone, config.vocabulary.name(), path)?;
        if variant.trained_letters_only {
            vocabulary = vocabulary.with_trained_letters_only();
        }
        let card = BackboneCard {
            name: backbone.config.name.clone(),
            digest: format!("{} in {}", backbone.config.weights_digest, variant.precision.name()),
            trained_residues: config.max_trained_length,
        };
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
