//! Blocks of the library past a tile of targets.

use std::ops::Range;

use half::f16;

use super::candidates::{Candidates, Pending};
use super::folded_library::FoldedLibrary;
use super::folded_model::{FoldedModel, Tables};
use super::library::Library;
use super::targets::TargetTile;
use crate::backend::{Activation, Matrix};
use crate::error::Result;
use crate::ops::pair_score::{Found, PairOperands, PairScore, Survivor, pair_score};

/// Survivors that one call may report. Before anything is known of a target, all of a block survive.
pub(super) const CAPACITY: usize = 1 << 20;

/// What a call found: survivors, and how far each target's values can be off.
pub(super) struct Scored {
    first_row: usize,
    survivors: Vec<Survivor>,
    slack: Vec<f64>,
}

/// What a block is scored with.
pub(super) struct Stream<'a, B: PairScore> {
    pub backend: &'a B,
    pub model: &'a FoldedModel<'a, B>,
    pub library: &'a Library,
    /// The library folded by an earlier run.
    pub folded: Option<&'a FoldedLibrary>,
    pub tile: &'a TargetTile<B>,
}

impl<B: PairScore> Stream<'_, B> {
    /// The rows of a block that may reach the floors of the targets; in parts where there are too many of them.
    ///
    /// # Errors
    /// What the device reports; a vector that is not finite.
    pub fn score(&self, rows: Range<usize>, floors: &[f64], out: &mut Vec<Scored>) -> Result<()> {
        if self.model.in_half {
            self.score_in::<f16>(rows, floors, out)
        } else {
            self.score_in::<f32>(rows, floors, out)
        }
    }

    fn score_in<A: Activation>(&self, rows: Range<usize>, floors: &[f64], out: &mut Vec<Scored>) -> Result<()> {
        let entries = if let Some(folded) = self.folded {
            folded.tables::<A>(&rows, self.model.row())
        } else {
            let vectors = self.library.vectors(rows.clone())?;
            self.model.tables(rows.len(), &self.model.features(0, &vectors)?)
        };
        self.survivors(rows, &entries, floors, out)
    }

    fn survivors<A: Activation>(
        &self,
        rows: Range<usize>,
        entries: &Tables<A>,
        floors: &[f64],
        out: &mut Vec<Scored>,
    ) -> Result<()> {
        let (backend, model, tile) = (self.backend, self.model, self.tile);
        let (n, n_targets) = (rows.len(), tile.len());
        let slack: Vec<f64> = tile.reaches.iter().map(|target| model.slack(&entries.reach, target)).collect();
        let least = |(floor, slack): (&f64, &f64)| {
            let least = floor - slack;
            // Nothing is known of an infinite slack: all survive.
            if least.is_nan() { f32::NEG_INFINITY } else { (least as f32).next_down() }
        };
        let least = backend.uploaded(&floors.iter().zip(&slack).map(least).collect::<Vec<f32>>())?;
        let uploaded = backend.uploaded(&entries.rows)?;
        let mut found = Found::new(backend, CAPACITY)?;
        let operands = PairOperands {
            entries: Matrix::<B, A>::of(backend, &uploaded, model.n_tables() * n, model.row()),
            targets: Matrix::of(backend, &tile.rows, model.n_tables() * n_targets, model.row()),
            offsets: Matrix::of(backend, &tile.offsets, model.network.members.len(), n_targets),
            least: Matrix::of(backend, &least, 1, n_targets),
        };
        pair_score(backend, &model.network, &model.loaded, &operands, [n, n_targets], &mut found)?;
        if let Some(survivors) = found.read(backend)? {
            out.push(Scored { first_row: rows.start, survivors, slack });
            return Ok(());
        }
        let middle = rows.start + n / 2;
        self.score(rows.start..middle, floors, out)?;
        self.score(middle..rows.end, floors, out)
    }
}

impl Scored {
    /// Offers the survivors to their targets; those without a record that counts are left out.
    pub fn offer(&self, candidates: &mut [Candidates], counts: impl Fn(usize, usize) -> bool) {
        for survivor in &self.survivors {
            let (row, target) = (self.first_row + survivor.entry as usize, survivor.target as usize);
            if !counts(target, row) {
                continue;
            }
            let (value, slack) = (f64::from(survivor.value), self.slack[target]);
            // An interval of which nothing is known becomes NaN, which is kept.
            let low = ((value - slack) as f32).next_down();
            let high = ((value + slack) as f32).next_up();
            let known = low.is_finite() && high.is_finite();
            let [low, high] = if known { [low, high] } else { [f32::NAN; 2] };
            candidates[target].offer(Pending { row: row as u32, low, high });
        }
    }
}

/// Rows of the next block, when `seen` are behind: few while all of them survive, then as many as let the expected
/// survivors fit, and no more than the device takes at once.
pub(super) fn block_rows(seen: usize, n_targets: usize, k: usize, most: usize) -> usize {
    let first = CAPACITY / n_targets;
    // Of rows in any order, a share of k/seen beats the k best of those seen; three times as many by their bounds.
    let later = (CAPACITY as u128 * seen as u128 / (3 * n_targets as u128 * k as u128)).min(most as u128) as usize;
    first.max(later).clamp(1, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_grow_with_what_is_known() {
        assert_eq!(block_rows(0, 1, 100, 4096), 4096);
        assert_eq!(block_rows(0, 1024, 100, 4096), 1024);
        assert_eq!(block_rows(100_000, 1024, 100, 1 << 20), 341_333);
        assert_eq!(block_rows(100_000, 1024, 1_000_000, 1 << 20), 1024);
        assert_eq!(block_rows(0, 1 << 22, 1, 4096), 1);
        assert_eq!(block_rows(usize::MAX, 1, usize::MAX, 4096), 4096);
    }
}
