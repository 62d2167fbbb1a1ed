//! The forward pass.

use super::config::{Fusion, FusionConfig};
use super::layout::{Layout, Linear};
use super::workspace::Workspace;
use crate::backend::{Matrix, MatrixMut, Real};
use crate::error::Result;
use crate::ops::TrainingBackend;
use crate::ops::bias_activation::{Dropout, bias_activation};
use crate::ops::gate::{GateInputs, gate, join_rows};
use crate::ops::gemm::{Product, gemm};

/// Whether dropout is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// No dropout.
    Inference,
    /// Dropout by the masks of this seed and step.
    Training {
        /// Seed of the training.
        seed: u64,
        /// Number of the step.
        step: u32,
    },
}

impl Mode {
    pub(super) fn dropout(self, rate: f32, layer: u32) -> Option<Dropout> {
        match self {
            Self::Training { seed, step } if rate > 0.0 => Some(Dropout { rate, seed, layer, step }),
            _ => None,
        }
    }
}

/// A fusion network without its parameters: the configuration and where each weight lies.
#[derive(Debug, Clone)]
pub struct FusionNetwork {
    /// The shape.
    pub config: FusionConfig,
    /// Where each weight lies.
    pub layout: Layout,
}

impl FusionNetwork {
    /// The network of a checked configuration.
    ///
    /// # Errors
    /// When the widths do not fit each other.
    pub fn new(config: FusionConfig) -> Result<Self> {
        config.check()?;
        let layout = Layout::new(&config);
        Ok(Self { config, layout })
    }

    /// Logits of the `n` pairs whose vectors lie in `work`: probability is σ(logit); a regression reads the logit itself.
    ///
    /// # Errors
    /// What the ops report.
    pub fn forward<B: TrainingBackend, T: Real>(
        &self,
        backend: &B,
        parameters: &B::Buffer<T>,
        work: &mut Workspace<B, T>,
        n: usize,
        mode: Mode,
    ) -> Result<()> {
        let config = &self.config;
        let (p_width, r_width) = (config.partner_width(), config.rna_width());
        let rate = config.dropout_projection;
        let [p_buffer, r_buffer] = &mut work.projected;
        if let Some(linear) = &self.layout.partner {
            let a = Matrix::of(backend, &work.partner, n, config.d_partner);
            apply(backend, linear, parameters, a, p_buffer, true, mode.dropout(rate, 0))?;
        }
        if let Some(linear) = &self.layout.rna {
            let b = Matrix::of(backend, &work.rna, n, config.d_rna);
            apply(backend, linear, parameters, b, r_buffer, true, mode.dropout(rate, 1))?;
        }
        let p_from = if self.layout.partner.is_some() { p_buffer } else { &mut work.partner };
        let r_from = if self.layout.rna.is_some() { r_buffer } else { &mut work.rna };
        let (p, r) = (Matrix::of(backend, p_from, n, p_width), Matrix::of(backend, r_from, n, r_width));

        if let Some(linear) = &self.layout.input_gate {
            join_rows(backend, p, r, MatrixMut::of(backend, &mut work.joined, n, p_width + r_width))?;
            let joined = Matrix::of(backend, &work.joined, n, p_width + r_width);
            apply(backend, linear, parameters, joined, &mut work.gate, false, None)?;
        }
        let fused = MatrixMut::of(backend, &mut work.layers[0], n, config.fused_width());
        if config.fusion == Fusion::Concat {
            join_rows(backend, p, r, fused)?;
        } else {
            let g = self.gate_logits(backend, parameters, &work.gate, n);
            gate(backend, &GateInputs { g, p, r }, fused)?;
        }
        for (i, linear) in self.layout.head.iter().enumerate() {
            let (before, after) = work.layers.split_at_mut(i + 1);
            let x = Matrix::of(backend, &before[i], n, linear.weight.cols);
            let hidden = i + 1 < self.layout.head.len();
            let dropout = mode.dropout(if hidden { config.dropout_head } else { 0.0 }, 2 + i as u32);
            apply(backend, linear, parameters, x, &mut after[0], hidden, dropout)?;
        }
        Ok(())
    }
}

impl FusionNetwork {
    /// Logits of the gate: the trained row, one row per pair in `gate`, or for the average its first row, which nothing
    /// ever writes: zeros weigh both sides by one half. Not for a concatenation.
    pub(super) fn gate_logits<'a, B: TrainingBackend, T: Real>(
        &self,
        backend: &B,
        parameters: &'a B::Buffer<T>,
        gate: &'a B::Buffer<T>,
        n: usize,
    ) -> Matrix<'a, B, T> {
        let width = self.config.partner_width();
        match (&self.layout.static_gate, self.config.fusion) {
            (Some(g), _) => Matrix::at(backend, parameters, g.offset, 1, width),
            (None, Fusion::Input) => Matrix::of(backend, gate, n, width),
            (None, _) => Matrix::of(backend, gate, 1, width),
        }
    }
}

/// `y = dropout(relu(x·Wᵀ + b))`.
fn apply<B: TrainingBackend, T: Real>(
    backend: &B,
    linear: &Linear,
    parameters: &B::Buffer<T>,
    x: Matrix<'_, B, T>,
    y: &mut B::Buffer<T>,
    relu: bool,
    dropout: Option<Dropout>,
) -> Result<()> {
    let weight = Matrix::at(backend, parameters, linear.weight.offset, linear.weight.rows, linear.weight.cols);
    let bias = Matrix::at(backend, parameters, linear.bias.offset, 1, linear.bias.cols);
    let width = linear.weight.rows;
    gemm(backend, Product::Nt, x, weight, false, MatrixMut::of(backend, y, x.rows, width))?;
    bias_activation(backend, MatrixMut::of(backend, y, x.rows, width), bias, relu, dropout)
}
