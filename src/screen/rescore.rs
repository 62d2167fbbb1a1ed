//! Exact scores of candidates, in f64 on the CPU: what ranks are decided by, whatever device found them.

use rayon::prelude::*;

use super::candidates::{Candidates, Hit};
use super::folded_model::FoldedModel;
use super::library::Library;
use super::targets::TargetTile;
use crate::error::{Error, Result};
use crate::ops::pair_score::PairScore;

/// Rows that are folded together: their vectors stay in the second-level cache.
const ROWS: usize = 128;

/// Settles the pending candidates of the `chosen` targets of a tile, each row of the library folded once; returns how many
/// there were.
///
/// # Errors
/// [`Error::Data`] when a score is no number; [`Error::Interrupted`].
pub(super) fn settle<B: PairScore + Sync>(
    model: &FoldedModel<'_, B>,
    library: &Library,
    tile: &TargetTile<B>,
    candidates: &mut [Candidates],
    chosen: &[usize],
    least: Option<f64>,
    is_excluded: &(impl Fn(u32, u32) -> bool + Sync),
) -> Result<usize> {
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    for &target in chosen {
        pairs.extend(candidates[target].pending.drain(..).map(|candidate| (candidate.row, target as u32)));
    }
    pairs.par_sort_unstable();
    let groups: Vec<&[(u32, u32)]> = pairs.chunk_by(|a, b| a.0 == b.0).collect();
    let scored = groups.par_chunks(ROWS).map(|groups| {
        let vectors = library.vectors(groups.iter().map(|group| group[0].0 as usize))?;
        let entries = model.features(0, &vectors)?;
        let rows = groups.iter().enumerate().flat_map(|(i, group)| group.iter().map(move |&(_, target)| (target, i)));
        let mut rows: Vec<(u32, usize)> = rows.collect();
        rows.sort_unstable();
        let mut hits = Vec::new();
        for of_target in rows.chunk_by(|a, b| a.0 == b.0) {
            let (target, chosen) = (of_target[0].0, of_target.iter().map(|&(_, i)| i).collect::<Vec<_>>());
            for (i, hit) in chosen.iter().zip(model.exact(&entries, &chosen, &tile.features, target as usize)?) {
                let record = tile.records[target as usize];
                if hit.score.is_nan() {
                    let entry = library.records_of(groups[*i][0].0 as usize).next().map_or("", |r| library.id(r));
                    return Err(no_number(&tile.ids[target as usize], entry));
                }
                if least.is_some_and(|least| hit.score < least) {
                    continue;
                }
                let of_row = library.records_of(groups[*i][0].0 as usize);
                let of_row = of_row.filter(|&entry| !is_excluded(record, entry));
                hits.extend(of_row.map(|entry| (target, Hit { record: entry, ..hit })));
            }
        }
        Ok(hits)
    });
    let scored: Vec<Vec<(u32, Hit)>> = scored.collect::<Result<_>>()?;
    let mut by_target: Vec<(u32, Hit)> = scored.concat();
    by_target.par_sort_by_key(|(target, _)| *target);
    for hits in by_target.chunk_by(|a, b| a.0 == b.0) {
        let candidates = &mut candidates[hits[0].0 as usize];
        candidates.settle(hits.iter().map(|(_, hit)| *hit), |record| library.id(record));
    }
    Ok(pairs.len())
}

fn no_number(target: &str, entry: &str) -> Error {
    Error::data(
        format!("the score of '{target}' with '{entry}' is no number"),
        "check the vectors of both, and the model, with 'biollmnet verify'",
    )
}
