//! Disjoint splits: whole groups of sequences are dealt, so that no group is on both sides.

use rand::seq::SliceRandom;

use super::Clusters;
use super::draw::{Purpose, generator};
use crate::data::{Dataset, Side};
use crate::error::{Error, Result};

/// Fold of each row: groups shuffled, sorted by number of pairs (descending, stable), each to the lightest fold.
pub(super) fn grouped(
    data: &Dataset,
    side: Side,
    folds: usize,
    seed: u64,
    clusters: Option<&Clusters>,
) -> Result<Vec<u32>> {
    let (purpose, what) = match side {
        Side::Rna => (Purpose::RnaGroups, "RNA"),
        Side::Partner => (Purpose::PartnerGroups, "partner"),
    };
    let group = match (clusters, side) {
        (None, _) => &data.entities(side).group,
        (Some(clusters), Side::Rna) => &clusters.rna,
        (Some(clusters), Side::Partner) => &clusters.partner,
    };
    let group_of: Vec<u32> = data.pairs.iter().map(|pair| group[pair.entity(side)]).collect();
    let mut pairs_of = vec![0usize; group.iter().max().map_or(0, |&g| g as usize + 1)];
    for &group in &group_of {
        pairs_of[group as usize] += 1;
    }
    let mut order: Vec<usize> = (0..pairs_of.len()).filter(|&group| pairs_of[group] > 0).collect();
    if folds > order.len() {
        return Err(Error::usage(
            format!("{folds} folds are more than the {} {what} groups", order.len()),
            "use fewer --folds, or --split random",
        ));
    }
    order.shuffle(&mut generator(seed, purpose));
    order.sort_by_key(|&group| std::cmp::Reverse(pairs_of[group]));
    let mut load = vec![0usize; folds];
    let mut fold_of_group = vec![0u32; pairs_of.len()];
    for group in order {
        let lightest = (0..folds).min_by_key(|&fold| load[fold]).unwrap_or(0);
        load[lightest] += pairs_of[group];
        fold_of_group[group] = lightest as u32;
    }
    Ok(group_of.iter().map(|&group| fold_of_group[group as usize]).collect())
}
