//! What a gated head reads: `x = r + σ(u + v) ⊙ (p − r)`, entries `[p|u]`, targets `[r|v]`.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::Simd;

use super::Targets;
use super::network::CpuNetwork;
use crate::ops::elementwise::{exp, reciprocal, sigmoid};

/// Largest |u| and |v| whose exponentials have a product and reciprocals that are normal numbers.
const MOST: f32 = 40.0;

/// `σ(u + v) = 1/(1 + e⁻ᵘ·e⁻ᵛ)`: the exponentials of each entity, for gates of which none is near saturation. A pair is
/// left with a product and a reciprocal.
pub(super) struct Factors {
    /// e⁻ᵛ, `[n_members, n_targets, width]`.
    rows: Vec<f32>,
    n_targets: usize,
    width: usize,
}

impl Factors {
    /// `None` where a target is out of range or no number.
    #[inline(always)]
    pub fn new<S: Simd>(simd: S, network: &CpuNetwork, targets: Targets<'_>) -> Option<Self> {
        let (n_targets, width) = (targets.n, network.width);
        let len = n_targets * width;
        let mut rows = Vec::with_capacity(network.members.len() * len);
        for member in 0..network.members.len() {
            rows.extend_from_slice(&targets.rows[(2 * member + 1) * len..(2 * member + 2) * len]);
        }
        if !in_range(simd, &rows) {
            return None;
        }
        exponentials(simd, &mut rows);
        Some(Self { rows, n_targets, width })
    }

    /// Of a member and a target.
    #[inline(always)]
    pub fn row(&self, member: usize, target: usize) -> &[f32] {
        &self.rows[(member * self.n_targets + target) * self.width..][..self.width]
    }

    /// Puts e⁻ᵘ in the place of u in the `tables` of a panel; false, and nothing changed, where an entry is out of range.
    #[inline(always)]
    pub fn take_entries<S: Simd>(simd: S, tables: &mut [f32], table_len: usize) -> bool {
        for table in tables.chunks_exact(table_len).skip(1).step_by(2) {
            if !in_range(simd, table) {
                return false;
            }
        }
        for table in tables.chunks_exact_mut(table_len).skip(1).step_by(2) {
            exponentials(simd, table);
        }
        true
    }
}

/// Whether all are numbers below [`MOST`].
#[inline(always)]
fn in_range<S: Simd>(simd: S, values: &[f32]) -> bool {
    let (zero, most) = (simd.splat_f32s(0.0), simd.splat_f32s(MOST));
    let (vectors, rest) = S::as_simd_f32s(values);
    let mut outside = simd.less_than_f32s(zero, zero);
    for &value in vectors {
        outside = simd.or_m32s(outside, simd.not_m32s(simd.less_than_f32s(simd.abs_f32s(value), most)));
    }
    simd.first_true_m32s(outside) == S::F32_LANES && rest.iter().all(|value| value.abs() < MOST)
}

/// `x = e⁻ˣ`.
#[inline(always)]
fn exponentials<S: Simd>(simd: S, values: &mut [f32]) {
    let (vectors, rest) = S::as_mut_simd_f32s(values);
    for value in vectors {
        *value = exp(simd, simd.neg_f32s(*value));
    }
    let last = exp(simd, simd.neg_f32s(simd.partial_load_f32s(rest)));
    simd.partial_store_f32s(rest, last);
}

/// x of a panel of entries `[p, u]` and a target `[r, v]`.
#[inline(always)]
pub(super) fn mix<S: Simd, const N: usize>(
    simd: S,
    [p, u]: [&[[S::f32s; N]]; 2],
    [r, v]: [&[f32]; 2],
    x: &mut [[S::f32s; N]],
) {
    for ((x, (p, u)), (&r, &v)) in x.iter_mut().zip(p.iter().zip(u)).zip(r.iter().zip(v)) {
        let (r, v) = (simd.splat_f32s(r), simd.splat_f32s(v));
        for (x, (&p, &u)) in x.iter_mut().zip(p.iter().zip(u)) {
            let share = sigmoid(simd, simd.add_f32s(u, v));
            *x = simd.mul_add_e_f32s(share, simd.sub_f32s(p, r), r);
        }
    }
}

/// x of `[p, e⁻ᵘ]` and `[r, e⁻ᵛ]`.
#[inline(always)]
pub(super) fn mix_factored<S: Simd, const N: usize>(
    simd: S,
    [p, u]: [&[[S::f32s; N]]; 2],
    [r, v]: [&[f32]; 2],
    x: &mut [[S::f32s; N]],
) {
    for ((x, (p, u)), (&r, &v)) in x.iter_mut().zip(p.iter().zip(u)).zip(r.iter().zip(v)) {
        let (r, v, one) = (simd.splat_f32s(r), simd.splat_f32s(v), simd.splat_f32s(1.0));
        for (x, (&p, &u)) in x.iter_mut().zip(p.iter().zip(u)) {
            let share = reciprocal(simd, simd.mul_add_e_f32s(u, v, one));
            *x = simd.mul_add_e_f32s(share, simd.sub_f32s(p, r), r);
        }
    }
}
