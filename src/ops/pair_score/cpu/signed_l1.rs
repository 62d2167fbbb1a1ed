//! The signed L1 form: a tile of targets and a panel of entries in registers, a maximum and a sum or difference for each
//! element.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::Simd;

use super::network::CpuNetwork;
use super::report::Reader;
use super::{Panel, Targets, add_member};
use crate::ops::linear::split::Tiles;
use crate::ops::linear::turn::{Rows, turn};

/// Most targets of a tile: with two vectors of entries, as many sums as keep the adders of 32 or of 16 registers busy.
const fn most_targets(registers: usize) -> usize {
    if registers >= 32 { 8 } else { 4 }
}

/// All targets, their operands negated, in tiles `[member][tile][width][targets]`.
pub(super) struct Packed {
    tiles: Tiles,
    pub n_targets: usize,
    rows: Vec<f32>,
    /// The rows one after the other, negated.
    pub negated: Vec<f32>,
    /// `[n_members, n_targets]`; NaN where a row holds one, because a maximum may lose it.
    pub offsets: Vec<f32>,
}

impl Packed {
    #[inline(always)]
    pub fn new<S: Simd>(simd: S, network: &CpuNetwork, targets: Targets<'_>) -> Self {
        let width = network.width;
        let tiles = Tiles::of(targets.n, most_targets(S::REGISTER_COUNT));
        let mut negated = targets.rows.to_vec();
        let mut offsets = targets.offsets.to_vec();
        for (row, offset) in negated.chunks_exact_mut(width).zip(&mut offsets) {
            let mut no_number = false;
            for x in row {
                no_number |= x.is_nan();
                *x = -*x;
            }
            if no_number {
                *offset = f32::NAN;
            }
        }
        let mut rows = vec![0.0; negated.len()];
        for member in 0..network.members.len() {
            for tile in 0..tiles.count {
                let tile = tiles.rows(tile);
                let first = (member * targets.n + tile.start) * width;
                let tile = Rows { values: &negated[first..], pitch: width, n: tile.len(), len: width };
                turn(simd, tile, tile.n, &mut rows[first..first + tile.n * width]);
            }
        }
        Self { tiles, n_targets: targets.n, rows, negated, offsets }
    }

    /// A panel of entries with all targets.
    #[inline(always)]
    pub fn panel<S: Simd, const N: usize>(
        &self,
        simd: S,
        network: &CpuNetwork,
        panel: Panel<'_>,
        report: &mut impl Reader,
    ) {
        let poisons = &poisons::<S, N>(simd, network, panel)[..];
        let wide = most_targets(S::REGISTER_COUNT) == 8;
        for tile in 0..self.tiles.count {
            if report.is_done(self.tiles.rows(tile).start * panel.entries.len()) {
                break;
            }
            match self.tiles.rows(tile).len() {
                1 => self.tile::<S, 1, N>(simd, network, panel, poisons, tile, report),
                2 => self.tile::<S, 2, N>(simd, network, panel, poisons, tile, report),
                3 => self.tile::<S, 3, N>(simd, network, panel, poisons, tile, report),
                4 => self.tile::<S, 4, N>(simd, network, panel, poisons, tile, report),
                5 if wide => self.tile::<S, 5, N>(simd, network, panel, poisons, tile, report),
                6 if wide => self.tile::<S, 6, N>(simd, network, panel, poisons, tile, report),
                7 if wide => self.tile::<S, 7, N>(simd, network, panel, poisons, tile, report),
                8 if wide => self.tile::<S, 8, N>(simd, network, panel, poisons, tile, report),
                _ => unreachable!("the shape of the tiles"),
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const T: usize, const N: usize>(
        &self,
        simd: S,
        network: &CpuNetwork,
        panel: Panel<'_>,
        poisons: &[[S::f32s; N]],
        tile: usize,
        report: &mut impl Reader,
    ) {
        let (width, first) = (network.width, self.tiles.rows(tile).start);
        let mut values = [[simd.splat_f32s(0.0); N]; T];
        for (m, (member, poison)) in network.members.iter().zip(poisons).enumerate() {
            let entries = S::as_simd_f32s(panel.table(m, width)).0.as_chunks::<N>().0;
            let start = m * self.n_targets + first;
            let rows = self.rows[start * width..][..T * width].as_chunks::<T>().0;
            let mut z = [*poison; T];
            for (z, &offset) in z.iter_mut().zip(&self.offsets[start..]) {
                for z in z {
                    *z = simd.add_f32s(*z, simd.splat_f32s(offset));
                }
            }
            let z = sums(simd, member.n_positive, entries, rows, z);
            for (values, z) in values.iter_mut().zip(z) {
                for (value, z) in values.iter_mut().zip(z) {
                    *value = add_member(simd, network.link, member.weight, z, *value);
                }
            }
        }
        report.tile(simd, &values, first, panel.entries);
    }
}

/// NaN in each lane of a panel where a member's entry holds one, else 0.
#[inline(always)]
pub(super) fn poisons<S: Simd, const N: usize>(simd: S, network: &CpuNetwork, panel: Panel<'_>) -> Vec<[S::f32s; N]> {
    let mut poisons = Vec::with_capacity(network.members.len());
    for member in 0..network.members.len() {
        let entries = S::as_simd_f32s(panel.table(member, network.width)).0.as_chunks::<N>().0;
        poisons.push(lanes_of_nan(simd, entries));
    }
    poisons
}

/// `z + Σ_{k<n⁺} max(a_k, −b_k) − Σ_{k≥n⁺} max(a_k, −b_k)` of `T` targets with a panel, in that order.
#[inline(always)]
fn sums<S: Simd, const T: usize, const N: usize>(
    simd: S,
    n_positive: usize,
    entries: &[[S::f32s; N]],
    targets: &[[f32; T]],
    mut z: [[S::f32s; N]; T],
) -> [[S::f32s; N]; T] {
    let (entries, targets) = (entries.split_at(n_positive), targets.split_at(n_positive));
    for (entries, targets) in entries.0.iter().zip(targets.0) {
        for (z, &target) in z.iter_mut().zip(targets) {
            let target = simd.splat_f32s(target);
            for (z, &entry) in z.iter_mut().zip(entries) {
                *z = simd.add_f32s(*z, simd.max_f32s(entry, target));
            }
        }
    }
    for (entries, targets) in entries.1.iter().zip(targets.1) {
        for (z, &target) in z.iter_mut().zip(targets) {
            let target = simd.splat_f32s(target);
            for (z, &entry) in z.iter_mut().zip(entries) {
                *z = simd.sub_f32s(*z, simd.max_f32s(entry, target));
            }
        }
    }
    z
}

/// NaN in each lane of a panel that holds one, else 0.
#[inline(always)]
pub(super) fn lanes_of_nan<S: Simd, const N: usize>(simd: S, entries: &[[S::f32s; N]]) -> [S::f32s; N] {
    let zero = simd.splat_f32s(0.0);
    let mut numbers = [simd.equal_f32s(zero, zero); N];
    for entries in entries {
        for (numbers, &entry) in numbers.iter_mut().zip(entries) {
            *numbers = simd.and_m32s(*numbers, simd.equal_f32s(entry, entry));
        }
    }
    let mut poison = [zero; N];
    for (poison, numbers) in poison.iter_mut().zip(numbers) {
        *poison = simd.select_f32s(numbers, zero, simd.splat_f32s(f32::NAN));
    }
    poison
}
