//! What an encoder is built of: ESM-2 and RiNALMo are the same network with a few switches.

use serde::{Deserialize, Serialize};

/// Sizes and switches of an encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderConfig {
    /// Blocks.
    pub n_layers: usize,
    /// Width of a token's state.
    pub d_model: usize,
    /// Attention heads; `d_model / n_heads` is even.
    pub n_heads: usize,
    /// Inner width of the feed-forward part.
    pub d_ff: usize,
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Id of the mask token, whose embedding is zero.
    pub mask_id: u32,
    /// ε of every layer norm.
    pub layer_norm_eps: f32,
    /// Base of the rotary frequencies, where the checkpoint does not store them.
    pub rope_theta: f32,
    /// Embeddings are scaled by `0.88 / (1 − masked share)`, as the masks of training left them.
    pub token_dropout: bool,
    /// What the attention's result is added to.
    pub attention_residual: AttentionResidual,
    /// Whether query, key, value and output projections have a bias.
    pub attention_bias: bool,
    /// The feed-forward part.
    pub feed_forward: FeedForward,
}

/// What the attention's result is added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttentionResidual {
    /// The block's input: ESM-2.
    Input,
    /// The normalised input, which drops the input itself: `RiNALMo`.
    Normalised,
}

/// The feed-forward part of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeedForward {
    /// `W₂·gelu(W₁·x + b₁) + b₂` with the error function: ESM-2.
    Gelu,
    /// `Wₒ·((a·σ(β·a)) ⊙ g) + bₒ`, `a = W_l·x + b_l`, `g = W_g·x + b_g`: `RiNALMo`.
    SwiGlu,
}

impl EncoderConfig {
    /// Width of one head.
    #[must_use]
    pub fn d_head(&self) -> usize {
        self.d_model / self.n_heads
    }
}
