//! The forms with a head: what it reads is built for a panel of entries and one target, and passes the layers with the
//! entries in the lanes, so that what a layer writes is what the next one reads.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::Simd;

use super::gate::{self, Factors};
use super::network::{CpuNetwork, Layer};
use super::report::Reader;
use super::{Panel, Report, Targets, add_member};
use crate::ops::linear::tile::sums;
use crate::ops::pair_score::PairForm;

/// A panel of entries with all targets, whose gates may be factored; `work` holds two activations.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) fn panel<S: Simd, const N: usize>(
    simd: S,
    network: &CpuNetwork,
    targets: Targets<'_>,
    panel: Panel<'_>,
    factors: Option<&Factors>,
    work: &mut [f32],
    report: &mut Report<'_>,
) {
    let width = network.width;
    let (mut x, mut y) = work.split_at_mut(work.len() / 2);
    for target in 0..targets.n {
        let mut values = [simd.splat_f32s(0.0); N];
        for (m, member) in network.members.iter().enumerate() {
            let table = |table| vectors::<S, N>(panel.table(table, width));
            let row = |table| targets.row(table, target, width);
            let mixed = S::as_mut_simd_f32s(&mut x[..width * panel.columns]).0.as_chunks_mut::<N>().0;
            if network.form == PairForm::Gate {
                let (p, u, r) = (table(2 * m), table(2 * m + 1), row(2 * m));
                match factors {
                    Some(factors) => gate::mix_factored(simd, [p, u], [r, factors.row(m, target)], mixed),
                    None => gate::mix(simd, [p, u], [r, row(2 * m + 1)], mixed),
                }
            } else {
                add_relu(simd, table(m), row(m), mixed);
            }
            for (i, layer) in member.head.iter().enumerate() {
                let last = i + 1 == member.head.len();
                linear::<S, N>(simd, layer, x, y, !last);
                std::mem::swap(&mut x, &mut y);
            }
            for (value, &z) in values.iter_mut().zip(&vectors::<S, N>(x)[0]) {
                *value = add_member(simd, network.link, member.weight, z, *value);
            }
        }
        report.tile(simd, &[values], target, panel.entries);
    }
}

/// Columns of a panel as rows of `N` vectors.
#[inline(always)]
fn vectors<S: Simd, const N: usize>(columns: &[f32]) -> &[[S::f32s; N]] {
    S::as_simd_f32s(columns).0.as_chunks::<N>().0
}

/// `x = relu(a + b)`.
#[inline(always)]
fn add_relu<S: Simd, const N: usize>(simd: S, a: &[[S::f32s; N]], b: &[f32], x: &mut [[S::f32s; N]]) {
    for ((x, a), &b) in x.iter_mut().zip(a).zip(b) {
        let b = simd.splat_f32s(b);
        for (x, &a) in x.iter_mut().zip(a) {
            *x = relu(simd, simd.add_f32s(a, b));
        }
    }
}

/// `y = W·x + b`, then ReLU where the layer is a hidden one.
#[inline(always)]
fn linear<S: Simd, const N: usize>(simd: S, layer: &Layer, x: &[f32], y: &mut [f32], hidden: bool) {
    let (d_in, columns) = (layer.d_in, N * S::F32_LANES);
    for tile in 0..layer.tiles.count {
        let rows = layer.tiles.rows(tile);
        let y = &mut y[rows.start * columns..rows.end * columns];
        sums::<S, N>(simd, rows.len(), &layer.weight[rows.start * d_in..rows.end * d_in], &x[..d_in * columns], y);
        for (y, &bias) in S::as_mut_simd_f32s(y).0.as_chunks_mut::<N>().0.iter_mut().zip(&layer.bias[rows]) {
            let bias = simd.splat_f32s(bias);
            for y in y {
                let z = simd.add_f32s(*y, bias);
                *y = if hidden { relu(simd, z) } else { z };
            }
        }
    }
}

/// max(x, 0), NaN of NaN: a comparison with it is false.
#[inline(always)]
fn relu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_f32s(x, zero), zero, x)
}
