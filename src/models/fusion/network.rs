//! The forward pass.

use super::config::{Fusion, FusionConfig};
use super::layout::{Layout, Linear};
use super::parameters::Parameters;
use super::workspace::{Rows, Workspace};
use crate::backend::{Real, Stack};
use crate::error::Result;
use crate::ops::TrainingBackend;
use crate::ops::bias_activation::{Dropout, bias_activation};
use crate::ops::clock::Clock;
use crate::ops::gate::{GateInputs, gate, join_rows};
use crate::ops::gemm::{Product, gemm};

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

    /// Logits of the first `n` pairs of each run, whose vectors lie in `work`: probability is σ(logit); a regression reads
    /// the logit itself. With dropout by the masks of the seeds and steps of `dropout`, or without.
    ///
    /// # Errors
    /// What the ops report.
    pub fn forward<B: TrainingBackend<T>, T: Real>(
        &self,
        backend: &B,
        parameters: &Parameters<B, T>,
        work: &mut Workspace<B, T>,
        n: usize,
        dropout: Option<Clock<'_, B>>,
    ) -> Result<()> {
        let (config, rows) = (&self.config, work.rows(n));
        let (p_width, r_width) = (config.partner_width(), config.rna_width());
        let dropped = |rate, layer| dropout.map(|clock| Dropout { rate, layer, clock });
        let layer = Layer { backend, parameters, rows };
        let [p_buffer, r_buffer] = &mut work.projected;
        if let Some(linear) = &self.layout.partner {
            let a = rows.of(backend, &work.partner, config.d_partner);
            layer.apply(linear, a, p_buffer, true, dropped(config.dropout_projection, 0))?;
        }
        if let Some(linear) = &self.layout.rna {
            let b = rows.of(backend, &work.rna, config.d_rna);
            layer.apply(linear, b, r_buffer, true, dropped(config.dropout_projection, 1))?;
        }
        let p_from = if self.layout.partner.is_some() { p_buffer } else { &mut work.partner };
        let r_from = if self.layout.rna.is_some() { r_buffer } else { &mut work.rna };
        let (p, r) = (rows.of(backend, p_from, p_width), rows.of(backend, r_from, r_width));

        if let Some(linear) = &self.layout.input_gate {
            join_rows(backend, p, r, rows.of_mut(backend, &mut work.joined, p_width + r_width))?;
            let joined = rows.of(backend, &work.joined, p_width + r_width);
            layer.apply(linear, joined, &mut work.gate, false, None)?;
        }
        let fused = rows.of_mut(backend, &mut work.layers[0], config.fused_width());
        if config.fusion == Fusion::Concat {
            join_rows(backend, p, r, fused)?;
        } else {
            let g = self.gate_logits(backend, parameters, &work.gate, rows);
            gate(backend, &GateInputs { g, p, r }, fused)?;
        }
        for (i, linear) in self.layout.head.iter().enumerate() {
            let (before, after) = work.layers.split_at_mut(i + 1);
            let x = rows.of(backend, &before[i], linear.weight.cols);
            let hidden = i + 1 < self.layout.head.len();
            let dropout = if hidden { dropped(config.dropout_head, 2 + i as u32) } else { None };
            layer.apply(linear, x, &mut after[0], hidden, dropout)?;
        }
        Ok(())
    }

    /// Logits of the gate: the trained row, one row per pair in `gate`, or for the average its first row, which nothing
    /// ever writes: zeros weigh both sides by one half. Not for a concatenation.
    pub(super) fn gate_logits<'a, B: TrainingBackend<T>, T: Real>(
        &self,
        backend: &B,
        parameters: &'a Parameters<B, T>,
        gate: &'a B::Buffer<T>,
        rows: Rows,
    ) -> Stack<'a, B, T> {
        let width = self.config.partner_width();
        match (&self.layout.static_gate, self.config.fusion) {
            (Some(g), _) => parameters.stack(backend, g.offset, 1, width),
            (None, Fusion::Input) => rows.of(backend, gate, width),
            (None, _) => rows.one(backend, gate, width),
        }
    }
}

/// What the layers of a pass share.
struct Layer<'a, B: TrainingBackend<T>, T: Real> {
    backend: &'a B,
    parameters: &'a Parameters<B, T>,
    rows: Rows,
}

impl<B: TrainingBackend<T>, T: Real> Layer<'_, B, T> {
    /// `y = dropout(relu(x·Wᵀ + b))`.
    fn apply(
        &self,
        linear: &Linear,
        x: Stack<'_, B, T>,
        y: &mut B::Buffer<T>,
        relu: bool,
        dropout: Option<Dropout<'_, B>>,
    ) -> Result<()> {
        let Self { backend, parameters, rows } = *self;
        let [weight, bias] =
            [&linear.weight, &linear.bias].map(|t| parameters.stack(backend, t.offset, t.rows, t.cols));
        let width = linear.weight.rows;
        gemm(backend, Product::Nt, x, weight, rows.of_mut(backend, y, width))?;
        bias_activation(backend, rows.of_mut(backend, y, width), bias, relu, dropout)
    }
}
