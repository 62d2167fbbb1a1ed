//! CPU twin.

use super::{Epilogue, Linear, LinearTensors, LinearWeights, Precision};
use crate::backend::{Cpu, Matrix, MatrixMut};
use crate::error::Result;
use crate::ops::gemm::{Product, gemm};

/// Weights of one layer, `[out, in]`, or two layers of that shape.
#[derive(Debug)]
pub struct CpuWeights {
    d_in: usize,
    d_out: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
    beta: Option<f32>,
}

impl LinearWeights for CpuWeights {
    fn d_in(&self) -> usize {
        self.d_in
    }
    fn d_out(&self) -> usize {
        self.d_out
    }
    fn is_swiglu(&self) -> bool {
        self.beta.is_some()
    }
}

impl Linear for Cpu {
    type Weights = CpuWeights;

    fn load_linear(&self, tensors: LinearTensors<'_>, _precision: Precision) -> Result<CpuWeights> {
        let (weights, biases, beta) = match tensors {
            LinearTensors::Stacked { weights, biases } => (weights.to_vec(), biases.to_vec(), None),
            LinearTensors::SwiGlu { linear, linear_bias, gate, gate_bias, beta } => {
                (vec![linear.clone(), gate.clone()], vec![linear_bias.clone(), gate_bias.clone()], Some(beta))
            }
        };
        let d_in = weights[0].shape()[1];
        let weight: Vec<f32> = weights.iter().flat_map(crate::weights::Tensor::to_f32).collect();
        let rows = weight.len() / d_in;
        let mut bias: Vec<f32> = biases.iter().flat_map(crate::weights::Tensor::to_f32).collect();
        bias.resize(rows, 0.0);
        Ok(CpuWeights { d_in, d_out: if beta.is_some() { rows / 2 } else { rows }, weight, bias, beta })
    }

    fn linear_raw(
        &self,
        n_rows: usize,
        x: &[f32],
        weights: &CpuWeights,
        epilogue: Epilogue,
        y: &mut [f32],
    ) -> Result<()> {
        let rows = weights.bias.len();
        let mut z = vec![0.0; n_rows * rows];
        gemm(
            self,
            Product::Nt,
            Matrix { rows: n_rows, cols: weights.d_in, view: x },
            Matrix { rows, cols: weights.d_in, view: &weights.weight[..] },
            false,
            MatrixMut { rows: n_rows, cols: rows, view: &mut z[..] },
        )?;
        for (z, y) in z.chunks_mut(rows).zip(y.chunks_mut(weights.d_out)) {
            for (z, bias) in z.iter_mut().zip(&weights.bias) {
                *z += bias;
            }
            for (i, y) in y.iter_mut().enumerate() {
                *y = match epilogue {
                    Epilogue::Store => z[i],
                    Epilogue::Add => *y + z[i],
                    Epilogue::Gelu => 0.5 * z[i] * (1.0 + libm::erff(z[i] * std::f32::consts::FRAC_1_SQRT_2)),
                    Epilogue::Relu => z[i].max(0.0),
                    Epilogue::SwiGlu => {
                        let a = z[i];
                        a / (1.0 + (-weights.beta.unwrap_or(1.0) * a).exp()) * z[i + weights.d_out]
                    }
                };
            }
        }
        Ok(())
    }
}
