//! The linear layer of queries, keys and values with the rotary position embedding behind it.

use super::{Linear, LinearWeights};
use crate::backend::{Activation, Matrix, MatrixMut, Memory, expect_shape};
use crate::error::{Error, Result};

/// By which angles queries and keys are turned.
pub struct Rotation<'a, B: Memory> {
    /// Position of each token, `[n_tokens, 1]`: a row of the angles.
    pub positions: Matrix<'a, B, u32>,
    /// `cos(t·f_i)`, `[n_positions, d_head / 2]`.
    pub cos: Matrix<'a, B, f32>,
    /// `sin(t·f_i)`, `[n_positions, d_head / 2]`.
    pub sin: Matrix<'a, B, f32>,
    /// Multiplies the queries before they are turned.
    pub scale: f32,
}

impl<B: Linear> Rotation<'_, B> {
    /// What `op` needs of `qkv [rows, cols]`.
    pub(super) fn check(&self, op: &'static str, weights: &B::Weights, [rows, cols]: [usize; 2]) -> Result<()> {
        expect_shape(op, "positions", [rows, 1], self.positions.shape())?;
        expect_shape(op, "sin", self.cos.shape(), self.sin.shape())?;
        let d_head = 2 * self.cos.cols;
        if weights.is_swiglu() || d_head == 0 || !cols.is_multiple_of(3 * d_head) {
            let expected = format!("queries, keys and values of heads of {d_head}");
            return Err(Error::Shape { op, expected, found: format!("{cols} outputs") });
        }
        Ok(())
    }
}

/// `qkv = turned(x·Wᵀ + b)`: queries times `scale`, then queries and keys turned by the angles of their positions; values
/// stay.
///
/// Of each head vector: `y'[i] = y[i]·cos − y[i+h]·sin`, `y'[i+h] = y[i+h]·cos + y[i]·sin`, `h = d_head/2` (Su et al. 2021,
/// doi 10.48550/arXiv.2104.09864, in the layout of halves). `x [n_tokens, in]`, `qkv [n_tokens, 3·d_model]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn linear_rope<B: Linear, A: Activation>(
    backend: &B,
    x: Matrix<'_, B, A>,
    weights: &B::Weights,
    rotation: Rotation<'_, B>,
    qkv: MatrixMut<'_, B, A>,
) -> Result<()> {
    expect_shape("linear_rope", "x", [qkv.rows, weights.d_in()], x.shape())?;
    expect_shape("linear_rope", "qkv", [x.rows, weights.d_out()], qkv.shape())?;
    rotation.check("linear_rope", weights, qkv.shape())?;
    backend.linear_rope_raw(x.view, weights, rotation, qkv)
}

#[cfg(test)]
mod tests {
    use super::super::{LinearTensors, Precision};
    use super::*;
    use crate::backend::Cpu;
    use crate::weights::Tensor;

    #[test]
    fn halves_of_a_head_turn_together_and_values_stay() {
        let backend = Cpu::with_threads(2);
        // Position 1 turns by a quarter for the first pair and not at all for the second.
        let (cos, sin) = (vec![1.0, 1.0, 0.0, 1.0], vec![0.0, 0.0, 1.0, 0.0]);
        let start: Vec<f32> = (0..48).map(|i| i as f32).collect();
        let identity = (0..24 * 24).map(|i| if i % 25 == 0 { 1.0 } else { 0.0 }).collect();
        let weight = [Tensor::from_f32("qkv", &[24, 24], identity)];
        let tensors = LinearTensors::Stacked { weights: &weight, biases: &[] };
        let weights = backend.load_linear(tensors, Precision::F32).unwrap();
        let positions = vec![0, 1];
        let mut qkv = vec![0f32; 48];
        let turned = |cols: usize, qkv: &mut Vec<f32>| {
            let rotation = Rotation {
                positions: Matrix::of(&backend, &positions, 2, 1),
                cos: Matrix::of(&backend, &cos, 4 / cols, cols),
                sin: Matrix::of(&backend, &sin, 4 / cols, cols),
                scale: 0.5,
            };
            let x = Matrix::of(&backend, &start, 2, 24);
            linear_rope(&backend, x, &weights, rotation, MatrixMut::of(&backend, qkv, 2, 24))
        };
        turned(2, &mut qkv).unwrap();
        let scaled: Vec<f32> = start[..8].iter().map(|x| x * 0.5).collect();
        assert_eq!(qkv[..8], scaled);
        assert_eq!(qkv[8..24], start[8..24]);
        // Second token: queries begin at 24, keys at 32, values at 40.
        assert_eq!(qkv[24..28], [-26.0 * 0.5, 25.0 * 0.5, 24.0 * 0.5, 27.0 * 0.5]);
        assert_eq!(qkv[36..40], [-38.0, 37.0, 36.0, 39.0]);
        assert_eq!(qkv[40..], start[40..]);
        let wrong = MatrixMut::of(&backend, &mut qkv, 2, 20);
        let positions = Matrix::of(&backend, &positions, 2, 1);
        let (cos, sin) = (Matrix::of(&backend, &cos, 2, 2), Matrix::of(&backend, &sin, 2, 2));
        let rotation = Rotation { positions, cos, sin, scale: 1.0 };
        let error = linear_rope(&backend, Matrix::of(&backend, &start, 2, 24), &weights, rotation, wrong).unwrap_err();
        assert!(error.to_string().contains("linear_rope: expected qkv [2, 24]"), "{error}");
    }
}
