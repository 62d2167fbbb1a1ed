//! CPU twin: the ops that the network is trained by, one after the other over batches of pairs. A row's sums depend on
//! no other row, so each entity is projected once, however many pairs it has, and an f32 logit has the bits of the
//! training's forward pass.

use std::borrow::Cow;

use super::{FusionInputs, FusionLayer, FusionShape, GatedFusion, Mixing};
use crate::backend::{Activation, Cpu, Element, Stack, StackMut};
use crate::error::Result;
use crate::ops::bias_activation::BiasActivation;
use crate::ops::gate::{Gate, GateInputs};
use crate::ops::gemm::{Gemm, Product};

/// Pairs that pass the layers together: enough to fill the vector unit, few enough for the second-level cache.
const BATCH: usize = 256;

impl GatedFusion for Cpu {
    fn pairs_together(&self) -> usize {
        512
    }

    fn gated_fusion_raw<A: Activation>(
        &self,
        shape: &FusionShape,
        inputs: &FusionInputs<'_, Self, A>,
        logits: &mut [f32],
        gate_mean: Option<&mut [f32]>,
    ) -> Result<()> {
        let network = Network { cpu: *self, shape, parameters: &A::widened(inputs.parameters.view), round: round::<A> };
        let p = network.projected(shape.partner(), A::widened(inputs.partner.view))?;
        let r = network.projected(shape.rna(), A::widened(inputs.rna.view))?;
        let [p_width, r_width] = shape.widths().map(|width| width as usize);
        let mut work = Batch::default();
        let mut means = gate_mean.map(|mean| mean.chunks_mut(BATCH));
        let (pairs, _) = inputs.pairs.view(self).as_chunks::<2>();
        for (pairs, logits) in pairs.chunks(BATCH).zip(logits.chunks_mut(BATCH * shape.n_outputs())) {
            gather(&p, p_width, pairs.iter().map(|pair| pair[0]), &mut work.p);
            gather(&r, r_width, pairs.iter().map(|pair| pair[1]), &mut work.r);
            network.mix(&mut work, pairs.len(), means.as_mut().and_then(Iterator::next))?;
            network.head(&mut work, logits)?;
        }
        Ok(())
    }
}

/// Activations of a batch of pairs.
#[derive(Default)]
struct Batch {
    p: Vec<f32>,
    r: Vec<f32>,
    joined: Vec<f32>,
    /// Logits of the input-dependent gate.
    gate: Vec<f32>,
    /// What the next layer of the head reads, and what it writes.
    x: Vec<f32>,
    y: Vec<f32>,
}

struct Network<'a> {
    cpu: Cpu,
    shape: &'a FusionShape,
    parameters: &'a [f32],
    /// Rounds activations as they are rounded between layers.
    round: fn(&mut [f32]),
}

impl Network<'_> {
    fn parameters(&self, first: u32, len: usize) -> &[f32] {
        &self.parameters[first as usize..][..len]
    }

    /// `y = x·Wᵀ + b`, not rounded.
    fn linear(&self, layer: FusionLayer, x: &[f32], relu: bool, y: &mut Vec<f32>) -> Result<()> {
        let (k, n) = (layer.d_in as usize, layer.d_out as usize);
        let m = x.len() / k;
        y.resize(m * n, 0.0);
        let weight = self.parameters(layer.weight, n * k);
        self.cpu.gemm_raw(Product::Nt, one(m, k, x), one(n, k, weight), one_mut(m, n, y))?;
        self.cpu.bias_activation_raw(one_mut(m, n, y), one(1, n, self.parameters(layer.bias, n)), relu, None)
    }

    /// The entities of one side, projected where the side is.
    fn projected<'t>(&self, layer: Option<FusionLayer>, table: Cow<'t, [f32]>) -> Result<Cow<'t, [f32]>> {
        let Some(layer) = layer else { return Ok(table) };
        let mut y = Vec::new();
        self.linear(layer, &table, true, &mut y)?;
        (self.round)(&mut y);
        Ok(Cow::Owned(y))
    }

    /// Makes x of p and r, and tells the mean share of the partner.
    fn mix(&self, work: &mut Batch, n: usize, gate_mean: Option<&mut [f32]>) -> Result<()> {
        let [width, r_width] = self.shape.widths().map(|width| width as usize);
        let (p, r) = (one(n, width, &work.p), one(n, r_width, &work.r));
        let x_width = self.shape.mixed_width() as usize;
        work.x.resize(n * x_width, 0.0);
        let x = one_mut(n, x_width, &mut work.x);
        let zeros;
        let g = match self.shape.mixing() {
            Mixing::Concatenation => return self.cpu.join_rows_raw(p, r, x),
            Mixing::StaticGate(first) => self.parameters(first, width),
            Mixing::InputGate(layer) => {
                work.joined.resize(n * 2 * width, 0.0);
                self.cpu.join_rows_raw(p, r, one_mut(n, 2 * width, &mut work.joined))?;
                self.linear(layer, &work.joined, false, &mut work.gate)?;
                (self.round)(&mut work.gate);
                &work.gate
            }
            Mixing::Average => {
                zeros = vec![0.0; width];
                &zeros
            }
        };
        self.cpu.gate_raw(&GateInputs { g: one(g.len() / width, width, g), p, r }, x)?;
        (self.round)(&mut work.x);
        if let Some(mean) = gate_mean {
            let shares: Vec<f32> = g.chunks_exact(width).map(mean_share).collect();
            mean.iter_mut().zip(shares.iter().cycle()).for_each(|(mean, &share)| *mean = share);
        }
        Ok(())
    }

    fn head(&self, work: &mut Batch, logits: &mut [f32]) -> Result<()> {
        let head = self.shape.head();
        for (i, &layer) in head.iter().enumerate() {
            let hidden = i + 1 < head.len();
            self.linear(layer, &work.x, hidden, &mut work.y)?;
            if hidden {
                (self.round)(&mut work.y);
            }
            std::mem::swap(&mut work.x, &mut work.y);
        }
        logits.copy_from_slice(&work.x);
        Ok(())
    }
}

/// A matrix of the one run that there is.
fn one(rows: usize, cols: usize, view: &[f32]) -> Stack<'_, Cpu, f32> {
    Stack { runs: 1, rows, cols, stride: rows * cols, view }
}

fn one_mut(rows: usize, cols: usize, view: &mut [f32]) -> StackMut<'_, Cpu, f32> {
    StackMut { runs: 1, rows, cols, stride: rows * cols, view }
}

/// Mean of σ(g).
fn mean_share(g: &[f32]) -> f32 {
    let sum: f64 = g.iter().map(|&g| 1.0 / (1.0 + f64::from(-g).exp())).sum();
    (sum / g.len() as f64) as f32
}

/// Copies the rows of a table one below the other.
fn gather(table: &[f32], width: usize, rows: impl Iterator<Item = u32>, out: &mut Vec<f32>) {
    out.clear();
    rows.for_each(|row| out.extend_from_slice(&table[row as usize * width..][..width]));
}

/// Rounds numbers as they are where activations lie in `A`.
fn round<A: Activation>(values: &mut [f32]) {
    if A::NAME != f32::NAME {
        let narrow: Vec<A> = values.iter().map(|&x| A::rounded(x)).collect();
        values.copy_from_slice(&A::widened(&narrow));
    }
}
