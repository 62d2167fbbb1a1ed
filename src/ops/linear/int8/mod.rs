//! `y = epilogue(x·Wᵀ + b)` in 8 bits: `x ≈ sₓ·q`, `w ≈ s_w·p`, so `x·w ≈ sₓ·s_w·Σ q·p`, and that sum is exact.
//!
//! One scale per output of W and one per row of x. The products take an unsigned and a signed byte, so q + 128 is
//! multiplied and 128·Σp, which is known at load, is taken away.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

mod dots;
mod quantize;
#[cfg(test)]
mod tests;

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use self::dots::{COLUMNS, MOST_ROWS, PanelStep, Sums, dots};
use self::quantize::QuantizeRow;
use super::finish::{Finish, Output};
use super::panels::Branches;
use super::split::{Line, Tiles, for_each_block, for_each_task};
use super::turn::widen;
use crate::backend::{Cpu, Isa};
use crate::error::{Error, Result};

/// Four bytes of a row of x, as the products take them.
type Four = [u8; 4];

/// Most terms of a sum: 255·127·k stays below 2³¹.
const MOST_TERMS: usize = i32::MAX as usize / (255 * 127);

/// Quantised weights in panels.
#[derive(Debug)]
pub(super) struct Int8Weights {
    /// `[panels, steps, columns, 4]`, two lines a step.
    panels: Vec<[Line; 2]>,
    /// Scale of each column.
    scales: Vec<f32>,
    /// 128·Σp of each column.
    offsets: Vec<i32>,
    /// Products of four terms.
    steps: usize,
}

impl Int8Weights {
    /// Quantises `weights`.
    pub(super) fn new(isa: Isa, weights: &Branches) -> Result<Self> {
        if weights.d_in > MOST_TERMS {
            let what = format!("a layer of {} inputs is too wide for 8 bits, the limit is {MOST_TERMS}", weights.d_in);
            return Err(Error::data(what, "compute in f32"));
        }
        let steps = weights.d_in.div_ceil(4);
        let own = COLUMNS / weights.tensors.len();
        let n_panels = weights.d_out.div_ceil(own);
        let mut panels = vec![[Line([0.0; 16]); 2]; n_panels * steps];
        let (mut scales, mut offsets) = (vec![0.0; n_panels * COLUMNS], vec![0; n_panels * COLUMNS]);
        let columns = scales.par_chunks_mut(COLUMNS).zip(offsets.par_chunks_mut(COLUMNS));
        panels.par_chunks_mut(steps.max(1)).zip(columns).enumerate().for_each(|(panel, (lines, (scales, offsets)))| {
            let panel_steps: &mut [PanelStep] = bytemuck::cast_slice_mut(lines);
            let (mut row, mut q) = (vec![0.0; weights.d_in], vec![0; weights.d_in]);
            for column in 0..COLUMNS {
                let (branch, output) = (column / own, panel * own + column % own);
                if output >= weights.d_out {
                    continue;
                }
                widen(pulp::Scalar, &weights.row(branch, output), 0, &mut row);
                scales[column] = isa.dispatch(QuantizeRow { row: &row, q: &mut q });
                offsets[column] = 128 * q.iter().map(|&p| i32::from(p)).sum::<i32>();
                for (terms, step) in q.chunks(4).zip(panel_steps.iter_mut()) {
                    step[column][..terms.len()].copy_from_slice(terms);
                }
            }
        });
        Ok(Self { panels, scales, offsets, steps })
    }
}

/// The product of `n_rows` rows of `x` with `weights`, finished into `y [n_rows, d_out]`.
pub(super) fn product(cpu: &Cpu, n_rows: usize, x: &[f32], weights: &Int8Weights, finish: Finish<'_>, y: &mut [f32]) {
    let steps = weights.steps;
    let d_in = x.len() / n_rows.max(1);
    let d_out = y.len() / n_rows.max(1);
    // Each row has its bytes, four to a number, and its scale.
    let pack = |rows: &[f32], to: &mut [f32]| cpu.isa.dispatch(PackRows { d_in, rows, steps, to });
    for_each_block(cpu, n_rows, x, MOST_ROWS, steps + 1, pack, |block, tiles, packed| {
        let output = Output::new(&mut y[block.start * d_out..block.end * d_out], d_out);
        let n_panels = weights.scales.len() / COLUMNS;
        for_each_task(cpu, n_panels, steps * size_of::<PanelStep>(), tiles, |panels, tiles_here| {
            let isa = cpu.isa;
            isa.dispatch(Task { isa, weights, tiles, tiles_here, packed, panels, finish, output });
        });
    });
}

/// Quantises the rows of one tile, `[rows, d_in]`, into `[steps, rows]` groups of four bytes and `[rows]` scales.
struct PackRows<'a> {
    d_in: usize,
    rows: &'a [f32],
    steps: usize,
    to: &'a mut [f32],
}

impl WithSimd for PackRows<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n = self.to.len() / (self.steps + 1);
        let (bytes, scales) = self.to.split_at_mut(n * self.steps);
        let bytes: &mut [Four] = bytemuck::cast_slice_mut(bytes);
        let mut q = vec![0; self.steps * 4];
        for (i, (row, scale)) in self.rows.chunks_exact(self.d_in.max(1)).zip(scales).enumerate() {
            *scale = QuantizeRow { row, q: &mut q[..self.d_in] }.with_simd(simd);
            for (q, to) in q.as_chunks::<4>().0.iter().zip(bytes.chunks_exact_mut(n)) {
                to[i] = q.map(|q| (q as u8) ^ 0x80);
            }
        }
    }
}

/// Some panels times some tiles of rows.
struct Task<'a> {
    isa: Isa,
    weights: &'a Int8Weights,
    tiles: Tiles,
    tiles_here: Range<usize>,
    packed: &'a [f32],
    panels: Range<usize>,
    finish: Finish<'a>,
    output: Output<'a>,
}

impl WithSimd for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { isa, weights, tiles, tiles_here, packed, panels, finish, output } = self;
        let steps = weights.steps;
        let mut sums: [Sums; MOST_ROWS] = [[0; COLUMNS]; MOST_ROWS];
        let mut z = [0.0; MOST_ROWS * COLUMNS];
        for tile in tiles_here {
            let rows = tiles.rows(tile);
            let (a, row_scales) = packed[rows.start * (steps + 1)..rows.end * (steps + 1)].split_at(rows.len() * steps);
            let (sums, z) = (&mut sums[..rows.len()], &mut z[..rows.len() * COLUMNS]);
            for panel in panels.clone() {
                let b = bytemuck::cast_slice(&weights.panels[panel * steps..(panel + 1) * steps]);
                finish.announce(simd, COLUMNS, panel, rows.clone(), output);
                dots(isa, bytemuck::cast_slice(a), b, sums);
                let columns = panel * COLUMNS..(panel + 1) * COLUMNS;
                let (scales, offsets) = (&weights.scales[columns.clone()], &weights.offsets[columns]);
                for ((sums, z), row_scale) in sums.iter().zip(z.chunks_exact_mut(COLUMNS)).zip(row_scales) {
                    for (j, z) in z.iter_mut().enumerate() {
                        *z = (sums[j] - offsets[j]) as f32 * scales[j] * row_scale;
                    }
                }
                finish.tile(simd, z, COLUMNS, panel, rows.start, output);
            }
        }
    }
}
