//! One block: attention and a feed-forward part, each after a layer norm.

use super::config::{AttentionResidual, EncoderConfig, FeedForward};
use super::trace::{Stage, Trace};
use super::workspace::{ScaledBuffers, Workspace};
use crate::backend::{Activation, Matrix, MatrixMut, Memory};
use crate::error::Result;
use crate::ops::Backend;
use crate::ops::attention::attention;
use crate::ops::layer_norm::e4m3::{Normalised, layer_norm_e4m3};
use crate::ops::layer_norm::layer_norm;
use crate::ops::linear::e4m3::{ScaledRows, linear_e4m3, linear_rope_e4m3, linear_to_e4m3};
use crate::ops::linear::{Epilogue, LinearTensors, LinearWeights, Precision, Rotation, linear, linear_rope};
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

    pub(super) fn apply<A: Activation>(
        &self,
        backend: &B,
        config: &EncoderConfig,
        x: Matrix<'_, B, A>,
        y: MatrixMut<'_, B, A>,
    ) -> Result<()> {
        let weight = Matrix::of(backend, &self.weight, 1, config.d_model);
        layer_norm(backend, x, weight, Matrix::of(backend, &self.bias, 1, config.d_model), config.layer_norm_eps, y)
    }

    /// The same in eight bits, `kept` in those of the states besides.
    fn apply_e4m3<'e, A: Activation>(
        &self,
        backend: &B,
        config: &EncoderConfig,
        x: Matrix<'_, B, A>,
        to: &'e mut ScaledBuffers<B>,
        kept: Option<MatrixMut<'_, B, A>>,
    ) -> Result<ScaledRows<'e, B>> {
        let (n, d) = (x.rows, config.d_model);
        let weight = Matrix::of(backend, &self.weight, 1, d);
        let values = MatrixMut::of(backend, &mut to.values, n, d);
        let scales = MatrixMut::of(backend, &mut to.scales, n, 1);
        let bias = Matrix::of(backend, &self.bias, 1, d);
        layer_norm_e4m3(backend, x, weight, bias, config.layer_norm_eps, Normalised { values, scales }, kept)?;
        let scales = Some(Matrix::of(backend, &to.scales, n, 1));
        Ok(ScaledRows { values: Matrix::of(backend, &to.values, n, d), scales })
    }
}

/// Shows a result of this name and width to the trace.
type Show<'s, B, A> = dyn FnMut(&'static str, &<B as Memory>::Buffer<A>, usize) -> Result<()> + 's;

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
            // What attention gives has no scale: the layer behind it stays in half precision.
            let precision = if parts == ["output"] && precision == Precision::Fp8 { Precision::F16 } else { precision };
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
    pub(super) fn forward<A: Activation>(
        &self,
        backend: &B,
        config: &EncoderConfig,
        index: usize,
        work: &mut Workspace<B, A>,
        trace: &mut Trace<'_, B, A>,
    ) -> Result<()> {
        let n = work.n_rows;
        let mut show = |name, buffer: &B::Buffer<A>, width| {
            trace(Stage { layer: Some(index), name }, Matrix::of(backend, buffer, n, width))
        };
        self.attend(backend, config, work, &mut show)?;
        self.feed_forward(backend, config, work, &mut show)
    }

    fn attend<A: Activation>(
        &self,
        backend: &B,
        config: &EncoderConfig,
        work: &mut Workspace<B, A>,
        show: &mut Show<'_, B, A>,
    ) -> Result<()> {
        let Workspace { n_rows: n, inputs, state, normed, wide, e4m3, exchanged, rotary, .. } = work;
        let (n, d, d_head) = (*n, config.d_model, config.d_head());
        let rotation = Rotation {
            positions: Matrix::of(backend, &inputs.positions, n, 1),
            cos: Matrix::of(backend, &rotary.cos, rotary.n_positions, d_head / 2),
            sin: Matrix::of(backend, &rotary.sin, rotary.n_positions, d_head / 2),
            scale: 1.0 / (d_head as f32).sqrt(),
        };
        let of_normalised = config.attention_residual == AttentionResidual::Normalised;

        let states = Matrix::of(backend, state, n, d);
        let normed_rows = MatrixMut::of(backend, normed, n, d);
        let qkv = MatrixMut::of(backend, wide, n, 3 * d);
        if let Some(e4m3) = e4m3 {
            let kept = of_normalised.then_some(normed_rows);
            let x = self.attention_norm.apply_e4m3(backend, config, states, &mut e4m3.normed, kept)?;
            linear_rope_e4m3(backend, x, &self.qkv, rotation, qkv)?;
        } else {
            self.attention_norm.apply(backend, config, states, normed_rows)?;
            show("attention_norm", normed, d)?;
            linear_rope(backend, Matrix::of(backend, normed, n, d), &self.qkv, rotation, qkv)?;
        }
        show("qkv", wide, 3 * d)?;

        // The result of the heads goes where nobody reads any more: what the residual is taken from stays.
        if of_normalised {
            std::mem::swap(state, normed);
            *exchanged = !*exchanged;
        }
        let heads = MatrixMut::of(backend, normed, n, d);
        attention(backend, Matrix::of(backend, wide, n, 3 * d), &inputs.sequences, config.heads(), heads)?;
        show("attention", normed, d)?;
        let sum = MatrixMut::of(backend, state, n, d);
        linear(backend, Matrix::of(backend, normed, n, d), &self.output, Epilogue::Add, sum)?;
        show("attention_residual", state, d)
    }

    fn feed_forward<A: Activation>(
        &self,
        backend: &B,
        config: &EncoderConfig,
        work: &mut Workspace<B, A>,
        show: &mut Show<'_, B, A>,
    ) -> Result<()> {
        let Workspace { n_rows: n, state, normed, wide, e4m3, .. } = work;
        let (n, d, d_ff) = (*n, config.d_model, self.up.d_out());
        let activation = match config.feed_forward {
            FeedForward::Gelu => Epilogue::Gelu,
            FeedForward::SwiGlu => Epilogue::SwiGlu,
        };
        let states = Matrix::of(backend, state, n, d);
        if let Some(e4m3) = e4m3 {
            let x = self.ffn_norm.apply_e4m3(backend, config, states, &mut e4m3.normed, None)?;
            linear_to_e4m3(backend, x, &self.up, activation, MatrixMut::of(backend, &mut e4m3.inner, n, d_ff))?;
            let inner = ScaledRows { values: Matrix::of(backend, &e4m3.inner, n, d_ff), scales: None };
            linear_e4m3(backend, inner, &self.down, Epilogue::Add, MatrixMut::of(backend, state, n, d))?;
        } else {
            self.ffn_norm.apply(backend, config, states, MatrixMut::of(backend, normed, n, d))?;
            show("ffn_norm", normed, d)?;
            let inner = MatrixMut::of(backend, wide, n, d_ff);
            linear(backend, Matrix::of(backend, normed, n, d), &self.up, activation, inner)?;
            show("inner", wide, d_ff)?;
            let sum = MatrixMut::of(backend, state, n, d);
            linear(backend, Matrix::of(backend, wide, n, d_ff), &self.down, Epilogue::Add, sum)?;
        }
        show("output", state, d)
    }
}
