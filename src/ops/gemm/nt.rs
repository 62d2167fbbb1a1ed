//! `C[m,n] = A[m,k] · B[n,k]ᵀ` in f32 for few rows of A. Rows of A fill the lanes of a vector, weights are read as they lie,
//! once for every 32 rows of A, and each is multiplied with two vectors: no sum crosses lanes.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::{Simd, WithSimd};

use super::panels::PANEL;

/// Terms that are summed in registers before they join the total: the rounding error of a sum grows with the block and
/// with the number of blocks, not with their product.
const BLOCK: usize = 256;
/// Rows of B in a tile of AVX-512 and of narrower sets, which have half the registers.
const WIDE: usize = 12;
const NARROW: usize = 6;

/// Rows of B in a tile where fewer are left.
const REST: usize = 4;

/// Some columns of the product.
pub(super) struct Nt<'a, 'c> {
    pub k: usize,
    /// A, in panels.
    pub a: &'a [f32],
    /// As many rows of B as there are columns.
    pub b: &'a [f32],
    /// Of each row of C these columns.
    pub c: &'a mut [&'c mut [f32]],
}

impl WithSimd for Nt<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::F32_LANES == 16 {
            self.columns::<S, WIDE>(simd);
        } else {
            self.columns::<S, NARROW>(simd);
        }
    }
}

impl Nt<'_, '_> {
    #[inline(always)]
    fn columns<S: Simd, const N: usize>(self, simd: S) {
        let Self { k, a, b, c } = self;
        let n = b.len() / k;
        let mut column = 0;
        while n - column >= N {
            rows::<S, N>(simd, k, a, &b[column * k..], c, column);
            column += N;
        }
        while n - column >= REST {
            rows::<S, REST>(simd, k, a, &b[column * k..], c, column);
            column += REST;
        }
        while column < n {
            rows::<S, 1>(simd, k, a, &b[column * k..], c, column);
            column += 1;
        }
    }
}

/// `N` columns of all rows.
#[inline(always)]
fn rows<S: Simd, const N: usize>(simd: S, k: usize, a: &[f32], b: &[f32], c: &mut [&mut [f32]], column: usize) {
    for (a, c) in a.chunks_exact(PANEL * k).zip(c.chunks_mut(PANEL)) {
        for (part, c) in c.chunks_mut(2 * S::F32_LANES).enumerate() {
            let lane = part * 2 * S::F32_LANES;
            if c.len() > S::F32_LANES {
                tile::<S, 2, N>(simd, k, a, lane, b, c, column);
            } else {
                tile::<S, 1, N>(simd, k, a, lane, b, c, column);
            }
        }
    }
}

/// `N` columns of `V` vectors of rows, those from `lane` on in the panel `a [k, PANEL]`.
#[inline(always)]
fn tile<S: Simd, const V: usize, const N: usize>(
    simd: S,
    k: usize,
    a: &[f32],
    lane: usize,
    b: &[f32],
    c: &mut [&mut [f32]],
    column: usize,
) {
    let a = a.as_chunks::<PANEL>().0;
    let mut totals = [[simd.splat_f32s(0.0); V]; N];
    for first in (0..k).step_by(BLOCK) {
        let len = BLOCK.min(k - first);
        let b: [&[f32]; N] = std::array::from_fn(|j| &b[j * k + first..][..len]);
        let mut sums = [[simd.splat_f32s(0.0); V]; N];
        for (l, a) in a[first..first + len].iter().enumerate() {
            let vectors = S::as_simd_f32s(&a[lane..lane + V * S::F32_LANES]).0;
            let a: [S::f32s; V] = std::array::from_fn(|v| vectors[v]);
            for (sums, b) in sums.iter_mut().zip(b) {
                let b = simd.splat_f32s(b[l]);
                for (sum, a) in sums.iter_mut().zip(a) {
                    *sum = simd.mul_add_e_f32s(a, b, *sum);
                }
            }
        }
        for (totals, sums) in totals.iter_mut().zip(sums) {
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total = simd.add_f32s(*total, sum);
            }
        }
    }
    for (j, totals) in totals.iter().enumerate() {
        let values: &[f32] = bytemuck::cast_slice(totals);
        for (c, &value) in c.iter_mut().zip(values) {
            c[column + j] = value;
        }
    }
}
