//! A trained fusion network for a list of pairs: projections, gate and head in one op.
//!
//! `p = relu(Wa·a + ba)` and `r = relu(Wb·b + bb)`, or the entity's own vector where it is not projected;
//! `x = σ(g) ⊙ p + (1 − σ(g)) ⊙ r`, or `(p + r)/2`, or `[p|r]`; logits = head(x), with ReLU between its layers.

mod cpu;
mod cuda;
mod pairs;
mod shape;

pub use pairs::Pairs;
pub use shape::{FusionLayer, FusionShape, MOST_HEAD_LAYERS, Mixing};

use crate::backend::{Activation, Matrix, MatrixMut, Memory, expect_shape};
use crate::error::{Error, Result};

/// What [`gated_fusion`] reads.
pub struct FusionInputs<'a, B: Memory, A: Activation> {
    /// Vectors of the partners `[n_partners, d_partner]`, each entity once: a device may project all of them.
    pub partner: Matrix<'a, B, A>,
    /// Vectors of the RNAs `[n_rnas, d_rna]`, likewise.
    pub rna: Matrix<'a, B, A>,
    /// Which of them meet, `[n, 2]`.
    pub pairs: &'a Pairs<B>,
    /// All weights `[1, n_parameters]`, where the shape says. Devices read a weight fastest from a multiple of 16 bytes.
    pub parameters: Matrix<'a, B, A>,
}

/// The device side of [`gated_fusion`].
pub trait GatedFusion: Memory {
    /// Pairs that are worth a call: fewer leave the device idle, or cost more for the calls than for the work.
    fn pairs_together(&self) -> usize;

    /// See [`gated_fusion`]; shapes have been checked.
    ///
    /// # Errors
    /// When the network is too wide for the device; what it reports.
    fn gated_fusion_raw<A: Activation>(
        &self,
        shape: &FusionShape,
        inputs: &FusionInputs<'_, Self, A>,
        logits: Self::ViewMut<'_, f32>,
        gate_mean: Option<Self::ViewMut<'_, f32>>,
    ) -> Result<()>;
}

/// Logits `[n, n_outputs]` of the pairs, and the mean share σ(g) of the partner in each, `[1, n]`, if it is asked for:
/// not of a concatenation, which has no gate.
///
/// Activations lie in `A` between the layers, sums in f32. A pair has the same logits in any list.
///
/// # Errors
/// When the operands do not have the widths that `shape` says, or a weight does not lie among the parameters; when the
/// network is too wide for the device.
pub fn gated_fusion<B: GatedFusion, A: Activation>(
    backend: &B,
    shape: &FusionShape,
    inputs: &FusionInputs<'_, B, A>,
    logits: MatrixMut<'_, B, f32>,
    gate_mean: Option<MatrixMut<'_, B, f32>>,
) -> Result<()> {
    const OP: &str = "gated_fusion";
    let (n, [n_partners, n_rnas]) = (inputs.pairs.len(), inputs.pairs.n_rows());
    expect_shape(OP, "partner", [n_partners, shape.d_partner()], inputs.partner.shape())?;
    expect_shape(OP, "rna", [n_rnas, shape.d_rna()], inputs.rna.shape())?;
    expect_shape(OP, "logits", [n, shape.n_outputs()], logits.shape())?;
    if let Some(mean) = &gate_mean {
        let rows = usize::from(shape.mixing() != Mixing::Concatenation);
        expect_shape(OP, "gate_mean", [rows, n], mean.shape())?;
    }
    let [rows, n_parameters] = inputs.parameters.shape();
    if rows != 1 || n_parameters < shape.n_parameters() {
        let expected = format!("parameters [1, {}] or more", shape.n_parameters());
        return Err(Error::Shape { op: OP, expected, found: format!("[{rows}, {n_parameters}]") });
    }
    backend.gated_fusion_raw(shape, inputs, logits.view, gate_mean.map(|mean| mean.view))
}

#[cfg(test)]
mod tests;
