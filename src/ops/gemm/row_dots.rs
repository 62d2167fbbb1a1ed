//! `C[m,n] = A[m,k] · B[n,k]ᵀ` in f32 as dot products of rows, for few rows of A.
//!
//! A library product packs B first; with a batch of 32 pairs that costs more than the product itself (measured 48
//! GFLOP/s, 19 where k is a power of two, against about 100 here on one core with AVX-512). Rows of A and B are
//! contiguous along k, so this kernel reads both as they lie. Each sum runs over vector lanes along k and is folded
//! at the end: its order depends on k alone, never on m or n.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::{Simd, WithSimd};

/// Rows of A and of B in one register tile.
const TILE: usize = 4;

/// The product `c [m, n]` of `a [m, k]` and `b [n, k]`; `k > 0`.
pub(super) struct RowDots<'a> {
    pub k: usize,
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub c: &'a mut [f32],
}

impl WithSimd for RowDots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { k, a, b, c } = self;
        let n = b.len() / k;
        // A panel of B stays in the first-level cache while all rows of A pass by.
        for (panel, b) in b.chunks(TILE * k).enumerate() {
            for (a, c) in a.chunks(TILE * k).zip(c.chunks_mut(TILE * n)) {
                let at = Place { n, column: panel * TILE };
                match (a.len() / k, b.len() / k) {
                    (TILE, TILE) => tile::<S, TILE, TILE>(simd, k, a, b, c, at),
                    (TILE, _) => {
                        for (j, b) in b.chunks(k).enumerate() {
                            tile::<S, TILE, 1>(simd, k, a, b, c, at.right(j));
                        }
                    }
                    (_, TILE) => {
                        for (a, c) in a.chunks(k).zip(c.chunks_mut(n)) {
                            tile::<S, 1, TILE>(simd, k, a, b, c, at);
                        }
                    }
                    _ => {
                        for (a, c) in a.chunks(k).zip(c.chunks_mut(n)) {
                            for (j, b) in b.chunks(k).enumerate() {
                                tile::<S, 1, 1>(simd, k, a, b, c, at.right(j));
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Where a tile lies in C.
#[derive(Clone, Copy)]
struct Place {
    n: usize,
    column: usize,
}

impl Place {
    fn right(self, columns: usize) -> Self {
        Self { column: self.column + columns, n: self.n }
    }
}

/// `M × N` dot products of length k.
#[inline(always)]
fn tile<S: Simd, const M: usize, const N: usize>(simd: S, k: usize, a: &[f32], b: &[f32], c: &mut [f32], at: Place) {
    let rows_a: [(&[S::f32s], &[f32]); M] = std::array::from_fn(|i| S::as_simd_f32s(&a[i * k..(i + 1) * k]));
    let rows_b: [(&[S::f32s], &[f32]); N] = std::array::from_fn(|j| S::as_simd_f32s(&b[j * k..(j + 1) * k]));
    let vectors = k / S::F32_LANES;
    let heads_a: [&[S::f32s]; M] = rows_a.map(|(head, _)| &head[..vectors]);
    let heads_b: [&[S::f32s]; N] = rows_b.map(|(head, _)| &head[..vectors]);
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    for l in 0..vectors {
        let b: [S::f32s; N] = std::array::from_fn(|j| heads_b[j][l]);
        for (sums, a) in sums.iter_mut().zip(heads_a) {
            let a = a[l];
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = simd.mul_add_f32s(a, b, *sum);
            }
        }
    }
    for (i, sums) in sums.into_iter().enumerate() {
        for (j, mut sum) in sums.into_iter().enumerate() {
            if vectors * S::F32_LANES < k {
                let (a, b) = (simd.partial_load_f32s(rows_a[i].1), simd.partial_load_f32s(rows_b[j].1));
                sum = simd.mul_add_f32s(a, b, sum);
            }
            c[i * at.n + at.column + j] = simd.reduce_sum_f32s(sum);
        }
    }
}
