//! One block: attention and a feed-forward part, each after a layer norm.

use super::config::{AttentionResidual, EncoderConfig, FeedForward};
use super::trace::{Stage, Trace};
use super::workspace::Workspace;
use crate::backend::{Matrix, MatrixMut};
use crate::error::Result;
use crate::ops::Backend;
use crate::ops::attention::attention;
use crate::ops::layer_norm::layer_norm;
use crate::ops::linear::{Epilogue, LinearTensors, Precision, linear};
use crate::ops::rope::{Angles, rope};
use crate::weights::Scope;

/// Weight and bias of a layer norm, `[d_model]`.
pub(super) struct Norm<B: Backend> {
    weight: B::Buffer<f32>,
    bias: B::Buffer<f32>,
}

impl<B: Backend> Norm<B> {
    pub(super) fn load(backend: &B, scope: &Scope, name: &str, d_model: usize) -> Result<Self> {
        let part = |part: &str| backend.uploaded(&scope.take(&format!("{name}.{part}"), &[d_model])?.to_f32());
        Ok(Self { weight: part("weight")?, bias: part("bias")? })
    }

    pub(super) fn apply(
        &self,
        backend: &B,
        config: &EncoderConfig,
        x: Matrix<'_, B, f32>,
        y: MatrixMut<'_, B, f32>,
    ) -> Result<()> {
        let weight = Matrix::of(backend, &self.weight, 1, config.d_model);
        layer_norm(backend, x, weight, Matrix::of(backend, &self.bias, 1, config.d_model), config.layer_norm_eps, y)
    }
}

fn read<'a, B: Backend>(backend: &B, buffer: &'a B::Buffer<f32>, rows: usize, cols: usize) -> Matrix<'a, B, f32> {
    Matrix::of(backend, buffer, rows, cols)
}
fn write<'a, B: Backend>(
    backend: &B,
    buffer: &'a mut B::Buffer<f32>,
    rows: usize,
    cols: usize,
) -> MatrixMut<'a, B, f32> {
    MatrixMut::of(backend, buffer, rows, cols)
}

/// The weights of one block.
pub(super) struct Layer<B: Backend> {
    attention_norm: Norm<B>,
    /// Query, key and value side by side.
    qkv: B::Weights,
    output: B::Weights,
    ffn_norm: Norm<B>,
    /// The first layer of the feed-forward part, or both of a `SwiGLU`.
    up: B::Weights,
    down: B::Weights,
}

impl<B: Backend> Layer<B> {
    pub(super) fn load(
        backend: &B,
        config: &EncoderConfig,
        scope: &Scope,
        index: usize,
        precision: Precision,
    ) -> Result<Self> {
        let (d, d_ff) = (config.d_model, config.d_ff);
        let name = |part: &str| format!("layers.{index}.{part}");
        let weight = |part: &str, shape: [usize; 2]| scope.take(&name(&format!("{part}.weight")), &shape);
        let bias = |part: &str, width: usize| scope.take(&name(&format!("{part}.bias")), &[width]);
        let projections = |parts: &[&str]| {
            let weights = parts.iter().map(|part| weight(part, [d, d])).collect::<Result<Vec<_>>>()?;
            let biased = if config.attention_bias { parts } else { &[] };
            let biases = biased.iter().map(|part| bias(part, d)).collect::<Result<Vec<_>>>()?;
            backend.load_linear(LinearTensors::Stacked { weights: &weights, biases: &biases }, precision)
        };
        let single = |part: &str, shape: [usize; 2]| {
            let (weights, biases) = ([weight(part, shape)?], [bias(part, shape[0])?]);
            backend.load_linear(LinearTensors::Stacked { weights: &weights, biases: &biases }, precision)
        };
        let up = match config.feed_forward {
            FeedForward::Gelu => single("up", [d_ff, d])?,
            FeedForward::SwiGlu => {
                let tensors = LinearTensors::SwiGlu {
                    linear: &weight("up", [d_ff, d])?,
                    linear_bias: &bias("up", d_ff)?,
                    gate: &weight("gate", [d_ff, d])?,
                    gate_bias: &bias("gate", d_ff)?,
                    beta: scope.take(&name("beta"), &[1])?.to_f32()[0],
                };
                backend.load_linear(tensors, precision)?
            }
        };
        Ok(Self {
            attention_norm: Norm::load(backend, scope, &name("attention_norm"), d)?,
            qkv: projections(&["query", "key", "value"])?,
            output: projections(&["output"])?,
            ffn_norm: Norm::load(backend, scope, &name("ffn_norm"), d)?,
            up,
            down: single("down", [d, d_ff])?,
        })
    }

    /// `state` through this block.
    pub(super) fn forward(
        &self,
        backend: &B,
        config: &EncoderConfig,
        index: usize,
        (n_tokens, n_sequences): (usize, usize),
        work: &mut Workspace<B>,
        trace: &mut Trace<'_, B>,
    ) -> Result<()> {
        let Workspace { inputs, state, normed, wide, rotary, .. } = work;
        let (d, d_head) = (config.d_model, config.d_head());
        let mut show = |name, buffer: &B::Buffer<f32>, width| {
            trace(Stage { layer: Some(index), name }, Matrix::of(backend, buffer, n_tokens, width))
        };

        self.attention_norm.apply(
            backend,
            config,
            read(backend, state, n_tokens, d),
            write(backend, normed, n_tokens, d),
        )?;
        show("attention_norm", normed, d)?;
        linear(
            backend,
            read(backend, normed, n_tokens, d),
            &self.qkv,
            Epilogue::Store,
            write(backend, wide, n_tokens, 3 * d),
        )?;
        let angles = Angles {
            cos: Matrix::of(backend, &rotary.cos, rotary.n_positions, d_head / 2),
            sin: Matrix::of(backend, &rotary.sin, rotary.n_positions, d_head / 2),
        };
        let positions = Matrix::of(backend, &inputs.positions, n_tokens, 1);
        let scale = 1.0 / (d_head as f32).sqrt();
        rope(backend, positions, angles, config.n_heads, scale, write(backend, wide, n_tokens, 3 * d))?;
        show("qkv", wide, 3 * d)?;

        // The result of the heads goes where nobody reads any more: what the residual is taken from stays.
        if config.attention_residual == AttentionResidual::Normalised {
            std::mem::swap(state, normed);
        }
        let cu_seqlens = Matrix::of(backend, &inputs.cu_seqlens, n_sequences + 1, 1);
        attention(
            backend,
            read(backend, wide, n_tokens, 3 * d),
            cu_seqlens,
            config.n_heads,
            write(backend, normed, n_tokens, d),
        )?;
        show("attention", normed, d)?;
        linear(
            backend,
            read(backend, normed, n_tokens, d),
            &self.output,
            Epilogue::Add,
            write(backend, state, n_tokens, d),
        )?;
        show("attention_residual", state, d)?;

        self.ffn_norm.apply(backend, config, read(backend, state, n_tokens, d), write(backend, normed, n_tokens, d))?;
        show("ffn_norm", normed, d)?;
        let activation = match config.feed_forward {
            FeedForward::Gelu => Epilogue::Gelu,
            FeedForward::SwiGlu => Epilogue::SwiGlu,
        };
        linear(
            backend,
            read(backend, normed, n_tokens, d),
            &self.up,
            activation,
            write(backend, wide, n_tokens, config.d_ff),
        )?;
        show("inner", wide, config.d_ff)?;
        linear(
            backend,
            read(backend, wide, n_tokens, config.d_ff),
            &self.down,
            Epilogue::Add,
            write(backend, state, n_tokens, d),
        )?;
        show("output", state, d)
    }
}
