//! Attention of one head over one sequence, a few queries at a time.
//!
//! For [`QUERIES`] rows at once: all logits against the packed keys, softmax in place, and the sum over the values. The
//! memory is `QUERIES · T` logits, never `T · T`. Each row's sums run over the head width, and over the keys, in
//! order, so that a row's bits depend on its own sequence only.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::{Simd, WithSimd};

use crate::ops::elementwise::exp;

/// Queries of one pass: with four vectors of keys or values they fill the accumulators of AVX-512.
const QUERIES: usize = 6;

/// Work space: keys by panels `[panel][d_head][columns]`, values `[T][columns]`, queries, logits and sums of one pass.
#[derive(Default)]
pub(super) struct Packed {
    keys: Vec<f32>,
    values: Vec<f32>,
    queries: Vec<f32>,
    logits: Vec<f32>,
    sums: Vec<f32>,
}

/// One head over one sequence.
pub(super) struct OneHead<'a, 'o> {
    /// `[T, 3·d_model]`.
    pub qkv: &'a [f32],
    pub d_model: usize,
    pub n_heads: usize,
    pub index: usize,
    pub packed: &'a mut Packed,
    /// `T` rows of `d_head`.
    pub out: &'a mut [&'o mut [f32]],
}

impl WithSimd for OneHead<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { qkv, d_model, n_heads, index, packed, out } = self;
        let (length, d_head) = (out.len(), d_model / n_heads);
        if length == 0 {
            return;
        }
        // Six rows by four vectors need 24 accumulators, by two 12: what 32 and 16 registers hold.
        let most = if S::REGISTER_COUNT >= 32 { 4 } else { 2 };
        let vectors = |columns: usize| columns.div_ceil(S::F32_LANES).min(most);
        let (key_vectors, value_vectors) = (vectors(length), vectors(d_head));
        let (key_panel, value_panel) = (key_vectors * S::F32_LANES, value_vectors * S::F32_LANES);
        let (key_columns, value_columns) = (length.next_multiple_of(key_panel), d_head.next_multiple_of(value_panel));
        let part = |t: usize, which: usize| &qkv[t * 3 * d_model + which * d_model + index * d_head..][..d_head];
        let Packed { keys, values, queries, logits, sums } = packed;
        // Columns beyond the sequence or the head stay zero, and nothing reads what becomes of them.
        refill(keys, key_columns * d_head);
        refill(values, length * value_columns);
        refill(queries, QUERIES * d_head);
        refill(logits, QUERIES * key_columns);
        refill(sums, QUERIES * value_columns);
        for t in 0..length {
            let (base, column) = (t / key_panel * key_panel * d_head, t % key_panel);
            for (i, &value) in part(t, 1).iter().enumerate() {
                keys[base + i * key_panel + column] = value;
            }
            values[t * value_columns..][..d_head].copy_from_slice(part(t, 2));
        }
        for (pass, out) in out.chunks_mut(QUERIES).enumerate() {
            for (row, query) in queries.chunks_exact_mut(d_head).take(out.len()).enumerate() {
                query.copy_from_slice(part(pass * QUERIES + row, 0));
            }
            for (panel, keys) in keys.chunks_exact(key_panel * d_head).enumerate() {
                let (a, b) = (Rows { values: queries, stride: d_head }, Rows { values: keys, stride: key_panel });
                tile(simd, key_vectors, d_head, a, b, &mut logits[panel * key_panel..], key_columns);
            }
            let mut scales = [0.0; QUERIES];
            for (scale, logits) in scales.iter_mut().zip(logits.chunks_exact_mut(key_columns)) {
                *scale = 1.0 / soften(simd, &mut logits[..length]);
            }
            for first in (0..value_columns).step_by(value_panel) {
                let a = Rows { values: logits, stride: key_columns };
                let b = Rows { values: &values[first..], stride: value_columns };
                tile(simd, value_vectors, length, a, b, &mut sums[first..], value_columns);
            }
            for ((out, sums), scale) in out.iter_mut().zip(sums.chunks_exact(value_columns)).zip(scales) {
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = sum * scale;
                }
            }
        }
    }
}

/// `len` zeros, in memory that is kept.
fn refill(buffer: &mut Vec<f32>, len: usize) {
    buffer.clear();
    buffer.resize(len, 0.0);
}

/// Rows that lie `stride` apart.
#[derive(Clone, Copy)]
struct Rows<'a> {
    values: &'a [f32],
    stride: usize,
}

/// `c[i, j] = Σ_k a[i, k]·b[k, j]` for [`QUERIES`] rows and `vectors` vectors of columns, `k` in order.
#[inline(always)]
fn tile<S: Simd>(simd: S, vectors: usize, n_terms: usize, a: Rows<'_>, b: Rows<'_>, c: &mut [f32], c_stride: usize) {
    match vectors {
        1 => tile_of::<S, 1>(simd, n_terms, a, b, c, c_stride),
        2 => tile_of::<S, 2>(simd, n_terms, a, b, c, c_stride),
        3 => tile_of::<S, 3>(simd, n_terms, a, b, c, c_stride),
        _ => tile_of::<S, 4>(simd, n_terms, a, b, c, c_stride),
    }
}

#[inline(always)]
fn tile_of<S: Simd, const VECTORS: usize>(
    simd: S,
    n_terms: usize,
    a: Rows<'_>,
    b: Rows<'_>,
    c: &mut [f32],
    c_stride: usize,
) {
    let lanes = S::F32_LANES;
    let a: [&[f32]; QUERIES] = std::array::from_fn(|i| &a.values[i * a.stride..][..n_terms]);
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; QUERIES];
    for (k, b) in b.values.chunks(b.stride).take(n_terms).enumerate() {
        let (b, _) = S::as_simd_f32s(&b[..VECTORS * lanes]);
        let b: [S::f32s; VECTORS] = std::array::from_fn(|j| b[j]);
        for (sums, a) in sums.iter_mut().zip(a) {
            let a = simd.splat_f32s(a[k]);
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = simd.mul_add_f32s(a, b, *sum);
            }
        }
    }
    for (i, sums) in sums.into_iter().enumerate() {
        let (c, _) = S::as_mut_simd_f32s(&mut c[i * c_stride..][..VECTORS * lanes]);
        c.copy_from_slice(&sums);
    }
}

/// `x = exp(x − max x)` in place; returns the sum.
#[inline(always)]
fn soften<S: Simd>(simd: S, x: &mut [f32]) -> f32 {
    let top = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shift = simd.splat_f32s(top);
    let (head, tail) = S::as_mut_simd_f32s(x);
    let mut sum = simd.splat_f32s(0.0);
    for x in head {
        *x = exp(simd, simd.sub_f32s(*x, shift));
        sum = simd.add_f32s(sum, *x);
    }
    let mut total = simd.reduce_sum_f32s(sum);
    if !tail.is_empty() {
        let values = exp(simd, simd.sub_f32s(simd.partial_load_f32s(tail), shift));
        simd.partial_store_f32s(tail, values);
        total += tail.iter().sum::<f32>();
    }
    total
}
