//! `y = epilogue(x·Wᵀ + b)` in f32: rows are packed once, panels once per task, both are multiplied tile by tile.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::finish::{Finish, Output};
use super::panels::Branches;
use super::split::{Tiles, for_each_block, for_each_task, with_panels};
use super::tile::{MOST_COLUMNS, MOST_ROWS, sums};
use super::turn::{Rows, turn};
use crate::backend::{Cpu, Isa};

/// How an instruction set cuts a product into tiles.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Shape {
    /// Most rows of a tile.
    pub rows: usize,
    /// Columns of a panel.
    pub columns: usize,
}

impl Shape {
    /// As many sums as fill the registers.
    const fn of_lanes(lanes: usize) -> Self {
        match lanes {
            16 => Self { rows: 14, columns: 32 },
            4 | 8 => Self { rows: 6, columns: 16 },
            _ => Self { rows: 4, columns: 8 },
        }
    }

    /// That of `isa`.
    pub(in crate::ops) fn of(isa: Isa) -> Self {
        struct Lanes;
        impl WithSimd for Lanes {
            type Output = usize;
            fn with_simd<S: Simd>(self, _: S) -> usize {
                S::F32_LANES
            }
        }
        Self::of_lanes(isa.dispatch(Lanes))
    }
}

/// The product of `n_rows` rows of `x` with `weights`, finished into `y`.
pub(super) fn product(cpu: &Cpu, n_rows: usize, x: &[f32], weights: &Branches, finish: Finish<'_>, y: &mut [f32]) {
    let (d_in, shape) = (weights.d_in, Shape::of(cpu.isa));
    let panel_len = shape.columns * d_in;
    let n_panels = weights.d_out.div_ceil(shape.columns / weights.tensors.len());
    let pack = |rows: &[f32], to: &mut [f32]| cpu.isa.dispatch(PackRows { d_in, rows, to });
    for_each_block(cpu, n_rows, x, shape.rows, d_in, pack, |block, tiles, packed| {
        let output = Output::new(&mut y[block.start * weights.d_out..block.end * weights.d_out], weights.d_out);
        for_each_task(cpu, n_panels, panel_len * size_of::<f32>(), tiles, |panels, tiles_here| {
            with_panels(panels.len() * panel_len, |buffer| {
                cpu.isa.dispatch(Task { weights, tiles, tiles_here, packed, panels, buffer, finish, output });
            });
        });
    });
}

/// Turns the rows of one tile, `[rows, d_in]`, into `[d_in, rows]`.
pub(in crate::ops) struct PackRows<'a> {
    /// Numbers of a row.
    pub d_in: usize,
    /// The rows.
    pub rows: &'a [f32],
    /// As many numbers.
    pub to: &'a mut [f32],
}

impl WithSimd for PackRows<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { d_in, rows, to } = self;
        let n = rows.len() / d_in.max(1);
        turn(simd, Rows { values: rows, pitch: d_in, n, len: d_in }, n, to);
    }
}

/// Some panels times some tiles of rows.
struct Task<'a> {
    weights: &'a Branches,
    tiles: Tiles,
    tiles_here: Range<usize>,
    packed: &'a [f32],
    panels: Range<usize>,
    buffer: &'a mut [f32],
    finish: Finish<'a>,
    output: Output<'a>,
}

impl WithSimd for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            8 | 16 => self.run::<S, 2>(simd),
            4 => self.run::<S, 4>(simd),
            _ => self.run::<S, 8>(simd),
        }
    }
}

impl Task<'_> {
    /// With panels of `N` vectors.
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S) {
        let Self { weights, tiles, tiles_here, packed, panels, buffer, finish, output } = self;
        let columns = N * S::F32_LANES;
        let panel_len = weights.d_in * columns;
        for (i, panel) in panels.clone().enumerate() {
            weights.pack(simd, panel, N, &mut buffer[i * panel_len..(i + 1) * panel_len]);
        }
        let mut z = [0.0; MOST_ROWS * MOST_COLUMNS];
        for tile in tiles_here {
            let rows = tiles.rows(tile);
            let a = &packed[rows.start * weights.d_in..rows.end * weights.d_in];
            let z = &mut z[..rows.len() * columns];
            for (i, panel) in panels.clone().enumerate() {
                let b = &buffer[i * panel_len..(i + 1) * panel_len];
                finish.announce(simd, columns, panel, rows.clone(), output);
                sums::<S, N>(simd, rows.len(), a, b, z);
                finish.tile(simd, z, columns, panel, rows.start, output);
            }
        }
    }
}
