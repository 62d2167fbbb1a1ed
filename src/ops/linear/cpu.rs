//! CPU twin.

use super::finish::Finish;
use super::int8::{self, Int8Weights};
use super::panels::Branches;
use super::product::product as product_f32;
use super::turn_heads::turn_heads;
use super::{Epilogue, Linear, LinearTensors, LinearWeights, Precision, Rotation};
use crate::backend::{Activation, Cpu, MatrixMut};
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
        if precision == Precision::F16 {
            tensors.iter_mut().flatten().for_each(|tensor| *tensor = tensor.rounded_to_f16());
        }
        let branches = Branches { tensors, d_in, d_out };
        let quantized = match precision {
            Precision::F32 | Precision::F16 => None,
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
        let finish = Finish { biases: &weights.biases, epilogue, beta: weights.beta.unwrap_or(1.0) };
        A::in_f32(y, |y| match &weights.quantized {
            None => product_f32(self, n_rows, &A::widened(x), &weights.branches, finish, y),
            Some(quantized) => int8::product(self, n_rows, &A::widened(x), quantized, finish, y),
        });
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
