//! How a product is cut into tiles of rows, panels of columns and tasks, and where tasks keep what they pack.

use std::cell::RefCell;
use std::ops::Range;
use std::thread::LocalKey;

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use crate::backend::Cpu;

/// Bytes of packed rows that are multiplied with every panel before the next block of rows: a part of the last cache.
const ROW_BYTES: usize = 8 << 20;
/// Bytes of panels that one task holds: half of a second-level cache.
const PANEL_BYTES: usize = 512 << 10;

/// A cache line of numbers.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub(super) struct Line(pub [f32; 16]);

/// Rows `0..n_rows` in `count` tiles of almost equal size.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct Tiles {
    n_rows: usize,
    /// Number of tiles.
    pub count: usize,
}

impl Tiles {
    /// As few tiles as hold `n_rows` rows, at most `most` each.
    pub(in crate::ops) fn of(n_rows: usize, most: usize) -> Self {
        Self { n_rows, count: n_rows.div_ceil(most) }
    }
    /// Rows of a tile.
    pub(in crate::ops) fn rows(self, tile: usize) -> Range<usize> {
        let start = |tile: usize| tile * self.n_rows / self.count;
        start(tile)..start(tile + 1)
    }
}

thread_local! {
    static ROWS: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
    static PANELS: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Gives `work` a buffer of `len` numbers with any content; the thread keeps it for its next call.
fn with_buffer<R>(kept: &'static LocalKey<RefCell<Vec<Line>>>, len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut lines = kept.take();
    if lines.len() * 16 < len {
        lines.resize(len.div_ceil(16), Line::zeroed());
    }
    let result = work(&mut bytemuck::cast_slice_mut(&mut lines)[..len]);
    kept.set(lines);
    result
}

/// Gives `work` a buffer for the panels of a task, whole cache lines with any content.
pub(in crate::ops) fn with_panels<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    with_buffer(&PANELS, len, work)
}

/// Blocks of rows of `x [n_rows, d_in]`, packed by `pack` tile after tile (`most` rows at most) into `row_len` numbers
/// per row, for `work(first row of the block, tiles, packed)`.
pub(super) fn for_each_block(
    cpu: &Cpu,
    n_rows: usize,
    x: &[f32],
    most: usize,
    row_len: usize,
    pack: impl Fn(&[f32], &mut [f32]) + Sync,
    mut work: impl FnMut(Range<usize>, Tiles, &[f32]),
) {
    let d_in = x.len() / n_rows.max(1);
    let most_rows = (ROW_BYTES / 4 / row_len.max(1)).next_multiple_of(most);
    let blocks = Tiles::of(n_rows, most_rows);
    for block in 0..blocks.count {
        let block = blocks.rows(block);
        let tiles = Tiles::of(block.len(), most);
        with_buffer(&ROWS, block.len() * row_len, |packed| {
            let mut parts = Vec::with_capacity(tiles.count);
            let mut rest = &mut *packed;
            for tile in 0..tiles.count {
                let rows = tiles.rows(tile);
                let (part, after) = rest.split_at_mut(rows.len() * row_len);
                parts.push((&x[(block.start + rows.start) * d_in..(block.start + rows.end) * d_in], part));
                rest = after;
            }
            if cpu.threads > 1 {
                parts.into_par_iter().with_min_len(4).for_each(|(rows, part)| pack(rows, part));
            } else {
                for (rows, part) in parts {
                    pack(rows, part);
                }
            }
            work(block, tiles, packed);
        });
    }
}

/// Calls `task(panels, tiles)` for all of `n_panels` panels of `panel_bytes` each and all tiles, in parallel.
pub(super) fn for_each_task(
    cpu: &Cpu,
    n_panels: usize,
    panel_bytes: usize,
    tiles: Tiles,
    task: impl Fn(Range<usize>, Range<usize>) + Sync,
) {
    // At least four tasks per thread where there are panels enough, so that no thread waits long for the last; parts of
    // the rows where there are not.
    let group = (PANEL_BYTES / panel_bytes.max(1)).min(n_panels.div_ceil(4 * cpu.threads)).max(1);
    let groups = Tiles::of(n_panels, group);
    let row_parts = if cpu.threads > 1 { (2 * cpu.threads).div_ceil(groups.count.max(1)).min(tiles.count) } else { 1 };
    let parts = Tiles { n_rows: tiles.count, count: row_parts };
    let task = |at: usize| task(groups.rows(at / row_parts), parts.rows(at % row_parts));
    if cpu.threads > 1 {
        (0..groups.count * row_parts).into_par_iter().with_max_len(1).for_each(task);
    } else {
        (0..groups.count * row_parts).for_each(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_all_rows_and_differ_by_one_at_most() {
        for n in 0..100 {
            for most in 1..20 {
                let tiles = Tiles::of(n, most);
                let ranges: Vec<_> = (0..tiles.count).map(|tile| tiles.rows(tile)).collect();
                assert_eq!(ranges.iter().cloned().flatten().collect::<Vec<_>>(), (0..n).collect::<Vec<_>>());
                let sizes = || ranges.iter().map(ExactSizeIterator::len);
                assert!(
                    n == 0 || sizes().max().unwrap() <= most && sizes().max().unwrap() - sizes().min().unwrap() <= 1
                );
            }
        }
    }

    #[test]
    fn every_panel_meets_every_tile_once() {
        for threads in [1, 2, 8] {
            for (n_panels, n_tiles) in [(1, 1), (1, 40), (7, 3), (100, 20)] {
                let met = std::sync::Mutex::new(vec![0; n_panels * n_tiles]);
                let tiles = Tiles { n_rows: n_tiles, count: n_tiles };
                for_each_task(&Cpu::with_threads(threads), n_panels, 1 << 17, tiles, |panels, tiles| {
                    for panel in panels {
                        for tile in tiles.clone() {
                            met.lock().unwrap()[panel * n_tiles + tile] += 1;
                        }
                    }
                });
                assert!(met.into_inner().unwrap().iter().all(|&n| n == 1));
            }
        }
    }
}
