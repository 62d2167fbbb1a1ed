//! Weights of a linear layer in device memory: rows padded with zeros, the two layers of a `SwiGLU` row by row in turn.
//!
//! The one place where an odd width (the 3 413 of RiNALMo giga) becomes whole pieces of 16 bytes. It is exact: a padded
//! input is multiplied by zero, and a padded output of a `SwiGLU` is swish(0)·0.

use half::f16;
use rayon::prelude::*;

use super::{LinearTensors, LinearWeights, Precision};
use crate::backend::cuda::{CudaBuffer, CudaView, TensorCores};
use crate::backend::{Activation, Cuda, E4m3, Memory};
use crate::error::{Error, Result};
use crate::weights::{Tensor, Values};

/// Weights of one layer.
pub struct CudaWeights {
    values: Stored,
    bias: Option<CudaBuffer<f32>>,
    d_in: usize,
    d_out: usize,
    beta: Option<f32>,
}

enum Stored {
    F16(CudaBuffer<f16>),
    F32(CudaBuffer<f32>),
    /// With the scale of each row.
    E4m3(CudaBuffer<E4m3>, CudaBuffer<f32>),
}

impl Stored {
    fn quantised(cuda: &Cuda, layout: &Layout<'_>) -> Result<Self> {
        let info = cuda.info();
        if info.tensor_cores != TensorCores::Wgmma {
            return Err(Error::data(
                format!("{info}: --precision fp8 needs products by wgmma, of compute capability 9.0 alone"),
                "choose --precision f16 or f32; if BIOLLMNET_TENSOR_CORES=mma is set, unset it",
            ));
        }
        let (rows, width) = (layout.rows_in_f32(), layout.d_in[1].max(1));
        let (mut bytes, mut scales) = (vec![E4m3::default(); rows.len()], vec![1.0; layout.n_rows()]);
        let places = bytes.par_chunks_exact_mut(width).zip(&mut scales);
        rows.par_chunks_exact(width).zip(places).for_each(|(row, (to, scale))| *scale = E4m3::quantise(row, to));
        Ok(Self::E4m3(cuda.uploaded(&bytes)?, cuda.uploaded(&scales)?))
    }
}

/// Rows of a stored matrix, from the tensors of a layer.
struct Layout<'a> {
    tensors: LinearTensors<'a>,
    /// Width of the tensors, and as stored.
    d_in: [usize; 2],
    /// Outputs of the tensors, and as stored.
    d_out: [usize; 2],
}

impl<'a> Layout<'a> {
    fn of(cuda: &Cuda, tensors: LinearTensors<'a>) -> Self {
        let first = match tensors {
            LinearTensors::Stacked { weights, .. } => weights.first(),
            LinearTensors::SwiGlu { linear, .. } => Some(linear),
        };
        let rows = |tensor: &Tensor| tensor.shape()[0];
        let d_out = match tensors {
            LinearTensors::Stacked { weights, .. } => weights.iter().map(rows).sum(),
            LinearTensors::SwiGlu { linear, .. } => rows(linear),
        };
        let d_in = first.map_or(0, |tensor| tensor.shape()[1]);
        let both = |width: usize| [width, cuda.padded(width)];
        Self { tensors, d_in: both(d_in), d_out: both(d_out) }
    }

    fn n_rows(&self) -> usize {
        match self.tensors {
            LinearTensors::Stacked { .. } => self.d_out[1],
            LinearTensors::SwiGlu { .. } => 2 * self.d_out[1],
        }
    }

    fn upload<A: Activation>(&self, cuda: &Cuda) -> Result<CudaBuffer<A>> {
        let [width, stored] = self.d_in;
        let mut buffer = cuda.zeros::<A>(self.n_rows() * stored)?;
        match self.tensors {
            LinearTensors::Stacked { weights, .. } => {
                let mut start = 0;
                for tensor in weights {
                    let end = start + tensor.shape()[0] * stored;
                    let mut view = |rows: &[A]| cuda.upload(rows, cuda.view_mut(&mut buffer, start..end));
                    // Weights that are stored as they are computed with go from the mapped file to the device.
                    match tensor.values() {
                        Values::F16(values) if A::NAME == "f16" && width == stored => {
                            view(bytemuck::cast_slice(values))?;
                        }
                        _ => view(&padded_rows(&converted::<A>(tensor), width, stored))?,
                    }
                    start = end;
                }
            }
            LinearTensors::SwiGlu { linear, gate, .. } => {
                let rows =
                    in_turn([linear, gate].map(|tensor| padded_rows(&converted::<A>(tensor), width, stored)), stored);
                cuda.upload(&rows, cuda.view_mut(&mut buffer, 0..rows.len()))?;
            }
        }
        Ok(buffer)
    }

    /// The stored matrix in f32.
    fn rows_in_f32(&self) -> Vec<f32> {
        let [width, stored] = self.d_in;
        let padded = |tensor: &Tensor| padded_rows(&tensor.to_f32(), width, stored);
        let mut rows = match self.tensors {
            LinearTensors::Stacked { weights, .. } => weights.iter().flat_map(padded).collect(),
            LinearTensors::SwiGlu { linear, gate, .. } => in_turn([linear, gate].map(padded), stored),
        };
        rows.resize(self.n_rows() * stored, 0.0);
        rows
    }

    fn bias(&self) -> Vec<f32> {
        let mut bias: Vec<f32> = match self.tensors {
            LinearTensors::Stacked { biases, .. } => biases.iter().flat_map(Tensor::to_f32).collect(),
            LinearTensors::SwiGlu { linear_bias, gate_bias, .. } => {
                linear_bias.to_f32().into_iter().zip(gate_bias.to_f32()).flat_map(|(a, g)| [a, g]).collect()
            }
        };
        if !bias.is_empty() {
            bias.resize(self.n_rows(), 0.0);
        }
        bias
    }
}

fn converted<A: Activation>(tensor: &Tensor) -> Vec<A> {
    tensor.to_f32().into_iter().map(A::rounded).collect()
}

/// Rows of two matrices in turn.
fn in_turn<A: Activation>([first, second]: [Vec<A>; 2], width: usize) -> Vec<A> {
    let pairs = first.chunks_exact(width.max(1)).zip(second.chunks_exact(width.max(1)));
    pairs.flat_map(|(first, second)| [first, second].concat()).collect()
}

fn padded_rows<A: Activation>(rows: &[A], width: usize, stored: usize) -> Vec<A> {
    let mut padded = vec![A::default(); rows.len() / width.max(1) * stored];
    for (to, from) in padded.chunks_exact_mut(stored.max(1)).zip(rows.chunks_exact(width.max(1))) {
        to[..width].copy_from_slice(from);
    }
    padded
}

impl CudaWeights {
    pub(super) fn load(cuda: &Cuda, tensors: LinearTensors<'_>, precision: Precision) -> Result<Self> {
        let layout = Layout::of(cuda, tensors);
        let values = match precision {
            Precision::F16 => Stored::F16(layout.upload(cuda)?),
            Precision::F32 => Stored::F32(layout.upload(cuda)?),
            Precision::Fp8 => Stored::quantised(cuda, &layout)?,
            Precision::Int8 => {
                return Err(Error::data(
                    "--precision int8 is computed on the CPU only",
                    "choose --precision f16 or f32, or --device cpu",
                ));
            }
        };
        let bias = layout.bias();
        let bias = if bias.is_empty() { None } else { Some(cuda.uploaded(&bias)?) };
        let beta = match tensors {
            LinearTensors::SwiGlu { beta, .. } => Some(beta),
            LinearTensors::Stacked { .. } => None,
        };
        Ok(Self { values, bias, d_in: layout.d_in[1], d_out: layout.d_out[1], beta })
    }

    /// Rows of the stored matrix.
    pub(super) fn n_rows(&self) -> usize {
        if self.is_swiglu() { 2 * self.d_out } else { self.d_out }
    }
    pub(super) fn beta(&self) -> Option<f32> {
        self.beta
    }
    pub(super) fn bias(&self, cuda: &Cuda) -> CudaView<'_, f32> {
        self.bias.as_ref().map_or(CudaView::null(), |bias| cuda.view(bias, 0..self.n_rows()))
    }
    pub(super) fn halves(&self, cuda: &Cuda) -> Option<CudaView<'_, f16>> {
        match &self.values {
            Stored::F16(values) => Some(cuda.view(values, 0..self.n_rows() * self.d_in)),
            _ => None,
        }
    }
    pub(super) fn singles(&self, cuda: &Cuda) -> Option<CudaView<'_, f32>> {
        match &self.values {
            Stored::F32(values) => Some(cuda.view(values, 0..self.n_rows() * self.d_in)),
            _ => None,
        }
    }
    /// Those in eight bits, and the scale of each row.
    pub(super) fn bytes(&self, cuda: &Cuda) -> Option<(CudaView<'_, E4m3>, CudaView<'_, f32>)> {
        match &self.values {
            Stored::E4m3(values, scales) => {
                Some((cuda.view(values, 0..self.n_rows() * self.d_in), cuda.view(scales, 0..self.n_rows())))
            }
            _ => None,
        }
    }
    pub(super) fn precision(&self) -> Precision {
        match self.values {
            Stored::F16(_) => Precision::F16,
            Stored::F32(_) => Precision::F32,
            Stored::E4m3(..) => Precision::Fp8,
        }
    }
}

impl LinearWeights for CudaWeights {
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
