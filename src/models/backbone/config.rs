//! What a backbone folder says about its network: `config.json`.

use serde::{Deserialize, Serialize};

use super::published::Preset;
use crate::models::encoder::{AttentionResidual, EncoderConfig, FeedForward};

/// Version of the layout of `config.json`.
pub(super) const SCHEMA: u32 = 1;
/// Both sequence models were trained on at most this many residues.
const TRAINED_LENGTH: usize = 1022;

/// `config.json` of a backbone folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneConfig {
    /// Version of this layout.
    pub schema: u32,
    /// `esm2-650m`, `rinalmo-giga`, `mole-bert`, …; stores and models remember it.
    pub name: String,
    /// BLAKE3 over the network and over name, type, shape and numbers of every tensor.
    pub weights_digest: String,
    /// The network.
    pub network: Network,
    /// Where the weights came from.
    pub source: SourceNote,
}

/// Where weights came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceNote {
    /// `fair-esm`, `hugging-face`, `rinalmo`, `multimolecule`, `mole-bert`, or `random` for weights of `init`.
    pub format: String,
    /// File or folder, without the way to it; the seed of random weights.
    pub name: String,
}

/// A network without its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Network {
    /// ESM-2, a protein language model.
    Esm2(SequenceNetwork),
    /// `RiNALMo`, an RNA language model.
    Rinalmo(SequenceNetwork),
    /// Mole-BERT, a graph network for molecules.
    MoleBert(GraphNetwork),
}

/// An encoder and what it reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceNetwork {
    /// What its token ids stand for.
    pub vocabulary: Vocabulary,
    /// Residues of the longest training sequences. Longer ones are computed whole.
    pub max_trained_length: usize,
    /// Sizes and switches.
    pub encoder: EncoderConfig,
}

/// Sizes of a graph network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphNetwork {
    /// Message-passing layers.
    pub n_layers: usize,
    /// Width of an atom's state.
    pub d_model: usize,
    /// Codes of the tokenizer's codebook, where the folder has one: `codebook.weight [n_codes, d_model]`.
    pub n_codes: Option<usize>,
}

/// What token ids stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vocabulary {
    /// The 33 tokens of ESM-2.
    Esm2,
    /// The 22 tokens of `RiNALMo`'s own code.
    Rinalmo,
    /// The 28 tokens of multimolecule.
    Multimolecule,
}

impl Vocabulary {
    /// Name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Esm2 => "esm2",
            Self::Rinalmo => "rinalmo",
            Self::Multimolecule => "multimolecule",
        }
    }

    /// Number of tokens.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Esm2 => 33,
            Self::Rinalmo => 22,
            Self::Multimolecule => 28,
        }
    }

    /// Id of the mask.
    #[must_use]
    pub fn mask_id(self) -> u32 {
        match self {
            Self::Esm2 => 32,
            Self::Rinalmo | Self::Multimolecule => 4,
        }
    }

    /// Id of the padding, which packed batches never hold.
    #[must_use]
    pub(super) fn pad_id(self) -> u32 {
        match self {
            Self::Esm2 | Self::Rinalmo => 1,
            Self::Multimolecule => 0,
        }
    }
}

/// Sizes of an encoder that its family does not fix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub n_layers: usize,
    pub d_model: usize,
    pub n_heads: usize,
    pub d_ff: usize,
}

impl Network {
    /// ESM-2 of these sizes.
    pub(super) fn esm2(sizes: Sizes) -> Self {
        let encoder = encoder(sizes, Vocabulary::Esm2, AttentionResidual::Input, true, FeedForward::Gelu);
        Self::Esm2(SequenceNetwork { vocabulary: Vocabulary::Esm2, max_trained_length: TRAINED_LENGTH, encoder })
    }

    /// `RiNALMo` of these sizes.
    pub(super) fn rinalmo(sizes: Sizes, vocabulary: Vocabulary) -> Self {
        let encoder = encoder(sizes, vocabulary, AttentionResidual::Normalised, false, FeedForward::SwiGlu);
        Self::Rinalmo(SequenceNetwork { vocabulary, max_trained_length: TRAINED_LENGTH, encoder })
    }

    /// The encoder and its vocabulary, of a sequence model.
    #[must_use]
    pub fn sequence(&self) -> Option<&SequenceNetwork> {
        match self {
            Self::Esm2(network) | Self::Rinalmo(network) => Some(network),
            Self::MoleBert(_) => None,
        }
    }

    pub(super) fn encoder_mut(&mut self) -> Option<&mut EncoderConfig> {
        match self {
            Self::Esm2(network) | Self::Rinalmo(network) => Some(&mut network.encoder),
            Self::MoleBert(_) => None,
        }
    }

    /// Modality as stores spell it.
    #[must_use]
    pub fn modality(&self) -> &'static str {
        match self {
            Self::Esm2(_) => "protein",
            Self::Rinalmo(_) => "rna",
            Self::MoleBert(_) => "molecule",
        }
    }

    /// Width of a vector.
    #[must_use]
    pub fn d_model(&self) -> usize {
        match self {
            Self::Esm2(network) | Self::Rinalmo(network) => network.encoder.d_model,
            Self::MoleBert(network) => network.d_model,
        }
    }

    /// Blocks or message-passing layers.
    #[must_use]
    pub fn n_layers(&self) -> usize {
        match self {
            Self::Esm2(network) | Self::Rinalmo(network) => network.encoder.n_layers,
            Self::MoleBert(network) => network.n_layers,
        }
    }

    /// The published name of these sizes, else one made of them.
    #[must_use]
    pub fn name(&self) -> String {
        let (layers, d) = (self.n_layers(), self.d_model());
        let family = match self {
            Self::Esm2(_) => "esm2",
            Self::Rinalmo(_) => "rinalmo",
            Self::MoleBert(_) => "mole-bert",
        };
        let published = Preset::of(family, layers, d).map(|preset| preset.name().to_owned());
        published.unwrap_or_else(|| format!("{family}-{layers}x{d}"))
    }

    /// Why a network of these sizes cannot be; `None` when it can.
    pub(super) fn fault(&self) -> Option<String> {
        const MOST: usize = 1 << 20;
        let sizes = match self {
            Self::Esm2(network) | Self::Rinalmo(network) => {
                let encoder = &network.encoder;
                let (d, heads) = (encoder.d_model, encoder.n_heads);
                if heads == 0 || !d.is_multiple_of(heads) || !(d / heads).is_multiple_of(2) {
                    return Some(format!("{heads} heads do not divide the width {d} into even parts"));
                }
                if encoder.vocab_size != network.vocabulary.size() || encoder.mask_id != network.vocabulary.mask_id() {
                    return Some(format!("vocab_size {} is not that of its vocabulary", encoder.vocab_size));
                }
                if !(encoder.layer_norm_eps > 0.0 && encoder.rope_theta > 1.0) {
                    return Some("layer_norm_eps must be positive and rope_theta above 1".to_owned());
                }
                [encoder.n_layers, d, encoder.d_ff]
            }
            Self::MoleBert(network) => [network.n_layers, network.d_model, network.n_codes.unwrap_or(1)],
        };
        let [layers, ..] = sizes;
        let sound = layers <= 4096 && sizes.iter().all(|&size| (1..=MOST).contains(&size));
        (!sound).then(|| format!("layers, width and inner width are {sizes:?}"))
    }
}

fn encoder(
    sizes: Sizes,
    vocabulary: Vocabulary,
    attention_residual: AttentionResidual,
    attention_bias: bool,
    feed_forward: FeedForward,
) -> EncoderConfig {
    let Sizes { n_layers, d_model, n_heads, d_ff } = sizes;
    EncoderConfig {
        n_layers,
        d_model,
        n_heads,
        d_ff,
        vocab_size: vocabulary.size(),
        mask_id: vocabulary.mask_id(),
        layer_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        token_dropout: true,
        attention_residual,
        attention_bias,
        feed_forward,
    }
}
