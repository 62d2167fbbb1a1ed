//! CPU twin.

use super::EmbedTokens;
use crate::backend::{Activation, Cpu, Matrix, MatrixMut};
use crate::error::Result;

impl EmbedTokens for Cpu {
    fn embed_tokens_raw<A: Activation>(
        &self,
        ids: &[u32],
        scales: &[f32],
        table: Matrix<'_, Self, f32>,
        x: MatrixMut<'_, Self, A>,
    ) -> Result<()> {
        for ((x, &id), &scale) in x.view.chunks_exact_mut(table.cols).zip(ids).zip(scales) {
            let row = &table.view[id as usize * table.cols..][..table.cols];
            for (x, value) in x.iter_mut().zip(row) {
                *x = A::rounded(scale * value);
            }
        }
        Ok(())
    }
}
