//! The weights that an encoder is measured with.

use std::path::{Path, PathBuf};

use biollmnet::backend::Cpu;
use biollmnet::embed::backbone::{self, BackboneEncoder, BackboneOptions, TokenEncoder, Variant};
use biollmnet::error::{Error, Result};
use biollmnet::models::backbone::{Backbone, Preset, init};
use biollmnet::models::encoder::EncoderConfig;
use biollmnet::ops::linear::Precision;
use biollmnet::tokens::Vocabulary;
use biollmnet::weights::elements::Element;
use tempfile::TempDir;

use crate::cli::Context;
use crate::cli::device::Opened;

/// A network on a device.
pub type Network = Box<dyn TokenEncoder>;

/// A backbone of sequences.
pub struct Source {
    backbone: Backbone,
    path: PathBuf,
    pub encoder: EncoderConfig,
    pub vocabulary: Vocabulary,
    /// Holds random weights for as long as they are mapped.
    _temporary: Option<TempDir>,
}

impl Source {
    /// That of a folder, else random weights of a published size in a temporary one.
    pub fn open(folder: Option<&Path>, preset: Option<Preset>, context: &Context) -> Result<Self> {
        let (path, temporary) = match (folder, preset) {
            (Some(path), _) => (path.to_owned(), None),
            (None, Some(preset)) => {
                let temporary = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
                let path = temporary.path().join("backbone");
                init(preset, 0, Element::F16, false, &path, &*context.progress)?;
                (path, Some(temporary))
            }
            (None, None) => return Err(Error::usage("there are no weights", "give --encoder or --config")),
        };
        let backbone = Backbone::open(&path)?;
        let name = &backbone.config.name;
        let network = backbone.config.network.sequence();
        let of_sequences = network
            .and_then(|network| Some((network.encoder.clone(), Vocabulary::by_name(network.vocabulary.name())?)));
        let (encoder, vocabulary) = of_sequences
            .ok_or_else(|| Error::usage(format!("'{name}' is no sequence model"), "name an ESM-2 or a RiNALMo"))?;
        Ok(Self { backbone, path, encoder, vocabulary, _temporary: temporary })
    }

    /// `esm2-650m`, …
    pub fn name(&self) -> &str {
        &self.backbone.config.name
    }

    /// The network on a device.
    pub fn network(&self, opened: &Opened, precision: Precision) -> Result<Network> {
        match opened {
            Opened::Cpu => backbone::load(Cpu::all_threads(), &self.backbone, &self.path, precision),
            Opened::Cuda(cuda) => backbone::load(cuda.clone(), &self.backbone, &self.path, precision),
        }
    }

    /// A network of this backbone as `embed` uses it, memory being no limit.
    pub fn embedder(
        &self,
        network: Network,
        precision: Precision,
        max_tokens: usize,
    ) -> Result<BackboneEncoder<Network>> {
        let variant = Variant { precision, trained_letters_only: false };
        let options = BackboneOptions { max_tokens, max_memory: u64::MAX, window: None };
        BackboneEncoder::of(network, &self.backbone, &self.path, variant, options)
    }

    /// Floating-point operations of the products of one pass over sequences of so many tokens: linear layers, `q·kᵀ` and
    /// `p·v` of each sequence.
    pub fn flops(&self, lengths: impl Iterator<Item = usize>) -> f64 {
        lengths.map(|n_tokens| self.encoder.flop(n_tokens)).sum()
    }
}
