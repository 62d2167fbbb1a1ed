//! Every target against every library entry, the best few of each target kept.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::collection::{Distinct, subset};
use super::top_k::{Hit, TopK};
use crate::data::{Dataset, Entities, Pair, Side, Task};
use crate::error::{Error, Result};
use crate::ops::gated_fusion::GatedFusion;
use crate::progress::{Progress, check_interrupt};
use crate::train::{Model, Scoring};

/// Pairs that one task scores, or more where the device asks for more.
const TILE: usize = 4096;
/// Most targets of a tile: the library is then read few times, and a single target still gives work to all threads.
const TILE_TARGETS: usize = 16;

/// A search of a library.
pub struct Screening<'a> {
    /// The model; its encoders have been checked.
    pub model: &'a Model,
    /// What is searched for.
    pub targets: &'a Entities,
    /// What is searched.
    pub library: &'a Entities,
    /// The side of the targets; the library is the other one.
    pub targets_side: Side,
    /// Label that ranks.
    pub label: usize,
    /// Hits per target.
    pub top_k: usize,
    /// Lower scores are left out.
    pub min_score: Option<f64>,
    /// Pairs of target and library entry that are left out.
    pub excluded: &'a FxHashSet<(u32, u32)>,
}

impl Screening<'_> {
    /// The hits of each target, best first; equal scores in the order of the ids.
    ///
    /// Each pair of distinct vectors is scored once, on `backend`, tiles of them side by side. The result does not depend
    /// on the number of threads. Memory: the hits, 4 bytes per library entry, and one tile per thread.
    ///
    /// # Errors
    /// What the ops report; [`Error::Data`] when a score is no number; [`Error::Interrupted`].
    pub fn run<B: GatedFusion + Sync>(&self, backend: &B, progress: &dyn Progress) -> Result<Vec<Vec<Hit>>> {
        let scoring = Scoring::new(self.model, backend)?;
        let (targets, library) = (Distinct::of(self.targets), Distinct::of(self.library));
        let mut entry_at: Vec<u32> = (0..self.library.len() as u32).collect();
        entry_at.par_sort_unstable_by_key(|&entry| self.library.ids[entry as usize].as_str());
        let mut place_of = vec![0; entry_at.len()];
        entry_at.iter().enumerate().for_each(|(place, &entry)| place_of[entry as usize] = place as u32);
        let best: Vec<Mutex<TopK>> = (0..self.targets.len()).map(|_| Mutex::new(TopK::new(self.top_k))).collect();

        let across = targets.len().clamp(1, TILE_TARGETS);
        let down = TILE.max(scoring.pairs_together()) / across;
        let (n_across, n_down) = (targets.len().div_ceil(across), library.len().div_ceil(down));
        progress.begin("screening", "pairs", Some(targets.len() as u64 * library.len() as u64));
        (0..n_across * n_down).into_par_iter().with_max_len(1).try_for_each(|tile| {
            check_interrupt()?;
            let (from_target, from_entry) = (tile % n_across * across, tile / n_across * down);
            let tile_targets = from_target..(from_target + across).min(targets.len());
            let tile_entries = from_entry..(from_entry + down).min(library.len());
            let first = |distinct: &Distinct, i: usize| distinct.members(i)[0];
            let scores = self.scores(
                &scoring,
                &tile_targets.clone().map(|i| first(&targets, i)).collect::<Vec<_>>(),
                &tile_entries.clone().map(|i| first(&library, i)).collect::<Vec<_>>(),
            )?;
            for (row, target) in scores.chunks_exact(tile_entries.len()).zip(tile_targets) {
                for &target in targets.members(target) {
                    let mut best = best[target as usize].lock().unwrap_or_else(PoisonError::into_inner);
                    for (&score, entry) in row.iter().zip(tile_entries.clone()) {
                        if self.min_score.is_some_and(|least| score < least) {
                            continue;
                        }
                        for &entry in library.members(entry) {
                            if !self.excluded.contains(&(target, entry)) {
                                best.offer(score, place_of[entry as usize]);
                            }
                        }
                    }
                }
            }
            progress.advance(scores.len() as u64);
            Ok(())
        })?;
        progress.finish();
        let hits = |best: Mutex<TopK>| best.into_inner().unwrap_or_else(PoisonError::into_inner).into_hits(&entry_at);
        Ok(best.into_iter().map(hits).collect())
    }

    /// Scores of the label that ranks, `[targets, entries]`.
    fn scores<B: GatedFusion>(&self, scoring: &Scoring<'_, B>, targets: &[u32], entries: &[u32]) -> Result<Vec<f64>> {
        let n = entries.len() as u32;
        let pairs = (0..targets.len() as u32 * n).map(|i| pair(self.targets_side, i / n, i % n, i)).collect();
        let data = dataset(self, targets, entries, pairs);
        let rows: Vec<u32> = (0..data.len() as u32).collect();
        let scores = scoring.scores(&data, &rows)?;
        let scores: Vec<f64> =
            scores.into_iter().skip(self.label).step_by(self.model.config.label_names.len()).collect();
        if let Some(bad) = scores.iter().position(|score| score.is_nan()) {
            let Pair { rna, partner, .. } = data.pairs[bad];
            return Err(Error::data(
                format!(
                    "the score of '{}' with '{}' is no number",
                    data.rna.ids[rna as usize], data.partner.ids[partner as usize]
                ),
                "check the vectors of both, and the model, with 'biollmnet verify'",
            ));
        }
        Ok(scores)
    }
}

fn pair(targets_side: Side, target: u32, entry: u32, row0: u32) -> Pair {
    match targets_side {
        Side::Rna => Pair { rna: target, partner: entry, row0 },
        Side::Partner => Pair { rna: entry, partner: target, row0 },
    }
}

/// Pairs among the chosen targets and entries, without labels.
fn dataset(screening: &Screening<'_>, targets: &[u32], entries: &[u32], pairs: Vec<Pair>) -> Dataset {
    let (targets, entries) = (subset(screening.targets, targets), subset(screening.library, entries));
    let (rna, partner) = match screening.targets_side {
        Side::Rna => (targets, entries),
        Side::Partner => (entries, targets),
    };
    Dataset { rna, partner, pairs, labels: Vec::new(), label_names: Vec::new(), task: Task::Binary }
}

/// The pairs of all hits in order, `row0` being the index of the target, and only the entities that they need.
#[must_use]
pub fn hit_pairs(screening: &Screening<'_>, hits: &[Vec<Hit>]) -> Dataset {
    let mut entries = Vec::new();
    let mut known = FxHashMap::default();
    let mut pairs = Vec::with_capacity(hits.iter().map(Vec::len).sum());
    for (target, hits) in hits.iter().enumerate() {
        for hit in hits {
            let entry = *known.entry(hit.entry).or_insert_with(|| {
                entries.push(hit.entry);
                entries.len() as u32 - 1
            });
            pairs.push(pair(screening.targets_side, target as u32, entry, target as u32));
        }
    }
    let targets: Vec<u32> = (0..screening.targets.len() as u32).collect();
    dataset(screening, &targets, &entries, pairs)
}
