//! A linear layer with stored weights and what follows it: `y = epilogue(x·Wᵀ + b)`.

mod cpu;
mod cuda;
mod cuda_tiles;
mod cuda_weights;
mod cuda_wgmma;
pub mod e4m3;
mod finish;
mod int8;
mod panels;
mod prefetch;
pub(in crate::ops) mod product;
mod rope;
pub(in crate::ops) mod split;
#[cfg(test)]
mod tests;
pub(in crate::ops) mod tile;
pub(in crate::ops) mod turn;
mod turn_heads;

pub use rope::{Rotation, linear_rope};

use crate::backend::{Activation, Matrix, MatrixMut, Memory, expect_shape};
use crate::error::Result;
use crate::weights::Tensor;

/// Arithmetic of a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Products and sums in f32, whatever the type of the weights.
    #[default]
    F32,
    /// Weights and activations in f16, products summed in f32.
    F16,
    /// Weights in 8 bits with one scale per output, activations in 8 bits with one scale per row; sums are exact.
    Int8,
    /// States in f16; weights in e4m3 with one scale per output, what layer norms and activations give in e4m3, products
    /// summed in f32. Of the layers of an encoder but for the output of its attention, see [`e4m3`].
    Fp8,
}

impl Precision {
    /// Name on the command line and in the digests of encoders.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Int8 => "int8",
            Self::Fp8 => "fp8",
        }
    }
}

/// The weights of a linear layer as they lie in a checkpoint: `[out, in]`, f16, bf16 or f32.
#[derive(Debug, Clone, Copy)]
pub enum LinearTensors<'a> {
    /// Layers of one input side by side: `y = [x·W₀ᵀ, x·W₁ᵀ, …]`, with as many biases as weights, or none.
    Stacked {
        /// The weights.
        weights: &'a [Tensor],
        /// The biases `[out]`.
        biases: &'a [Tensor],
    },
    /// The two layers of a `SwiGLU`; of the same shape.
    SwiGlu {
        /// Weight of the branch that goes through the activation.
        linear: &'a Tensor,
        /// Its bias `[out]`.
        linear_bias: &'a Tensor,
        /// Weight of the branch that multiplies.
        gate: &'a Tensor,
        /// Its bias `[out]`.
        gate_bias: &'a Tensor,
        /// The activation is `a·σ(β·a)`.
        beta: f32,
    },
}

/// What becomes of `z = x·Wᵀ + b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epilogue {
    /// `y = z`.
    Store,
    /// `y = z·½·(1 + erf(z/√2))`.
    Gelu,
    /// `y = max(z, 0)`.
    Relu,
    /// `y = y + z`.
    Add,
    /// `y = a·σ(β·a)·g`, `[n_rows, out]` of the two layers loaded as [`LinearTensors::SwiGlu`], and of those only.
    SwiGlu,
}

impl Epilogue {
    /// In the names of kernels.
    fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Gelu => "gelu",
            Self::Relu => "relu",
            Self::Add => "add",
            Self::SwiGlu => "swiglu",
        }
    }
}

/// The device side of [`linear`].
pub trait Linear: Memory {
    /// Weights as this device keeps them. A CPU keeps the tensors where they are (mapped), f32 arithmetic converts
    /// them where it uses them; int8 holds its own copy.
    type Weights: LinearWeights;

    /// Takes the weights of one layer. The shapes agree with each other: the loader has checked them.
    ///
    /// # Errors
    /// When the device has no memory left.
    fn load_linear(&self, tensors: LinearTensors<'_>, precision: Precision) -> Result<Self::Weights>;

    /// See [`linear`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn linear_raw<A: Activation>(
        &self,
        n_rows: usize,
        x: Self::View<'_, A>,
        weights: &Self::Weights,
        epilogue: Epilogue,
        y: Self::ViewMut<'_, A>,
    ) -> Result<()>;

    /// See [`linear_rope`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn linear_rope_raw<A: Activation>(
        &self,
        x: Self::View<'_, A>,
        weights: &Self::Weights,
        rotation: Rotation<'_, Self>,
        qkv: MatrixMut<'_, Self, A>,
    ) -> Result<()>;
}

/// What a device tells about weights it holds.
pub trait LinearWeights: Send + Sync {
    /// Width of `x`, [padded](Memory::padded).
    fn d_in(&self) -> usize;
    /// Width of `y`, padded.
    fn d_out(&self) -> usize;
    /// True of the two layers of a `SwiGLU`.
    fn is_swiglu(&self) -> bool;
}

/// `y = epilogue(x·Wᵀ + b)`, `x [n_rows, in]`, `y [n_rows, out]`.
///
/// A row of `y` depends on the same row of `x` alone, bit for bit: the order of each sum is fixed by the width.
///
/// # Errors
/// When the shapes or the epilogue do not fit the weights.
pub fn linear<B: Linear, A: Activation>(
    backend: &B,
    x: Matrix<'_, B, A>,
    weights: &B::Weights,
    epilogue: Epilogue,
    y: MatrixMut<'_, B, A>,
) -> Result<()> {
    expect_shape("linear", "x", [y.rows, weights.d_in()], x.shape())?;
    expect_shape("linear", "y", [x.rows, weights.d_out()], y.shape())?;
    if weights.is_swiglu() != (epilogue == Epilogue::SwiGlu) {
        return Err(crate::error::Error::Shape {
            op: "linear",
            expected: "the SwiGLU epilogue on SwiGLU weights only".to_owned(),
            found: format!("{epilogue:?}"),
        });
    }
    backend.linear_raw(x.rows, x.view, weights, epilogue, y.view)
}
