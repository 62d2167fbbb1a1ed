//! CPU twin.

use super::finish::Finish;
use super::int8::{self, Int8Weights};
use super::panels::Branches;
use super::product::product as product_f32;
use super::turn_heads::turn_heads;
use super::{Epilogue, Linear, LinearTensors, LinearWeights, Precision, Rotation};
use crate::backend::{Activation, Cpu, E4m3, MatrixMut};
use crate::error::Result;
use crate::weights::Tensor;

/// Weights of one layer.
#[derive(Debug)]
pub struct CpuWeights {
    branches: Branches,
    biases: Vec<Vec<f32>>,
    beta: Option<f32>,
    /// Of [`Precision::Int8`].
    quantized: Option<Int8Weights>,
}

impl LinearWeights for CpuWeights {
    fn d_in(&self) -> usize {
        self.branches.d_in
    }
    fn d_out(&self) -> usize {
        self.branches.d_out
    }
    fn is_swiglu(&self) -> bool {
        self.beta.is_some()
    }
}

impl CpuWeights {
    /// `y = epilogue(x·Wᵀ + b)`.
    pub(super) fn multiply(&self, cpu: &Cpu, n_rows: usize, x: &[f32], epilogue: Epilogue, y: &mut [f32]) {
        let finish = Finish { biases: &self.biases, epilogue, beta: self.beta.unwrap_or(1.0) };
        match &self.quantized {
            None => product_f32(cpu, n_rows, x, &self.branches, finish, y),
            Some(quantized) => int8::product(cpu, n_rows, x, quantized, finish, y),
        }
    }
}

/// The tensor as its numbers of eight bits and their scales give it.
fn through_e4m3(tensor: &Tensor) -> Tensor {
    let (mut values, width) = (tensor.to_f32(), tensor.shape()[1].max(1));
    let mut bytes = vec![E4m3::default(); width];
    for row in values.chunks_exact_mut(width) {
        let scale = E4m3::quantise(row, &mut bytes);
        row.iter_mut().zip(&bytes).for_each(|(x, byte)| *x = byte.to_f32() * scale);
    }
    Tensor::from_f32("weight", tensor.shape(), values)
}

impl Linear for Cpu {
    type Weights = CpuWeights;

    fn load_linear(&self, tensors: LinearTensors<'_>, precision: Precision) -> Result<CpuWeights> {
        let (mut tensors, biases, beta) = match tensors {
            LinearTensors::Stacked { weights, biases } => {
                (vec![weights.to_vec()], vec![biases.iter().flat_map(Tensor::to_f32).collect()], None)
            }
            LinearTensors::SwiGlu { linear, linear_bias, gate, gate_bias, beta } => (
                vec![vec![linear.clone()], vec![gate.clone()]],
                vec![linear_bias.to_f32(), gate_bias.to_f32()],
                Some(beta),
            ),
        };
        let d_out = tensors[0].iter().map(|tensor| tensor.shape()[0]).sum();
        let d_in = tensors[0].first().map_or(0, |tensor| tensor.shape()[1]);
        match precision {
            Precision::F32 | Precision::Int8 => {}
            Precision::F16 => tensors.iter_mut().flatten().for_each(|tensor| *tensor = tensor.rounded_to_f16()),
            Precision::Fp8 => tensors.iter_mut().flatten().for_each(|tensor| *tensor = through_e4m3(tensor)),
        }
        let branches = Branches { tensors, d_in, d_out };
        let quantized = match precision {
            Precision::F32 | Precision::F16 | Precision::Fp8 => None,
            Precision::Int8 => Some(Int8Weights::new(self.isa, &branches)?),
        };
        Ok(CpuWeights { branches, biases, beta, quantized })
    }

    fn linear_raw<A: Activation>(
        &self,
        n_rows: usize,
        x: &[A],
        weights: &CpuWeights,
        epilogue: Epilogue,
        y: &mut [A],
    ) -> Result<()> {
        A::in_f32(y, |y| weights.multiply(self, n_rows, &A::widened(x), epilogue, y));
        Ok(())
    }

    fn linear_rope_raw<A: Activation>(
        &self,
        x: &[A],
        weights: &CpuWeights,
        rotation: Rotation<'_, Self>,
        qkv: MatrixMut<'_, Self, A>,
    ) -> Result<()> {
        self.linear_raw(qkv.rows, x, weights, Epilogue::Store, &mut *qkv.view)?;
        A::in_f32(qkv.view, |rows| turn_heads(self, &rotation, qkv.cols, rows));
        Ok(())
    }
}
