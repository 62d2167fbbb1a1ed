//! Every target against every library entry, the best few of each target kept: a device finds on folded operands what can
//! be among them, exact scores in f64 decide.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use rustc_hash::FxHashSet;

use super::candidates::{Candidates, Hit};
use super::folded_library::FoldedLibrary;
use super::folded_model::FoldedModel;
use super::library::Library;
use super::progress_file::{ProgressFile, Stand};
use super::rescore::settle;
use super::stream::{Scored, Stream, block_rows};
use super::targets::TargetTile;
use crate::data::Side;
use crate::embed::store::Dtype;
use crate::error::Result;
use crate::ops::pair_score::PairScore;
use crate::progress::{Progress, check_interrupt};
use crate::train::Model;

/// Bytes that the candidates of a tile of targets may take.
const CANDIDATE_BYTES: usize = 512 << 20;
/// Bytes that the folded targets of a tile may take.
const TARGET_BYTES: usize = 128 << 20;
/// Most targets of a tile.
const MOST_TARGETS: usize = 4096;
/// How often a screen writes down where it stands.
const WRITE_EVERY: Duration = Duration::from_secs(20);

/// A search of a library.
pub struct Screening<'a> {
    /// The model; its encoders have been checked.
    pub model: &'a Model,
    /// What is searched for.
    pub targets: &'a Library,
    /// What is searched.
    pub library: &'a Library,
    /// The rows of it that are searched: those of a shard, or all.
    pub rows: Range<usize>,
    /// The side of the targets; the library is the other one.
    pub targets_side: Side,
    /// Label that ranks.
    pub label: usize,
    /// Hits per target, at least 1.
    pub top_k: usize,
    /// Lower scores are left out.
    pub min_score: Option<f64>,
    /// Pairs of records of target and library entry that are left out.
    pub excluded: &'a FxHashSet<(u32, u32)>,
    /// Where the folded library is kept, and in which type.
    pub folded: Option<(&'a Path, Dtype)>,
}

impl Screening<'_> {
    /// Finds the hits of each target, best first, equal scores in the order of the ids, and hands them over target by
    /// target in the order of the targets. Returns how many pairs were scored exactly: those that bounds could not rule out.
    ///
    /// The result is that of scoring every pair in f64: it depends neither on the device nor on the number of threads.
    /// With `stand` the search goes on where an earlier one of the same kind was stopped. Memory: the candidates of one
    /// tile of targets, a few blocks of the library.
    ///
    /// # Errors
    /// What the ops report; [`Error::Data`](crate::error::Error::Data) when a vector or a score is no number;
    /// [`Error::Interrupted`](crate::error::Error::Interrupted).
    pub fn run<B: PairScore + Sync>(
        &self,
        backend: &B,
        mut stand: Option<&mut ProgressFile>,
        progress: &dyn Progress,
        mut take: impl FnMut(u32, &[Hit]) -> Result<()>,
    ) -> Result<usize> {
        let entries = if self.targets_side == Side::Rna { Side::Partner } else { Side::Rna };
        let in_half = self.folded.map(|(_, dtype)| dtype == Dtype::F16);
        let model = FoldedModel::new(backend, self.model, self.label, entries, in_half)?;
        let keep = |(folder, dtype): (&Path, Dtype)| {
            FoldedLibrary::open(folder, dtype, &model, self.library, &self.rows, progress)
        };
        let folded = self.folded.map(keep).transpose()?;
        let records: Vec<u32> = self.targets.records().collect();
        let across = self.targets_together(&model);
        progress.begin("screening", "pairs", Some(records.len() as u64 * self.rows.len() as u64));
        let mut rescored = 0;
        for (number, records) in records.chunks(across).enumerate() {
            let tile = TargetTile::new(backend, &model, self.targets, records)?;
            let stream = Stream { backend, model: &model, library: self.library, folded: folded.as_ref(), tile: &tile };
            let best = self.best_of_tile(&stream, number, stand.as_deref_mut(), progress, &mut rescored)?;
            for (&record, candidates) in records.iter().zip(&best) {
                take(record, &candidates.settled)?;
                self.library.release();
            }
        }
        progress.finish();
        Ok(rescored)
    }

    /// The settled candidates of each target of a tile.
    fn best_of_tile<B: PairScore + Sync>(
        &self,
        stream: &Stream<'_, B>,
        number: usize,
        mut stand: Option<&mut ProgressFile>,
        progress: &dyn Progress,
        rescored: &mut usize,
    ) -> Result<Vec<Candidates>> {
        let (model, tile, rows) = (stream.model, stream.tile, &self.rows);
        let earlier = stand.as_deref_mut().map(|file| file.read(number)).transpose()?.flatten();
        let Stand { mut next_row, mut candidates } = earlier.unwrap_or_else(|| Stand {
            next_row: rows.start,
            candidates: {
                let floor = self.min_score.map_or(f64::NEG_INFINITY, |least| model.floor_of_score(least));
                vec![Candidates::new(self.top_k, floor); tile.len()]
            },
        });
        progress.advance((next_row - rows.start) as u64 * tile.len() as u64);
        let is_excluded = |target: u32, entry: u32| self.excluded.contains(&(target, entry));
        let counts = |target: usize, row: usize| {
            self.library.records_of(row).any(|entry| !is_excluded(tile.records[target], entry))
        };
        let settle = |candidates: &mut [Candidates], chosen: &[usize]| {
            settle(model, self.library, tile, candidates, chosen, self.min_score, &is_excluded)
        };
        let mut written = Instant::now();
        while next_row < rows.end {
            let wave = self.wave(stream, next_row);
            let floors: Vec<f64> = candidates.iter().map(|candidates| candidates.floor).collect();
            let score = |rows: &Range<usize>| {
                check_interrupt()?;
                let mut scored = Vec::new();
                stream.score(rows.clone(), &floors, &mut scored)?;
                progress.advance((rows.len() * tile.len()) as u64);
                Ok(scored)
            };
            let scored: Result<Vec<Vec<Scored>>> = wave.par_iter().with_max_len(1).map(score).collect();
            let scored = match scored {
                Ok(scored) => scored,
                Err(error) => {
                    // Whatever stopped it, the waves before are done.
                    if let Some(file) = stand {
                        file.write(number, next_row, &candidates)?;
                    }
                    return Err(error);
                }
            };
            scored.iter().flatten().for_each(|scored| scored.offer(&mut candidates, counts));
            next_row = wave.last().map_or(rows.end, |rows| rows.end);
            let prune = |(target, candidates): (usize, &mut Candidates)| {
                let crowded = (candidates.is_full() || next_row - rows.start < 1 << 16) && candidates.prune();
                crowded.then_some(target)
            };
            let crowded: Vec<usize> = candidates.par_iter_mut().enumerate().filter_map(prune).collect();
            *rescored += settle(&mut candidates, &crowded)?;
            if let Some(file) = stand.as_deref_mut().filter(|_| written.elapsed() > WRITE_EVERY) {
                file.write(number, next_row, &candidates)?;
                written = Instant::now();
            }
        }
        candidates.par_iter_mut().for_each(|candidates| {
            candidates.prune();
        });
        *rescored += settle(&mut candidates, &(0..tile.len()).collect::<Vec<_>>())?;
        if let Some(file) = stand {
            file.write(number, rows.end, &candidates)?;
        }
        Ok(candidates)
    }

    /// The next blocks, which are scored side by side.
    fn wave<B: PairScore>(&self, stream: &Stream<'_, B>, next_row: usize) -> Vec<Range<usize>> {
        let (end, n_targets, seen) = (self.rows.end, stream.tile.len(), next_row - self.rows.start);
        let row_bytes = stream.model.n_tables() * stream.model.row() * size_of::<f32>();
        let most = (stream.backend.block_bytes() / row_bytes).clamp(64, 1 << 20);
        let rows = block_rows(seen, n_targets, self.top_k, most);
        // Floors rise after a wave: the first waves are short.
        let blocks = (2 * seen / rows).clamp(1, 4 * stream.backend.calls_together());
        let starts = (0..blocks).map(|i| next_row + i * rows).take_while(|&start| start < end);
        starts.map(|start| start..(start + rows).min(end)).collect()
    }

    /// Targets that pass the library together.
    fn targets_together<B: PairScore>(&self, model: &FoldedModel<'_, B>) -> usize {
        let per_target = 2 * self.top_k.min(self.rows.len()) + 4096;
        let by_candidates = CANDIDATE_BYTES / (per_target * size_of::<Hit>());
        // In f32 and in f64.
        let bytes = model.n_tables() * model.network.width * 12;
        by_candidates.min(TARGET_BYTES / bytes.max(1)).clamp(1, MOST_TARGETS)
    }
}
