//! `y = epilogue(x·Wᵀ + b)` in f32: rows are packed once per block, panels once per block and task.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use std::cell::RefCell;
use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::finish::{Finish, Output};
use super::panels::{Branches, Line};
use super::tile::{MOST_ROWS, sums, tile_rows};
use crate::backend::{Cpu, Isa};

/// Bytes of packed rows that are multiplied with a panel before the next block of rows: a part of the last cache.
const ROW_BYTES: usize = 8 << 20;
/// Bytes of panels that one task holds: a part of a second-level cache.
const PANEL_BYTES: usize = 512 << 10;

/// How an instruction set cuts a product into tiles.
#[derive(Clone, Copy)]
struct Shape {
    /// Most rows of a tile.
    rows: usize,
    /// Numbers of a vector.
    lanes: usize,
    /// Vectors of a panel.
    vectors: usize,
}

impl WithSimd for Shape {
    type Output = Self;
    fn with_simd<S: Simd>(self, _: S) -> Self {
        Self { rows: tile_rows(S::F32_LANES), lanes: S::F32_LANES, vectors: vectors(S::F32_LANES) }
    }
}

const fn vectors(lanes: usize) -> usize {
    match lanes {
        8 | 16 => 2,
        4 => 4,
        _ => 8,
    }
}

impl Shape {
    fn of(isa: Isa) -> Self {
        isa.dispatch(Self { rows: 0, lanes: 0, vectors: 0 })
    }
}

/// Rows `0..n` in tiles of almost equal size.
#[derive(Clone, Copy)]
struct Tiles {
    n_rows: usize,
    count: usize,
}

impl Tiles {
    fn of(n_rows: usize, most: usize) -> Self {
        Self { n_rows, count: n_rows.div_ceil(most) }
    }
    fn rows(self, tile: usize) -> Range<usize> {
        let start = |tile: usize| tile * self.n_rows / self.count;
        start(tile)..start(tile + 1)
    }
}

thread_local! {
    static ROWS: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
    static PANELS: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Gives `work` a buffer of `len` numbers with any content, kept for the next call of this thread.
fn with_buffer<R>(
    of: &'static std::thread::LocalKey<RefCell<Vec<Line>>>,
    len: usize,
    work: impl FnOnce(&mut [f32]) -> R,
) -> R {
    let mut lines = of.take();
    if lines.len() * 16 < len {
        lines.resize(len.div_ceil(16), Line([0.0; 16]));
    }
    let result = work(&mut bytemuck::cast_slice_mut(&mut lines)[..len]);
    of.set(lines);
    result
}

/// The product of `n_rows` rows of `x` with `weights`, finished by `finish` into `y`.
pub(super) fn product(cpu: &Cpu, n_rows: usize, x: &[f32], weights: &Branches, finish: Finish<'_>, y: &mut [f32]) {
    let d_in = weights.d_in;
    let shape = Shape::of(cpu.isa);
    let most = (ROW_BYTES / 4 / d_in.max(1)).next_multiple_of(shape.rows).max(shape.rows);
    let blocks = Tiles::of(n_rows, most);
    for block in 0..blocks.count {
        let block = blocks.rows(block);
        let x = &x[block.start * d_in..block.end * d_in];
        let y = &mut y[block.start * weights.d_out..block.end * weights.d_out];
        with_buffer(&ROWS, x.len(), |packed| rows_block(cpu, shape, x, weights, finish, packed, y));
    }
}

fn rows_block(
    cpu: &Cpu,
    shape: Shape,
    x: &[f32],
    weights: &Branches,
    finish: Finish<'_>,
    packed: &mut [f32],
    y: &mut [f32],
) {
    let d_in = weights.d_in;
    let tiles = Tiles::of(y.len() / weights.d_out, shape.rows);
    let mut parts = Vec::with_capacity(tiles.count);
    let mut rest = &mut packed[..];
    for tile in 0..tiles.count {
        let (part, after) = rest.split_at_mut(tiles.rows(tile).len() * d_in);
        parts.push((part, &x[tiles.rows(tile).start * d_in..tiles.rows(tile).end * d_in]));
        rest = after;
    }
    let pack = |(to, rows): (&mut [f32], &[f32])| cpu.isa.dispatch(PackRows { d_in, rows, to });
    let parallel = cpu.threads > 1;
    if parallel {
        parts.into_par_iter().with_min_len(4).for_each(pack);
    } else {
        parts.into_iter().for_each(pack);
    }

    let panel = shape.vectors * shape.lanes * d_in;
    let own = shape.vectors / weights.tensors.len() * shape.lanes;
    let n_panels = weights.d_out.div_ceil(own);
    // At least four tasks per thread where there are panels enough, so that no thread waits long for the last.
    let group = (PANEL_BYTES / 4 / panel.max(1)).min(n_panels.div_ceil(4 * cpu.threads)).max(1);
    let groups = n_panels.div_ceil(group);
    let row_parts = if parallel { (2 * cpu.threads).div_ceil(groups).min(tiles.count) } else { 1 };
    let output = Output::new(y, weights.d_out);
    let packed = &*packed;
    let task = |task: usize| {
        let panels = task / row_parts * group..(task / row_parts * group + group).min(n_panels);
        let part = task % row_parts;
        let tiles_here = part * tiles.count / row_parts..(part + 1) * tiles.count / row_parts;
        with_buffer(&PANELS, panels.len() * panel, |buffer| {
            cpu.isa.dispatch(Task { weights, tiles, tiles_here, packed, panels, buffer, finish, output });
        });
    };
    if parallel {
        (0..groups * row_parts).into_par_iter().with_max_len(1).for_each(task);
    } else {
        (0..groups * row_parts).for_each(task);
    }
}

/// Turns the rows of one tile, `[rows, d_in]`, into `[d_in, rows]`.
struct PackRows<'a> {
    d_in: usize,
    rows: &'a [f32],
    to: &'a mut [f32],
}

impl WithSimd for PackRows<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let n = self.rows.len() / self.d_in.max(1);
        for (i, row) in self.rows.chunks_exact(self.d_in.max(1)).enumerate() {
            for (x, to) in row.iter().zip(self.to.chunks_exact_mut(n)) {
                to[i] = *x;
            }
        }
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
        match vectors(S::F32_LANES) {
            2 if S::F32_LANES >= 8 => self.run::<S, 2>(simd),
            4 if S::F32_LANES == 4 => self.run::<S, 4>(simd),
            _ => self.run::<S, 8>(simd),
        }
    }
}

impl Task<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S) {
        let Self { weights, tiles, tiles_here, packed, panels, buffer, finish, output } = self;
        let panel_len = weights.d_in * N * S::F32_LANES;
        for (i, panel) in panels.clone().enumerate() {
            weights.pack(simd, panel, N, &mut buffer[i * panel_len..(i + 1) * panel_len]);
        }
        let mut z = [[simd.splat_f32s(0.0); N]; MOST_ROWS];
        for tile in tiles_here {
            let rows = tiles.rows(tile);
            let a = &packed[rows.start * weights.d_in..rows.end * weights.d_in];
            for (i, panel) in panels.clone().enumerate() {
                let b = &buffer[i * panel_len..(i + 1) * panel_len];
                let z = &mut z[..rows.len()];
                sums::<S, N>(simd, rows.len(), a, b, z);
                finish.tile(simd, z, weights, panel, rows.start, output);
            }
        }
    }
}
