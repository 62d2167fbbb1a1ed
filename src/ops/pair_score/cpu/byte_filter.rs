//! The signed L1 form in bytes first: pairs that may reach the least value are found in 8 bits, and only they are scored
//! in f32.
//!
//! With c = −b, `max(a, c) = ½·(a + c + |a − c|)`. The sums of a and of c belong to one entity each; of the pair there is
//! `|a − c|` alone. On a grid `x̂ = low_k + Δ·q` of bytes q it is within `|a − â| + |c − ĉ|` of `Δ·|q_a − q_c|`, so that
//!
//! `z ≤ o + ½·Δ·Σ±|q_a − q_c| + L(a) + L(c)`, `L(x) = ½·(Σ±x + Σ|x − x̂|)` and the roundings of f32.
//!
//! What passes is scored by the same operations in the same order as without the filter, so no bit depends on it.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::Simd;

use super::network::CpuNetwork;
use super::report::Reader;
use super::signed_l1::{Packed, lanes_of_nan};
use super::{Link, Panel, Report, Targets, add_member, differences, turn_panel};
use crate::backend::Activation;

/// Fewer targets do not pay for the bytes of the entries.
const LEAST_TARGETS: usize = 32;
/// Rows of each side that the grid is made of.
const SAMPLE: usize = 128;
/// 1.5·2²³: a sum with it leaves the nearest integer in the low bits.
const ROUND: f32 = 12_582_912.0;
/// Stands for a bound that is no number or too large: its pairs pass.
const UNBOUNDED: i64 = 1 << 40;
/// Pairs of vectors and targets that are scored side by side, so that one's sum does not wait for itself.
const TOGETHER: usize = 4;

/// Where bytes lie on the line, one row of origins for all entities.
struct Grid {
    low: Vec<f32>,
    step: f32,
    n_positive: usize,
}

impl Grid {
    /// As fine as the widest column of some rows allows; `None` where that is no number.
    fn of<A: Activation>(entries: &[A], targets: &[f32], width: usize, n_positive: usize) -> Option<Self> {
        let mut range = vec![(f32::INFINITY, f32::NEG_INFINITY); width];
        let mut meet = |row: &[f32]| {
            for ((low, high), &x) in range.iter_mut().zip(row).filter(|(_, x)| x.is_finite()) {
                (*low, *high) = (low.min(x), high.max(x));
            }
        };
        let every = |rows: usize| (rows / SAMPLE).max(1);
        entries.chunks_exact(width).step_by(every(entries.len() / width)).for_each(|row| meet(&A::widened(row)));
        targets.chunks_exact(width).step_by(every(targets.len() / width)).for_each(meet);
        let step = range.iter().map(|&(low, high)| (high - low) / 255.0).fold(0.0, f32::max);
        let low: Vec<f32> = range.into_iter().map(|(low, _)| low).collect();
        let usable = low.iter().all(|low| low.is_finite()) && (1e-30..1e30).contains(&step);
        usable.then_some(Self { low, step, n_positive })
    }

    /// Groups of eight elements of one sign, and how many of them are added.
    fn groups(&self) -> (usize, usize) {
        let plus = self.n_positive.div_ceil(8);
        (plus + (self.low.len() - self.n_positive).div_ceil(8), plus)
    }

    /// Largest relative error of what is summed in f32 here and in the score.
    fn rounding(&self) -> f32 {
        (2 * self.low.len() + 16) as f32 * f32::EPSILON / 2.0
    }

    /// Bytes `[groups, columns]` of a panel `[width, N vectors]`, eight elements each, and `L(x)/(½·Δ)` of each column,
    /// not below it.
    #[inline(always)]
    fn quantize<S: Simd, const N: usize>(
        &self,
        simd: S,
        panel: &[[S::f32s; N]],
        bytes: &mut [u64],
        bounds: &mut [i64],
    ) {
        let (lanes, zero) = (S::F32_LANES, simd.splat_f32s(0.0));
        let (step, scale) = (simd.splat_f32s(self.step), simd.splat_f32s(1.0 / self.step));
        let (most, round) = (simd.splat_f32s(255.0), simd.splat_f32s(ROUND));
        // Roundings of x̂ and of x − x̂.
        let grid: f32 = self.low.iter().map(|low| low.abs() + 256.0 * self.step).sum();
        let slack = 2.0 * f32::EPSILON * grid;
        for vector in 0..N {
            let (mut signed, mut size, mut error) = (zero, zero, zero);
            let mut bytes = bytes.chunks_exact_mut(N * lanes);
            for (plus, range) in [(true, 0..self.n_positive), (false, self.n_positive..self.low.len())] {
                for (panel, low) in panel[range.clone()].chunks(8).zip(self.low[range].chunks(8)) {
                    let mut halves = [simd.splat_u32s(0); 2];
                    for (i, (x, &low)) in panel.iter().zip(low).enumerate() {
                        let (x, low) = (x[vector], simd.splat_f32s(low));
                        let place = simd.mul_f32s(simd.sub_f32s(x, low), scale);
                        let place = simd.add_f32s(simd.min_f32s(simd.max_f32s(place, zero), most), round);
                        let byte = simd.and_u32s(simd.transmute_u32s_f32s(place), simd.splat_u32s(255));
                        let byte = simd.wrapping_dyn_shl_u32s(byte, simd.splat_u32s(8 * (i as u32 % 4)));
                        halves[i / 4] = simd.or_u32s(halves[i / 4], byte);
                        let near = simd.mul_add_e_f32s(simd.sub_f32s(place, round), step, low);
                        error = simd.add_f32s(error, simd.abs_f32s(simd.sub_f32s(x, near)));
                        size = simd.add_f32s(size, simd.abs_f32s(x));
                        signed = if plus { simd.add_f32s(signed, x) } else { simd.sub_f32s(signed, x) };
                    }
                    if let Some(bytes) = bytes.next() {
                        let halves: &[u32] = bytemuck::cast_slice(&halves);
                        let (low, high) = halves.split_at(lanes);
                        for ((byte, &low), &high) in bytes[vector * lanes..].iter_mut().zip(low).zip(high) {
                            *byte = u64::from(low) | u64::from(high) << 32;
                        }
                    }
                }
            }
            let both = [signed, error, size];
            let [signed, error, size]: [&[f32]; 3] = [&both[0..1], &both[1..2], &both[2..3]].map(bytemuck::cast_slice);
            for (lane, bound) in bounds[vector * lanes..(vector + 1) * lanes].iter_mut().enumerate() {
                let rounding = self.rounding() * (size[lane] + error[lane]) + slack;
                let units = (signed[lane] + error[lane] + 2.0 * rounding) / self.step;
                let above = units + units.abs() * (8.0 * f32::EPSILON) + 2.0;
                // False of NaN.
                *bound = if above.abs() < 1e9 { above.ceil() as i64 } else { UNBOUNDED };
            }
        }
    }
}

/// All targets in bytes, and the panel of entries at work.
pub(super) struct ByteFilter {
    grid: Grid,
    /// `[panel][groups][columns]`.
    targets: Vec<u64>,
    /// A pair may reach its target's least value where its sum is above this, `[panels · columns]`.
    thresholds: Vec<i64>,
    entries: Vec<u64>,
    bounds: Vec<i64>,
    /// Targets and vectors of entries that may hold a survivor.
    candidates: Vec<[u32; 2]>,
    /// Vectors that met a target in bytes, and those that passed. What pays is decided by their ratio.
    seen: usize,
    passed: usize,
}

impl ByteFilter {
    /// `None` where it would not pay or is not made for.
    #[inline(always)]
    pub fn new<S: Simd, A: Activation, const N: usize>(
        simd: S,
        network: &CpuNetwork,
        entries: &[A],
        packed: &Packed,
        targets: Targets<'_>,
        least: &[f32],
    ) -> Option<Self> {
        let [member] = &network.members[..] else { return None };
        let plain = network.link == Link::Identity && member.weight == 1.0;
        if !plain || targets.n < LEAST_TARGETS || !differences::of_bytes(simd) {
            return None;
        }
        let (width, columns) = (network.width, N * S::F32_LANES);
        let grid = Grid::of(entries, &packed.negated, width, member.n_positive)?;
        let (panels, panel_len) = (targets.n.div_ceil(columns), grid.groups().0 * columns);
        let mut filter = Self {
            targets: vec![0; panels * panel_len],
            thresholds: vec![i64::MAX; panels * columns],
            entries: vec![0; panel_len],
            bounds: vec![0; columns],
            candidates: Vec::new(),
            // Some panels have to be seen first: survivors crowd in good entries.
            seen: 8 * targets.n * N,
            passed: 0,
            grid,
        };
        let mut turned = vec![0.0; width * columns];
        for (panel, bytes) in filter.targets.chunks_exact_mut(panel_len).enumerate() {
            let here = panel * columns..targets.n.min((panel + 1) * columns);
            turn_panel(simd, &packed.negated[here.start * width..here.end * width], width, columns, &mut turned);
            let turned = S::as_simd_f32s(&turned).0.as_chunks::<N>().0;
            filter.grid.quantize(simd, turned, bytes, &mut filter.bounds);
            for (target, &bound) in here.zip(&filter.bounds) {
                let offset = f64::from(packed.offsets[target]);
                let rounding = f64::from(filter.grid.rounding()) * offset.abs();
                let units = 2.0 * (f64::from(least[target]) - offset - rounding) / f64::from(filter.grid.step);
                // False of NaN. What is far above every sum of numbers may stand lower, never what is far below.
                let bounded = bound != UNBOUNDED && units > -1e9;
                filter.thresholds[target] = if bounded { units.min(1e9).floor() as i64 - 2 - bound } else { i64::MIN };
            }
        }
        Some(filter)
    }

    /// Vectors of the last panel that were scored with a target.
    #[cfg(test)]
    pub fn n_candidates(&self) -> usize {
        self.candidates.len()
    }

    /// Whether it paid so far.
    pub fn pays(&self) -> bool {
        2 * self.passed <= self.seen
    }

    /// A panel of entries with all targets; false where nothing was done because the filter does not pay.
    #[inline(always)]
    pub fn panel<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        network: &CpuNetwork,
        packed: &Packed,
        panel: Panel<'_>,
        report: &mut Report<'_>,
    ) -> bool {
        let all = packed.n_targets * N;
        if !self.pays() {
            // One panel of nine is tried again where everything passes.
            self.seen += all / 8;
            return false;
        }
        let columns = N * S::F32_LANES;
        let entries = S::as_simd_f32s(panel.table(0, network.width)).0.as_chunks::<N>().0;
        self.grid.quantize(simd, entries, &mut self.entries, &mut self.bounds);
        self.candidates.clear();
        let (groups, plus) = self.grid.groups();
        let targets = self.targets.chunks_exact(groups * columns).zip(self.thresholds.chunks_exact(columns));
        for ((targets, thresholds), first) in targets.zip((0..).step_by(columns)) {
            let operands =
                differences::Operands { entries: &self.entries, bounds: &self.bounds, targets, thresholds, plus };
            differences::candidates(simd, operands, first, N, &mut self.candidates);
        }
        let poison = lanes_of_nan(simd, entries);
        for candidates in self.candidates.chunks(TOGETHER) {
            score(simd, network, packed, candidates, panel, entries, &poison, report);
        }
        self.seen += all;
        self.passed += self.candidates.len();
        true
    }
}

/// The logits of some vectors of entries with a target each, as [`Packed::panel`] computes them.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn score<S: Simd, const N: usize>(
    simd: S,
    network: &CpuNetwork,
    packed: &Packed,
    candidates: &[[u32; 2]],
    panel: Panel<'_>,
    entries: &[[S::f32s; N]],
    poison: &[S::f32s; N],
    report: &mut Report<'_>,
) {
    let (member, width) = (&network.members[0], network.width);
    // The last of a few stands for those that are missing.
    let at: [[usize; 2]; TOGETHER] =
        std::array::from_fn(|i| candidates[i.min(candidates.len() - 1)].map(|index| index as usize));
    let rows = at.map(|[target, _]| &packed.negated[target * width..][..width]);
    let mut z = [simd.splat_f32s(0.0); TOGETHER];
    for (z, [target, vector]) in z.iter_mut().zip(at) {
        *z = simd.add_f32s(poison[vector], simd.splat_f32s(packed.offsets[target]));
    }
    for (k, entries) in entries.iter().enumerate() {
        for (z, (row, [_, vector])) in z.iter_mut().zip(rows.iter().zip(at)) {
            let term = simd.max_f32s(entries[vector], simd.splat_f32s(row[k]));
            *z = if k < member.n_positive { simd.add_f32s(*z, term) } else { simd.sub_f32s(*z, term) };
        }
    }
    for (z, [target, vector]) in z.into_iter().zip(at).take(candidates.len()) {
        let value = add_member(simd, network.link, member.weight, z, simd.splat_f32s(0.0));
        let first = panel.entries.start + vector * S::F32_LANES;
        report.tile(simd, &[[value]], target, &(first..panel.entries.end));
    }
}
