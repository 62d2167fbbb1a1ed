//! CPU twin.

use rayon::prelude::*;

use super::{Angles, Rope};
use crate::backend::{Cpu, MatrixMut};
use crate::error::Result;

/// Tokens that one task turns.
const BLOCK_TOKENS: usize = 32;

impl Rope for Cpu {
    fn rope_raw(
        &self,
        positions: &[u32],
        angles: Angles<'_, Self>,
        n_heads: usize,
        scale: f32,
        qkv: MatrixMut<'_, Self, f32>,
    ) -> Result<()> {
        let (half, width) = (angles.cos.cols, qkv.cols);
        let d_model = n_heads * 2 * half;
        let isa = self.isa;
        let tokens = |(positions, qkv): (&[u32], &mut [f32])| {
            isa.dispatch(|| {
                for (&position, row) in positions.iter().zip(qkv.chunks_exact_mut(width)) {
                    let at = position as usize * half..(position as usize + 1) * half;
                    let (cos, sin) = (&angles.cos.view[at.clone()], &angles.sin.view[at]);
                    let (queries, rest) = row.split_at_mut(d_model);
                    for value in queries.iter_mut() {
                        *value *= scale;
                    }
                    for head in queries.chunks_exact_mut(2 * half).chain(rest[..d_model].chunks_exact_mut(2 * half)) {
                        let (low, high) = head.split_at_mut(half);
                        for (((low, high), &cos), &sin) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                            (*low, *high) = (*low * cos - *high * sin, *high * cos + *low * sin);
                        }
                    }
                }
            });
        };
        if self.threads > 1 && positions.len() > BLOCK_TOKENS {
            positions.par_chunks(BLOCK_TOKENS).zip(qkv.view.par_chunks_mut(BLOCK_TOKENS * width)).for_each(tokens);
        } else {
            tokens((positions, qkv.view));
        }
        Ok(())
    }
}
