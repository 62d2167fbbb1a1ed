//! Rotary position embedding of queries and keys.

mod cpu;

use crate::backend::{Matrix, MatrixMut, Memory, expect_shape};
use crate::error::{Error, Result};

/// Cosines and sines of all angles: row `t` holds those of position `t`.
pub struct Angles<'a, B: Memory> {
    /// `cos(t·f_i)`, `[n_positions, d_head / 2]`.
    pub cos: Matrix<'a, B, f32>,
    /// `sin(t·f_i)`, `[n_positions, d_head / 2]`.
    pub sin: Matrix<'a, B, f32>,
}

/// The device side of [`rope`].
pub trait Rope: Memory {
    /// See [`rope`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn rope_raw(
        &self,
        positions: Self::View<'_, u32>,
        angles: Angles<'_, Self>,
        n_heads: usize,
        scale: f32,
        qkv: MatrixMut<'_, Self, f32>,
    ) -> Result<()>;
}

/// Multiplies the queries by `scale`, then rotates queries and keys by the angles of their positions, in place.
///
/// Of each head vector: `x'[i] = x[i]·cos − x[i+h]·sin`, `x'[i+h] = x[i+h]·cos + x[i]·sin`, `h = d_head/2`.
/// `qkv [n_tokens, 3·d_model]` holds queries, keys and values side by side, `positions [n_tokens, 1]` are rows of the
/// angles. Values stay.
///
/// # Errors
/// When the shapes do not fit.
pub fn rope<B: Rope>(
    backend: &B,
    positions: Matrix<'_, B, u32>,
    angles: Angles<'_, B>,
    n_heads: usize,
    scale: f32,
    qkv: MatrixMut<'_, B, f32>,
) -> Result<()> {
    expect_shape("rope", "positions", [qkv.rows, 1], positions.shape())?;
    expect_shape("rope", "sin", angles.cos.shape(), angles.sin.shape())?;
    if qkv.cols != 3 * n_heads * 2 * angles.cos.cols {
        return Err(Error::Shape {
            op: "rope",
            expected: format!("3·{n_heads} heads of {} in a row", 2 * angles.cos.cols),
            found: format!("{}", qkv.cols),
        });
    }
    backend.rope_raw(positions.view, angles, n_heads, scale, qkv)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;

    #[test]
    fn halves_of_a_head_turn_together_and_values_stay() {
        let backend = Cpu::with_threads(2);
        // Position 1 turns by a quarter for the first pair and not at all for the second.
        let (cos, sin) = (vec![1.0, 1.0, 0.0, 1.0], vec![0.0, 0.0, 1.0, 0.0]);
        let (n_heads, d_head, n_tokens) = (2, 4, 2);
        let start: Vec<f32> = (0..n_tokens * 3 * n_heads * d_head).map(|i| i as f32).collect();
        let mut qkv = start.clone();
        let positions = vec![0, 1];
        let angles = || Angles { cos: Matrix::of(&backend, &cos, 2, 2), sin: Matrix::of(&backend, &sin, 2, 2) };
        let ids = Matrix::of(&backend, &positions, 2, 1);
        rope(&backend, ids, angles(), n_heads, 0.5, MatrixMut::of(&backend, &mut qkv, 2, 24)).unwrap();
        let scaled: Vec<f32> = start[..8].iter().map(|x| x * 0.5).collect();
        assert_eq!(qkv[..8], scaled);
        assert_eq!(qkv[8..24], start[8..24]);
        // Second token: queries begin at 24, keys at 32, values at 40.
        assert_eq!(qkv[24..28], [-26.0 * 0.5, 25.0 * 0.5, 24.0 * 0.5, 27.0 * 0.5]);
        assert_eq!(qkv[36..40], [-38.0, 37.0, 36.0, 39.0]);
        assert_eq!(qkv[40..], start[40..]);
        let wrong = rope(&backend, ids, angles(), 3, 0.5, MatrixMut::of(&backend, &mut qkv, 2, 24)).unwrap_err();
        assert!(wrong.to_string().contains("rope: expected 3·3 heads of 4"), "{wrong}");
    }
}
