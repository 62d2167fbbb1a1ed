//! `C[m,n] = A[m,k] · B[n,k]ᵀ` in f64 as dot products of rows: the order of a sum depends on k alone, so that an exact
//! score has the same bits wherever its pair stands. A library product orders sums by all three sizes.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::{Simd, WithSimd};

/// Rows of A and of B in one register tile.
const TILE: usize = 4;

/// The product of `a [m, k]` and `b [n, k]` into `c [m, n]`; `k > 0`.
pub(super) struct RowDots<'a> {
    pub k: usize,
    pub a: &'a [f64],
    pub b: &'a [f64],
    pub c: &'a mut [f64],
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
                if (a.len(), b.len()) == (TILE * k, TILE * k) {
                    tile::<S, TILE>(simd, k, a, b, &mut c[panel * TILE..], n);
                } else {
                    for (a, c) in a.chunks(k).zip(c.chunks_mut(n)) {
                        for (b, c) in b.chunks(k).zip(&mut c[panel * TILE..]) {
                            tile::<S, 1>(simd, k, a, b, std::slice::from_mut(c), 1);
                        }
                    }
                }
            }
        }
    }
}

/// `N × N` dot products of length k into rows of `c` that are `pitch` apart.
#[inline(always)]
fn tile<S: Simd, const N: usize>(simd: S, k: usize, a: &[f64], b: &[f64], c: &mut [f64], pitch: usize) {
    let rows = |x| -> [(&[S::f64s], &[f64]); N] { std::array::from_fn(|i| S::as_simd_f64s(&row(x, i, k)[..k])) };
    let (rows_a, rows_b) = (rows(a), rows(b));
    let vectors = k / S::F64_LANES;
    let mut sums = [[simd.splat_f64s(0.0); N]; N];
    for l in 0..vectors {
        let b: [S::f64s; N] = std::array::from_fn(|j| rows_b[j].0[l]);
        for (sums, a) in sums.iter_mut().zip(&rows_a) {
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = simd.mul_add_f64s(a.0[l], b, *sum);
            }
        }
    }
    for (i, sums) in sums.into_iter().enumerate() {
        for (j, mut sum) in sums.into_iter().enumerate() {
            if vectors * S::F64_LANES < k {
                let (a, b) = (simd.partial_load_f64s(rows_a[i].1), simd.partial_load_f64s(rows_b[j].1));
                sum = simd.mul_add_f64s(a, b, sum);
            }
            c[i * pitch + j] = simd.reduce_sum_f64s(sum);
        }
    }
}

/// Row `i` of a matrix with rows of length k.
#[inline(always)]
fn row(x: &[f64], i: usize, k: usize) -> &[f64] {
    &x[i * k..]
}
