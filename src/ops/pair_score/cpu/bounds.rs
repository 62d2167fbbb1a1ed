//! The signed L1 form by blocks first: a block of entries is left out of a target where none of them can reach the least
//! value.
//!
//! Element k of a block's stand-in is the largest of its entries where it is added and the smallest where it is
//! subtracted. Maxima, sums, differences and products with weights > 0 round monotonely, so that the stand-in's value,
//! computed by the same operations in the same order, is not below that of any entry of the block, rounding included.
//! Only the logistic function may break this, by twice its error. A table of stand-ins is a panel like any other.
//!
//! Numbers alone are bounded: a stand-in is NaN where an entry is not finite, and a target that is not finite meets all.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use std::ops::Range;

use pulp::Simd;

use super::candidates::Candidates;
use super::network::CpuNetwork;
use super::signed_l1::Packed;
use super::{Entries, Link, Panel, Targets, turn_panel};
use crate::backend::Activation;

/// Most entries of a block: networks of the field have loose bounds of more.
const BLOCK: usize = 16;
/// Groups that are left alone after one whose bounds did not pay.
const PAUSE: usize = 15;

/// Blocks that may hold a survivor, of a group of as many as a panel has columns.
pub(super) struct Bounds {
    /// Entries of a block.
    block: usize,
    /// The entries whose blocks are known, and whether their bounds pay.
    group: Range<usize>,
    pays: bool,
    pause: usize,
    /// Stand-ins of one member, `[columns, width]`, and of all, `[n_members][width][columns]`.
    rows: Vec<f32>,
    turned: Vec<f32>,
    candidates: Candidates,
}

impl Bounds {
    /// `None` where a block's value may be below that of its entries.
    pub fn new(network: &CpuNetwork, targets: Targets<'_>, least: &[f32], columns: usize) -> Option<Self> {
        // False of NaN.
        let monotone = network.members.iter().all(|member| member.weight > 0.0 && member.weight.is_finite());
        let len = network.width * columns;
        monotone.then(|| Self {
            block: BLOCK.min(columns),
            group: 0..0,
            pays: false,
            pause: 0,
            rows: vec![0.0; len],
            turned: vec![0.0; len * network.members.len()],
            candidates: Candidates::new(
                (0..targets.n).map(|target| least_bound(network, targets, least, target)).collect(),
                columns,
            ),
        })
    }

    /// Entries of a block.
    pub fn block(&self) -> usize {
        self.block
    }

    /// How many pairs of a target and a block of the panel `here` may hold a survivor; `None` where that is not known
    /// because bounds do not pay. Panels come in order. They pay where fewer than `most` (a fraction) pass.
    #[inline(always)]
    pub fn left<S: Simd, A: Activation, const N: usize>(
        &mut self,
        simd: S,
        network: &CpuNetwork,
        packed: &Packed,
        entries: Entries<'_, A>,
        here: &Range<usize>,
        most: [usize; 2],
    ) -> Option<usize> {
        if here.start == self.group.end {
            let whole = N * S::F32_LANES * self.block;
            self.group = here.start..entries.n.min(here.start + whole);
            self.candidates.clear(most);
            // A group of few blocks costs as much as a whole one.
            self.pays = self.pause == 0 && 2 * self.group.len() > whole;
            self.pause = self.pause.saturating_sub(1);
            if self.pays {
                self.meet::<S, A, N>(simd, network, packed, entries);
                if !self.pays {
                    self.pause = PAUSE;
                }
            }
        }
        self.pays.then(|| self.blocks(here).map(|block| self.candidates.of_block(block).len()).sum())
    }

    /// The targets of each block of a panel that may find a survivor there, with the block's first column.
    pub fn candidates(&self, here: &Range<usize>) -> impl Iterator<Item = (&[u32], usize)> {
        self.blocks(here).map(|block| self.candidates.of_block(block)).zip((0..).step_by(self.block))
    }

    /// The blocks of a panel within the group.
    fn blocks(&self, here: &Range<usize>) -> Range<usize> {
        let block = |entry: usize| (entry - self.group.start).div_ceil(self.block);
        block(here.start)..block(here.end)
    }

    /// The group's stand-ins with all targets, and whether they paid.
    #[inline(always)]
    fn meet<S: Simd, A: Activation, const N: usize>(
        &mut self,
        simd: S,
        network: &CpuNetwork,
        packed: &Packed,
        entries: Entries<'_, A>,
    ) {
        let (width, columns) = (network.width, N * S::F32_LANES);
        let n_blocks = self.group.len().div_ceil(self.block);
        for (m, member) in network.members.iter().enumerate() {
            let table = entries.rows(m, &self.group, width);
            let (rows, _) = self.rows.split_at_mut(n_blocks * width);
            for (block, row) in table.chunks(self.block * width).zip(rows.chunks_exact_mut(width)) {
                stand_in(simd, &A::widened(block), member.n_positive, row);
            }
            turn_panel(simd, rows, width, columns, &mut self.turned[m * width * columns..]);
        }
        let panel = Panel { tables: &self.turned, columns, entries: &(0..n_blocks) };
        packed.panel::<S, N>(simd, network, panel, &mut self.candidates);
        self.pays = self.candidates.are_few(n_blocks);
    }
}

/// What a bound must not be below where an entry reaches the target's least value. NaN is above no bound.
fn least_bound(network: &CpuNetwork, targets: Targets<'_>, least: &[f32], target: usize) -> f32 {
    let members = network.members.len();
    let finite = (0..members).all(|m| {
        let row = targets.row(m, target, network.width);
        targets.offsets[m * targets.n + target].is_finite() && row.iter().all(|x| x.is_finite())
    });
    match network.link {
        _ if !finite => f32::NAN,
        Link::Identity => least[target],
        Link::Logistic => {
            let weights: f64 = network.members.iter().map(|member| f64::from(member.weight)).sum();
            // Two σ, each within 2⁻²⁰, and two sums of members, each term within 1.
            let error = weights * 1.01 * (2f64.powi(-19) + 2.0 * (members + 2) as f64 * f64::from(f32::EPSILON));
            ((f64::from(least[target]) - error) as f32).next_down()
        }
    }
}

/// The stand-in of some rows.
#[inline(always)]
fn stand_in<S: Simd>(simd: S, block: &[f32], n_positive: usize, row: &mut [f32]) {
    let (width, zero) = (row.len(), simd.splat_f32s(0.0));
    for (row, k) in row.chunks_mut(S::F32_LANES).zip((0..).step_by(S::F32_LANES)) {
        let part = k..k + row.len();
        let mut most = simd.splat_f32s(f32::NEG_INFINITY);
        let (mut least, mut nought) = (simd.splat_f32s(f32::INFINITY), zero);
        for entry in block.chunks_exact(width) {
            let x = simd.partial_load_f32s(&entry[part.clone()]);
            (most, least) = (simd.max_f32s(most, x), simd.min_f32s(least, x));
            // NaN from the first number on that is not finite.
            nought = simd.mul_add_e_f32s(x, zero, nought);
        }
        let both = [simd.add_f32s(most, nought), simd.add_f32s(least, nought)];
        let (most, least) = bytemuck::cast_slice::<_, f32>(&both).split_at(S::F32_LANES);
        let plus = n_positive.saturating_sub(k).min(row.len());
        row[..plus].copy_from_slice(&most[..plus]);
        let minus = plus..row.len();
        row[minus.clone()].copy_from_slice(&least[minus]);
    }
}
