//! Token ids to scaled rows of the embedding table.

mod cpu;
mod cuda;

use crate::backend::{Activation, Matrix, MatrixMut, Memory, expect_shape};
use crate::error::Result;

/// The device side of [`embed_tokens`].
pub trait EmbedTokens: Memory {
    /// See [`embed_tokens`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn embed_tokens_raw<A: Activation>(
        &self,
        ids: Self::View<'_, u32>,
        scales: Self::View<'_, f32>,
        table: Matrix<'_, Self, f32>,
        x: MatrixMut<'_, Self, A>,
    ) -> Result<()>;
}

/// `x[t] = scales[t] · table[ids[t]]`: `ids` and `scales` `[n_tokens, 1]`, `table [vocab, d_model]`,
/// `x [n_tokens, d_model]`. Every id is a row of the table: the model checks that before it uploads them.
///
/// # Errors
/// When the shapes differ.
pub fn embed_tokens<B: EmbedTokens, A: Activation>(
    backend: &B,
    ids: Matrix<'_, B, u32>,
    scales: Matrix<'_, B, f32>,
    table: Matrix<'_, B, f32>,
    x: MatrixMut<'_, B, A>,
) -> Result<()> {
    expect_shape("embed_tokens", "ids", [x.rows, 1], ids.shape())?;
    expect_shape("embed_tokens", "scales", [x.rows, 1], scales.shape())?;
    expect_shape("embed_tokens", "table", [table.rows, x.cols], table.shape())?;
    backend.embed_tokens_raw(ids.view, scales.view, table, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;

    #[test]
    fn rows_are_looked_up_and_scaled() {
        let backend = Cpu::single();
        let (ids, scales) = (vec![2, 0, 2], vec![0.5, 1.0, 0.0]);
        let table = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut x = vec![9f32; 6];
        let table = Matrix::of(&backend, &table, 3, 2);
        let (ids, scales) = (Matrix::of(&backend, &ids, 3, 1), Matrix::of(&backend, &scales, 3, 1));
        embed_tokens(&backend, ids, scales, table, MatrixMut::of(&backend, &mut x, 3, 2)).unwrap();
        assert_eq!(x, [2.5, 3.0, 1.0, 2.0, 0.0, 0.0]);
        let error = embed_tokens(&backend, ids, scales, table, MatrixMut::of(&backend, &mut x, 2, 3)).unwrap_err();
        assert!(error.to_string().contains("embed_tokens: expected ids [2, 1]"), "{error}");
    }
}
