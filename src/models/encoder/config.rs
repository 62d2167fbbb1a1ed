//! What an encoder is built of: ESM-2 and RiNALMo are the same network with a few switches.

use serde::{Deserialize, Serialize};

use crate::backend::cuda::TensorCores;
use crate::error::{Error, Result};
use crate::ops::attention::Heads;

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
        self.d_model / self.n_heads.max(1)
    }

    /// How a state is cut into heads.
    #[must_use]
    pub fn heads(&self) -> Heads {
        Heads { n_heads: self.n_heads, d_head: self.d_head() }
    }

    /// True to itself: sizes above zero, heads that divide the width into even parts.
    ///
    /// # Errors
    /// [`Error::Data`] that names the field.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::data(format!("encoder configuration: {what}"), "correct config.json"));
        let sizes = [
            ("n_layers", self.n_layers),
            ("d_model", self.d_model),
            ("n_heads", self.n_heads),
            ("d_ff", self.d_ff),
            ("vocab_size", self.vocab_size),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return wrong(format!("{name} is 0"));
        }
        if !self.d_model.is_multiple_of(2 * self.n_heads) {
            return wrong(format!("{} heads do not divide d_model {} into even parts", self.n_heads, self.d_model));
        }
        if !(self.layer_norm_eps >= 0.0 && self.rope_theta > 0.0) {
            return wrong("layer_norm_eps or rope_theta is no positive number".to_owned());
        }
        Ok(())
    }

    /// Whether linear layers in e4m3 fit the widths, the inner one as a device stores it.
    ///
    /// # Errors
    /// [`Error::Data`] that names what does not.
    pub fn check_e4m3(&self, stored_d_ff: usize) -> Result<()> {
        let whole = [self.d_model, stored_d_ff].iter().all(|width| width.is_multiple_of(16));
        let [narrow, wide] = TensorCores::WGMMA_HEADS;
        if whole && [narrow, wide].contains(&self.d_head()) {
            return Ok(());
        }
        let (d, heads, d_ff) = (self.d_model, self.d_head(), self.d_ff);
        Err(Error::data(
            format!(
                "no --precision fp8 of an encoder of d_model {d} with heads of {heads} and d_ff {d_ff}: heads are of {narrow} or {wide}, widths multiples of 16"
            ),
            "choose --precision f16",
        ))
    }

    /// Floating-point operations of one sequence of `n_tokens`: the products of weights and of attention.
    #[must_use]
    pub fn flop(&self, n_tokens: usize) -> f64 {
        let (n, d, d_ff) = (n_tokens as f64, self.d_model as f64, self.d_ff as f64);
        let inner = if self.feed_forward == FeedForward::SwiGlu { 3.0 } else { 2.0 };
        self.n_layers as f64 * (2.0 * n * (4.0 * d * d + inner * d * d_ff) + 4.0 * n * n * d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_named_and_work_is_counted() {
        let esm2_650m = EncoderConfig {
            n_layers: 33,
            d_model: 1280,
            n_heads: 20,
            d_ff: 5120,
            vocab_size: 33,
            mask_id: 32,
            layer_norm_eps: 1e-5,
            rope_theta: 1e4,
            token_dropout: true,
            attention_residual: AttentionResidual::Input,
            attention_bias: true,
            feed_forward: FeedForward::Gelu,
        };
        esm2_650m.check().unwrap();
        assert_eq!(esm2_650m.d_head(), 64);
        // 1.320 GFLOP a token at 130 tokens, by hand.
        assert!((esm2_650m.flop(130) / 130.0 / 1.320e9 - 1.0).abs() < 1e-3);
        let giga = EncoderConfig { d_ff: 3413, feed_forward: FeedForward::SwiGlu, ..esm2_650m.clone() };
        // 33·(2·(4·1280² + 3·1280·3413) + 4·1280·130).
        assert!((giga.flop(130) / 130.0 / 1.319_493_12e9 - 1.0).abs() < 1e-9);
        let odd = EncoderConfig { n_heads: 3, ..esm2_650m.clone() };
        assert!(odd.check().unwrap_err().to_string().contains("3 heads do not divide"));
        esm2_650m.check_e4m3(5120).unwrap();
        let narrow = EncoderConfig { n_heads: 40, ..esm2_650m.clone() };
        assert!(narrow.check_e4m3(5120).unwrap_err().to_string().contains("heads of 32"));
        let none = EncoderConfig { d_ff: 0, ..esm2_650m };
        assert!(none.check().unwrap_err().to_string().contains("d_ff is 0"));
    }
}
