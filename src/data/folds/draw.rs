//! Random assignments: rows dealt to folds, and the inner part of a training fold.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::data::{Dataset, Task};
use crate::error::{Error, Result};

/// What a generator is for: each purpose draws from a stream of its own, so none moves another.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Rows,
    RnaGroups,
    PartnerGroups,
    Inner { fold: usize },
}

pub(super) fn generator(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(match purpose {
        Purpose::Rows => 0,
        Purpose::RnaGroups => 1,
        Purpose::PartnerGroups => 2,
        Purpose::Inner { fold } => 3 + fold as u64,
    });
    rng
}

/// Rows that are drawn separately: one list per class in classification, one list otherwise.
fn strata(data: &Dataset, rows: impl Iterator<Item = u32>) -> Vec<Vec<u32>> {
    if data.task != Task::Binary {
        return vec![rows.collect()];
    }
    let (positive, negative) = rows.partition(|&row| data.label(row as usize) >= 0.5);
    vec![positive, negative]
}

/// Fold of each row: strata shuffled and dealt in turn, each going on where the one before ended.
pub(super) fn dealt(data: &Dataset, folds: usize, seed: u64) -> Result<Vec<u32>> {
    if folds > data.len() {
        return Err(Error::usage(
            format!("{folds} folds are more than the {} pairs", data.len()),
            "use fewer --folds or more pairs",
        ));
    }
    let mut rng = generator(seed, Purpose::Rows);
    let mut fold_of = vec![0; data.len()];
    let mut next = 0;
    for mut stratum in strata(data, 0..data.len() as u32) {
        stratum.shuffle(&mut rng);
        for row in stratum {
            fold_of[row as usize] = next;
            next = (next + 1) % folds as u32;
        }
    }
    Ok(fold_of)
}

/// A random `share` of `rows`, of each class in classification (at least one row, at most all but one), ascending.
pub(super) fn inner(data: &Dataset, rows: &[u32], share: f64, seed: u64, fold: usize) -> Vec<u32> {
    if share == 0.0 {
        return Vec::new();
    }
    let mut rng = generator(seed, Purpose::Inner { fold });
    let mut taken = Vec::new();
    for mut stratum in strata(data, rows.iter().copied()) {
        stratum.shuffle(&mut rng);
        let wanted = (share * stratum.len() as f64).round() as usize;
        taken.extend(stratum.iter().take(wanted.max(1).min(stratum.len().saturating_sub(1))));
    }
    taken.sort_unstable();
    taken
}
