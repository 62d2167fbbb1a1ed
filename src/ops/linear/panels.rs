//! Stored weights and their panels: blocks of columns of Wᵀ in f32, k after k, as the tiles read them.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::Simd;

use super::split::Line;
use super::turn::{Rows, prefetch, turn, widen};
use crate::weights::{Tensor, Values};

/// Terms that are converted before they are turned: 16 rows of them fill a quarter of a first-level cache.
const TURN: usize = 128;
/// Terms that are fetched before they are needed: so many short streams are more than the processor foresees.
const AHEAD: usize = 2 * TURN;

/// Tensors `[out, in]` whose products are computed side by side, one list per branch of the layer.
#[derive(Debug)]
pub(super) struct Branches {
    /// One branch, or the two of a `SwiGLU`; in each, tensors whose outputs follow each other.
    pub tensors: Vec<Vec<Tensor>>,
    /// Terms of a product.
    pub d_in: usize,
    /// Outputs of each branch.
    pub d_out: usize,
}

impl Branches {
    /// The weights of output `column` of `branch`.
    pub(super) fn row(&self, branch: usize, mut column: usize) -> Row<'_> {
        for tensor in &self.tensors[branch] {
            let rows = tensor.shape()[0];
            if column < rows {
                let range = column * self.d_in..(column + 1) * self.d_in;
                return match tensor.values() {
                    Values::F16(values) => Values::F16(&values[range]),
                    Values::Bf16(values) => Values::Bf16(&values[range]),
                    Values::F32(values) => Values::F32(&values[range]),
                };
            }
            column -= rows;
        }
        Values::F32(&[])
    }

    /// Writes `panel`, `[d_in, vectors · lanes]`, each branch an equal part of the columns, so that a tile holds the same
    /// outputs of each; columns beyond the last output are 0.
    #[inline(always)]
    pub(super) fn pack<S: Simd>(&self, simd: S, panel: usize, vectors: usize, out: &mut [f32]) {
        let lanes = S::F32_LANES;
        let own = vectors / self.tensors.len();
        let mut scratch = [Line([0.0; 16]); TURN];
        let scratch: &mut [f32] = bytemuck::cast_slice_mut(&mut scratch);
        for vector in 0..vectors {
            let (branch, first) = (vector / own, (panel * own + vector % own) * lanes);
            let rows = |first: usize| -> [Row<'_>; 16] {
                std::array::from_fn(|lane| {
                    let inside = lane < lanes && first + lane < self.d_out;
                    if inside { self.row(branch, first + lane) } else { Values::F32(&[]) }
                })
            };
            let (here, next) = (rows(first), rows(first + lanes));
            for k in (0..self.d_in).step_by(TURN) {
                let len = TURN.min(self.d_in - k);
                let (ahead, start) =
                    if k + AHEAD < self.d_in { (&here, k + AHEAD) } else { (&next, k + AHEAD - self.d_in) };
                for ((row, ahead), to) in here.iter().zip(ahead).zip(scratch.chunks_exact_mut(TURN)).take(lanes) {
                    prefetch(simd, ahead, start, TURN);
                    widen(simd, row, k, &mut to[..len]);
                }
                let rows = Rows { values: scratch, pitch: TURN, n: lanes, len };
                turn(simd, rows, vectors * lanes, &mut out[(k * vectors + vector) * lanes..]);
            }
        }
    }
}

/// One row of a weight matrix.
pub(super) type Row<'a> = Values<'a>;
