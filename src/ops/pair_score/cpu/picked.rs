//! The signed L1 form of some targets, picked one by one, with a block of entries in registers.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::Simd;

use super::network::CpuNetwork;
use super::report::Reader;
use super::signed_l1::Packed;
use super::{Panel, add_member};

impl Packed {
    /// `V` vectors of a panel with at most `T` targets, each anywhere, as [`Packed::panel`] computes them.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub fn block<S: Simd, const V: usize, const T: usize, const N: usize>(
        &self,
        simd: S,
        network: &CpuNetwork,
        panel: Panel<'_>,
        poisons: &[[S::f32s; N]],
        vector: usize,
        targets: &[u32],
        report: &mut impl Reader,
    ) {
        let width = network.width;
        // The last of a few stands for those that are missing.
        let at: [usize; T] = std::array::from_fn(|i| targets[i.min(targets.len() - 1)] as usize);
        let mut values = [[simd.splat_f32s(0.0); V]; T];
        for (m, (member, poison)) in network.members.iter().zip(poisons).enumerate() {
            let entries = S::as_simd_f32s(panel.table(m, width)).0.as_chunks::<N>().0;
            let first = m * self.n_targets;
            let rows = at.map(|target| self.negated[(first + target) * width..][..width].split_at(member.n_positive));
            let (plus, minus) = entries.split_at(member.n_positive);
            let mut z = [[simd.splat_f32s(0.0); V]; T];
            for (z, target) in z.iter_mut().zip(at) {
                let offset = simd.splat_f32s(self.offsets[first + target]);
                for (z, &poison) in z.iter_mut().zip(&poison[vector..]) {
                    *z = simd.add_f32s(poison, offset);
                }
            }
            let z = add_terms::<S, V, T, N, true>(simd, plus, &rows.map(|(plus, _)| plus), vector, z);
            let z = add_terms::<S, V, T, N, false>(simd, minus, &rows.map(|(_, minus)| minus), vector, z);
            for (values, z) in values.iter_mut().zip(z) {
                for (value, z) in values.iter_mut().zip(z) {
                    *value = add_member(simd, network.link, member.weight, z, *value);
                }
            }
        }
        let entries = panel.entries.start + vector * S::F32_LANES..panel.entries.end;
        for (values, &target) in values.iter().zip(targets) {
            report.tile(simd, &[*values], target as usize, &entries);
        }
    }
}

/// Adds or subtracts the terms of `T` targets, a row each, with `V` vectors of some elements of a panel.
#[inline(always)]
fn add_terms<S: Simd, const V: usize, const T: usize, const N: usize, const PLUS: bool>(
    simd: S,
    entries: &[[S::f32s; N]],
    rows: &[&[f32]; T],
    vector: usize,
    mut z: [[S::f32s; V]; T],
) -> [[S::f32s; V]; T] {
    let rows = rows.map(|row| &row[..entries.len()]);
    for (k, entries) in entries.iter().enumerate() {
        let entries = &entries[vector..vector + V];
        for (z, row) in z.iter_mut().zip(rows) {
            let target = simd.splat_f32s(row[k]);
            for (z, &entry) in z.iter_mut().zip(entries) {
                let term = simd.max_f32s(entry, target);
                *z = if PLUS { simd.add_f32s(*z, term) } else { simd.sub_f32s(*z, term) };
            }
        }
    }
    z
}
