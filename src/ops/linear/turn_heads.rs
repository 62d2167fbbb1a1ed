//! The rotation behind the layer of queries, keys and values, on the CPU: in place, a block of tokens a task.

use rayon::prelude::*;

use super::rope::Rotation;
use crate::backend::Cpu;

/// Tokens that one task turns.
const BLOCK_TOKENS: usize = 32;

/// Scales the queries and turns queries and keys of `qkv`, rows of `width = 3·d_model`.
pub(super) fn turn_heads(cpu: &Cpu, rotation: &Rotation<'_, Cpu>, width: usize, qkv: &mut [f32]) {
    let (half, d_model) = (rotation.cos.cols, width / 3);
    let isa = cpu.isa;
    let tokens = |(positions, qkv): (&[u32], &mut [f32])| {
        isa.dispatch(|| {
            for (&position, row) in positions.iter().zip(qkv.chunks_exact_mut(width)) {
                let at = position as usize * half..(position as usize + 1) * half;
                let (cos, sin) = (&rotation.cos.view[at.clone()], &rotation.sin.view[at]);
                let (queries, rest) = row.split_at_mut(d_model);
                for value in queries.iter_mut() {
                    *value *= rotation.scale;
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
    let positions = rotation.positions.view;
    if cpu.threads > 1 && positions.len() > BLOCK_TOKENS {
        positions.par_chunks(BLOCK_TOKENS).zip(qkv.par_chunks_mut(BLOCK_TOKENS * width)).for_each(tokens);
    } else {
        tokens((positions, qkv));
    }
}
