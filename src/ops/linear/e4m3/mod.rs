//! Linear layers whose operands have eight bits (e4m3, scaled): `y = epilogue(x·Wᵀ + b)`, sums in f32.
//!
//! Of W, loaded with [`Precision::Fp8`](super::Precision::Fp8), every output has a scale, `max |w| / 448`. Of x, every row
//! has one ([`layer_norm_e4m3`](crate::ops::layer_norm::e4m3::layer_norm_e4m3)), or all have [`INNER_SCALE`], which is how
//! the activations of the layer before it leave their results.

mod cpu;
mod cuda;

use super::{Epilogue, Linear, LinearWeights, Rotation};
use crate::backend::{Activation, E4m3, Matrix, MatrixMut, Memory, expect_shape};
use crate::error::{Error, Result};

/// Scale of what [`linear_to_e4m3`] writes: numbers to ±112, the least step 2⁻¹¹. What is beyond becomes ±112; behind a
/// layer norm no activation of a language model comes near it.
pub const INNER_SCALE: f32 = 0.25;

/// Rows `scale·values` in eight bits.
pub struct ScaledRows<'a, B: Memory> {
    /// `[n_rows, in]`.
    pub values: Matrix<'a, B, E4m3>,
    /// `[n_rows, 1]`; without them each is [`INNER_SCALE`].
    pub scales: Option<Matrix<'a, B, f32>>,
}

impl<B: Memory> Clone for ScaledRows<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B: Memory> Copy for ScaledRows<'_, B> {}

/// The device side of [`linear_e4m3`], [`linear_to_e4m3`] and [`linear_rope_e4m3`].
pub trait LinearE4m3: Linear {
    /// See [`linear_e4m3`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports; when it has no products of such numbers.
    fn linear_e4m3_raw<A: Activation>(
        &self,
        x: ScaledRows<'_, Self>,
        weights: &Self::Weights,
        epilogue: Epilogue,
        y: MatrixMut<'_, Self, A>,
    ) -> Result<()>;

    /// See [`linear_to_e4m3`]; shapes have been checked.
    ///
    /// # Errors
    /// As above.
    fn linear_to_e4m3_raw(
        &self,
        x: ScaledRows<'_, Self>,
        weights: &Self::Weights,
        epilogue: Epilogue,
        y: MatrixMut<'_, Self, E4m3>,
    ) -> Result<()>;

    /// See [`linear_rope_e4m3`]; shapes have been checked.
    ///
    /// # Errors
    /// As above.
    fn linear_rope_e4m3_raw<A: Activation>(
        &self,
        x: ScaledRows<'_, Self>,
        weights: &Self::Weights,
        rotation: Rotation<'_, Self>,
        qkv: MatrixMut<'_, Self, A>,
    ) -> Result<()>;
}

fn check<B: LinearE4m3>(op: &'static str, x: ScaledRows<'_, B>, weights: &B::Weights, y: [usize; 2]) -> Result<()> {
    expect_shape(op, "x", [y[0], weights.d_in()], x.values.shape())?;
    expect_shape(op, "scales", [y[0], 1], x.scales.map_or([y[0], 1], |scales| scales.shape()))?;
    expect_shape(op, "y", [x.values.rows, weights.d_out()], y)
}

fn check_epilogue(op: &'static str, allowed: bool, expected: &str, found: Epilogue) -> Result<()> {
    if allowed {
        return Ok(());
    }
    Err(Error::Shape { op, expected: expected.to_owned(), found: format!("{found:?}") })
}

/// [`Epilogue::Store`] or [`Epilogue::Add`] of rows in eight bits: `x [n_rows, in]`, `y [n_rows, out]`.
///
/// # Errors
/// When the shapes or the epilogue do not fit; what the device reports.
pub fn linear_e4m3<B: LinearE4m3, A: Activation>(
    backend: &B,
    x: ScaledRows<'_, B>,
    weights: &B::Weights,
    epilogue: Epilogue,
    y: MatrixMut<'_, B, A>,
) -> Result<()> {
    check("linear_e4m3", x, weights, y.shape())?;
    let allowed = matches!(epilogue, Epilogue::Store | Epilogue::Add) && !weights.is_swiglu();
    check_epilogue("linear_e4m3", allowed, "Store or Add, of one layer", epilogue)?;
    backend.linear_e4m3_raw(x, weights, epilogue, y)
}

/// [`Epilogue::Gelu`] or [`Epilogue::SwiGlu`] of rows in eight bits, to eight bits of [`INNER_SCALE`]: `x [n_rows, in]`,
/// `y [n_rows, out]`.
///
/// # Errors
/// When the shapes or the epilogue do not fit; what the device reports.
pub fn linear_to_e4m3<B: LinearE4m3>(
    backend: &B,
    x: ScaledRows<'_, B>,
    weights: &B::Weights,
    epilogue: Epilogue,
    y: MatrixMut<'_, B, E4m3>,
) -> Result<()> {
    check("linear_to_e4m3", x, weights, y.shape())?;
    let allowed = epilogue == if weights.is_swiglu() { Epilogue::SwiGlu } else { Epilogue::Gelu };
    check_epilogue("linear_to_e4m3", allowed, "Gelu of one layer, SwiGlu of two", epilogue)?;
    backend.linear_to_e4m3_raw(x, weights, epilogue, y)
}

/// [`linear_rope`](super::linear_rope) of rows in eight bits: `x [n_tokens, in]`, `qkv [n_tokens, 3·d_model]`.
///
/// # Errors
/// When the shapes do not fit; what the device reports.
pub fn linear_rope_e4m3<B: LinearE4m3, A: Activation>(
    backend: &B,
    x: ScaledRows<'_, B>,
    weights: &B::Weights,
    rotation: Rotation<'_, B>,
    qkv: MatrixMut<'_, B, A>,
) -> Result<()> {
    check("linear_rope_e4m3", x, weights, qkv.shape())?;
    rotation.check("linear_rope_e4m3", weights, qkv.shape())?;
    backend.linear_rope_e4m3_raw(x, weights, rotation, qkv)
}
