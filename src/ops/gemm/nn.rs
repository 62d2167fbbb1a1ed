//! `C[m,n] = A[m,k] · B[k,n]` in f32 for few rows of A. Columns of C fill the lanes of a vector; B is read as it lies, once.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::{Simd, WithSimd};

use super::panels::PANEL;

/// Rows of B whose part under a tile stays in the first cache while all rows of A pass.
const BLOCK: usize = 128;
/// Vectors of a tile.
const VECTORS: usize = 3;
/// Rows of A in a tile of AVX-512 and of narrower sets, which have half the registers; both divide a panel.
const WIDE: usize = 8;
const NARROW: usize = 4;

/// Some columns of the product.
pub(super) struct Nn<'a, 'c> {
    pub k: usize,
    /// A, in panels.
    pub a: &'a [f32],
    /// All of B, `[k, n]`.
    pub b: &'a [f32],
    pub n: usize,
    /// The first of the columns.
    pub first: usize,
    /// Of each row of C these columns, which are zero.
    pub c: &'a mut [&'c mut [f32]],
}

impl WithSimd for Nn<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::F32_LANES == 16 {
            self.blocks::<S, WIDE>(simd);
        } else {
            self.blocks::<S, NARROW>(simd);
        }
    }
}

impl Nn<'_, '_> {
    #[inline(always)]
    fn blocks<S: Simd, const M: usize>(self, simd: S) {
        let Self { k, a, b, n, first, c } = self;
        let width = c.first().map_or(0, |c| c.len());
        for (block, b) in b.chunks(BLOCK * n).enumerate() {
            let terms = block * BLOCK..block * BLOCK + b.len() / n;
            let mut column = 0;
            while column < width {
                let len = (width - column).min(VECTORS * S::F32_LANES);
                for (panel, c) in a.chunks_exact(PANEL * k).zip(c.chunks_mut(PANEL)) {
                    let a = &panel.as_chunks::<PANEL>().0[terms.clone()];
                    for (part, c) in c.chunks_mut(M).enumerate() {
                        let at = Place { n, first: first + column, column, row: part * M };
                        if len == VECTORS * S::F32_LANES {
                            tile::<S, M, VECTORS>(simd, a, b, c, at);
                        } else {
                            rest::<S, M>(simd, a, b, c, at, len);
                        }
                    }
                }
                column += len;
            }
        }
    }
}

/// Where a tile lies: its first column in B and in the columns of C, and its first row in the panel.
#[derive(Clone, Copy)]
struct Place {
    n: usize,
    first: usize,
    column: usize,
    row: usize,
}

/// Adds the terms of a block to `V` vectors of the rows `c`, at most `M`; the lanes of `a` behind them are zero.
#[inline(always)]
fn tile<S: Simd, const M: usize, const V: usize>(
    simd: S,
    a: &[[f32; PANEL]],
    b: &[f32],
    c: &mut [&mut [f32]],
    at: Place,
) {
    let len = V * S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); V]; M];
    for (a, b) in a.iter().zip(b.chunks_exact(at.n)) {
        let vectors = S::as_simd_f32s(&b[at.first..at.first + len]).0;
        let b: [S::f32s; V] = std::array::from_fn(|v| vectors[v]);
        for (sums, &a) in sums.iter_mut().zip(&a[at.row..at.row + M]) {
            let a = simd.splat_f32s(a);
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = simd.mul_add_e_f32s(a, b, *sum);
            }
        }
    }
    for (c, sums) in c.iter_mut().zip(sums) {
        let c = S::as_mut_simd_f32s(&mut c[at.column..at.column + len]).0;
        for (c, sum) in c.iter_mut().zip(sums) {
            *c = simd.add_f32s(*c, sum);
        }
    }
}

/// The same of `len` columns, fewer than a whole tile has.
#[inline(always)]
fn rest<S: Simd, const M: usize>(simd: S, a: &[[f32; PANEL]], b: &[f32], c: &mut [&mut [f32]], at: Place, len: usize) {
    let mut done = 0;
    while len - done >= S::F32_LANES {
        tile::<S, M, 1>(simd, a, b, c, Place { first: at.first + done, column: at.column + done, ..at });
        done += S::F32_LANES;
    }
    if done == len {
        return;
    }
    let mut sums = [simd.splat_f32s(0.0); M];
    for (a, b) in a.iter().zip(b.chunks_exact(at.n)) {
        let b = simd.partial_load_f32s(&b[at.first + done..at.first + len]);
        for (sum, &a) in sums.iter_mut().zip(&a[at.row..at.row + M]) {
            *sum = simd.mul_add_e_f32s(simd.splat_f32s(a), b, *sum);
        }
    }
    for (c, sum) in c.iter_mut().zip(sums) {
        let c = &mut c[at.column + done..at.column + len];
        let total = simd.add_f32s(simd.partial_load_f32s(c), sum);
        simd.partial_store_f32s(c, total);
    }
}
