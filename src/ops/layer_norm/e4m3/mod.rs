//! Layer normalisation that ends in eight bits: what a linear layer in e4m3 takes.

mod cpu;
mod cuda;

use crate::backend::{Activation, E4m3, Matrix, MatrixMut, Memory, expect_shape};
use crate::error::Result;

/// Where normalised rows `h` go.
pub struct Normalised<'a, B: Memory> {
    /// `448·h / max |h|` of each row, `[n_rows, d]`.
    pub values: MatrixMut<'a, B, E4m3>,
    /// `max |h| / 448`, `[n_rows, 1]`: 1 of a row of zeros, NaN of a row that holds one.
    pub scales: MatrixMut<'a, B, f32>,
}

/// The device side of [`layer_norm_e4m3`].
pub trait LayerNormE4m3: super::LayerNorm {
    /// See [`layer_norm_e4m3`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn layer_norm_e4m3_raw<A: Activation>(
        &self,
        x: Matrix<'_, Self, A>,
        weight: Self::View<'_, f32>,
        bias: Self::View<'_, f32>,
        eps: f32,
        y: Normalised<'_, Self>,
        kept: Option<MatrixMut<'_, Self, A>>,
    ) -> Result<()>;
}

/// `h = (x − mean) / √(variance + eps) · weight + bias` over each row, rounded to the type of `x` as
/// [`layer_norm`](super::layer_norm) rounds it, then put into e4m3 with one scale per row: `x` `[n_rows, d]`, `weight`,
/// `bias` `[1, d]`. `kept` is given `h` itself, `[n_rows, d]`, where somebody else needs it.
///
/// # Errors
/// When the shapes differ.
pub fn layer_norm_e4m3<B: LayerNormE4m3, A: Activation>(
    backend: &B,
    x: Matrix<'_, B, A>,
    weight: Matrix<'_, B, f32>,
    bias: Matrix<'_, B, f32>,
    eps: f32,
    y: Normalised<'_, B>,
    kept: Option<MatrixMut<'_, B, A>>,
) -> Result<()> {
    expect_shape("layer_norm_e4m3", "values", x.shape(), y.values.shape())?;
    expect_shape("layer_norm_e4m3", "scales", [x.rows, 1], y.scales.shape())?;
    expect_shape("layer_norm_e4m3", "kept", x.shape(), kept.as_ref().map_or(x.shape(), MatrixMut::shape))?;
    expect_shape("layer_norm_e4m3", "weight", [1, x.cols], weight.shape())?;
    expect_shape("layer_norm_e4m3", "bias", [1, x.cols], bias.shape())?;
    backend.layer_norm_e4m3_raw(x, weight.view, bias.view, eps, y, kept)
}
