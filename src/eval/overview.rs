//! The data in numbers, and what in them warns a reader.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};

use super::result::{DataOverview, Histogram};
use crate::data::{Dataset, Pair, Side, Task};

/// Bins of a histogram.
const BINS: usize = 30;

impl DataOverview {
    /// Counts what is in `data`; of a separate test set only the number of pairs.
    ///
    /// What only the reader or the split knows (rejected rows, dropped pairs, similarities) is left empty.
    #[must_use]
    pub fn of(data: &Dataset, test: Option<&Dataset>) -> Self {
        let sequence_pair =
            |pair: &Pair| (data.rna.group[pair.rna as usize], data.partner.group[pair.partner as usize]);
        let by_id = contradictions(data, |pair| (pair.rna, pair.partner));
        let contradictory = by_id
            .iter()
            .map(|&(rna, partner)| format!("{} {}", data.rna.ids[rna as usize], data.partner.ids[partner as usize]));
        Self {
            n_pairs: data.len(),
            n_test_pairs: test.map_or(0, Dataset::len),
            n_positive: if data.task == Task::Binary { positives(data) } else { 0 },
            n_rna: used(data, Side::Rna).len(),
            n_partner: used(data, Side::Partner).len(),
            n_rna_groups: groups(data, Side::Rna),
            n_partner_groups: groups(data, Side::Partner),
            n_sequence_pairs: data.pairs.iter().map(sequence_pair).collect::<FxHashSet<_>>().len(),
            n_rna_one_label: with_one_label(data, Side::Rna),
            n_partner_one_label: with_one_label(data, Side::Partner),
            rejected: BTreeMap::new(),
            test_rejected: BTreeMap::new(),
            n_dropped_by_split: 0,
            contradictory: contradictory.collect(),
            n_contradictory_sequence_pairs: contradictions(data, sequence_pair).len(),
            rna_lengths: lengths(data, Side::Rna),
            partner_lengths: lengths(data, Side::Partner),
            labels: labels(data),
            similarity_rna: None,
            similarity_partner: None,
        }
    }
}

impl Histogram {
    /// Equal bins from the smallest to the largest value; empty without values, one bin where all are equal.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if !(low.is_finite() && high.is_finite()) {
            return Self::default();
        }
        if low == high {
            return Self { edges: vec![low, high], counts: vec![values.len()] };
        }
        let mut counts = vec![0; BINS];
        for value in values {
            let bin = (value - low) / (high - low) * BINS as f64;
            counts[(bin as usize).min(BINS - 1)] += 1;
        }
        let edge = |i: usize| low + (high - low) * i as f64 / BINS as f64;
        Self { edges: (0..=BINS).map(edge).collect(), counts }
    }
}

fn used(data: &Dataset, side: Side) -> BTreeSet<usize> {
    data.pairs.iter().map(|pair| pair.entity(side)).collect()
}

fn groups(data: &Dataset, side: Side) -> usize {
    let group = &data.entities(side).group;
    data.pairs.iter().map(|pair| group[pair.entity(side)]).collect::<FxHashSet<_>>().len()
}

fn is_positive(data: &Dataset, i: usize) -> bool {
    data.label(i) >= 0.5
}

fn positives(data: &Dataset) -> usize {
    (0..data.len()).filter(|&i| is_positive(data, i)).count()
}

/// Which labels each key occurs with: `[negative, positive]`.
fn label_sets<K: Eq + std::hash::Hash>(data: &Dataset, key: impl Fn(&Pair) -> K) -> FxHashMap<K, [bool; 2]> {
    let mut sets: FxHashMap<K, [bool; 2]> = FxHashMap::default();
    if data.task == Task::Binary {
        for (i, pair) in data.pairs.iter().enumerate() {
            sets.entry(key(pair)).or_default()[usize::from(is_positive(data, i))] = true;
        }
    }
    sets
}

fn with_one_label(data: &Dataset, side: Side) -> usize {
    label_sets(data, |pair| pair.entity(side)).values().filter(|set| **set != [true; 2]).count()
}

/// Keys that carry different labels, sorted.
fn contradictions(data: &Dataset, key: impl Fn(&Pair) -> (u32, u32)) -> BTreeSet<(u32, u32)> {
    if data.task == Task::Binary {
        let sets = label_sets(data, key);
        return sets.into_iter().filter(|(_, set)| *set == [true; 2]).map(|(key, _)| key).collect();
    }
    let n = data.n_labels();
    let mut first: FxHashMap<(u32, u32), &[f32]> = FxHashMap::default();
    let differ = |a: &[f32], b: &[f32]| a.iter().zip(b).any(|(a, b)| a != b && !a.is_nan() && !b.is_nan());
    let of_pair = data.pairs.iter().zip(data.labels.chunks_exact(n.max(1)));
    of_pair
        .map(|(pair, labels)| (key(pair), labels))
        .filter(|&(key, labels)| differ(first.entry(key).or_insert(labels), labels))
        .map(|(key, _)| key)
        .collect()
}

/// Lengths of the entities in use, unknown ones left out.
fn lengths(data: &Dataset, side: Side) -> Histogram {
    let length = &data.entities(side).length;
    let known = used(data, side).into_iter().map(|entity| f64::from(length[entity])).filter(|&length| length > 0.0);
    Histogram::of(&known.collect::<Vec<_>>())
}

/// Counts of 0 and 1, or a histogram of the values.
fn labels(data: &Dataset) -> Histogram {
    let known: Vec<f64> = data.labels.iter().filter(|label| !label.is_nan()).map(|&label| f64::from(label)).collect();
    if data.task == Task::Regression {
        return Histogram::of(&known);
    }
    let positive = known.iter().filter(|&&label| label >= 0.5).count();
    Histogram { edges: vec![-0.5, 0.5, 1.5], counts: vec![known.len() - positive, positive] }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::{EncoderIdentity, Entities, MemoryVectors};

    fn entities(prefix: &str, group: &[u32], length: &[u32]) -> Entities {
        let n = group.len();
        Entities {
            ids: (0..n).map(|i| format!("{prefix}{i}")).collect(),
            rows: (0..n).collect(),
            group: group.to_vec(),
            length: length.to_vec(),
            digest: vec![String::new(); n],
            source: Arc::new(MemoryVectors { dim: 1, values: vec![0.0; n] }),
            encoder: EncoderIdentity { name: "none".into(), digest: String::new(), pooling: "mean".into() },
        }
    }

    fn dataset(task: Task, rows: &[(u32, u32, f32)]) -> Dataset {
        Dataset {
            rna: entities("r", &[0, 0, 1], &[10, 10, 0]),
            partner: entities("p", &[0, 1, 2], &[5, 6, 8]),
            pairs: rows.iter().zip(0..).map(|(&(rna, partner, _), row0)| Pair { rna, partner, row0 }).collect(),
            labels: rows.iter().map(|row| row.2).collect(),
            label_names: vec!["label".into()],
            task,
        }
    }

    #[test]
    fn binary_counts() {
        // r0 and r1 are one sequence, so (r0, p0) and (r1, p0) contradict each other by sequence; (r2, p1) by id.
        let rows = [(0, 0, 1.0), (1, 0, 0.0), (2, 1, 1.0), (2, 1, 0.0), (0, 1, 1.0)];
        let data = dataset(Task::Binary, &rows);
        let overview = DataOverview::of(&data, Some(&data));
        assert_eq!((overview.n_pairs, overview.n_test_pairs, overview.n_positive), (5, 5, 3));
        assert_eq!((overview.n_rna, overview.n_partner), (3, 2));
        assert_eq!((overview.n_rna_groups, overview.n_partner_groups, overview.n_sequence_pairs), (2, 2, 3));
        assert_eq!((overview.n_rna_one_label, overview.n_partner_one_label), (2, 0));
        assert_eq!(overview.contradictory, ["r2 p1"]);
        assert_eq!(overview.n_contradictory_sequence_pairs, 2);
        assert_eq!(overview.labels.counts, [2, 3]);
        assert_eq!(overview.rna_lengths, Histogram { edges: vec![10.0, 10.0], counts: vec![2] });
        assert_eq!(overview.partner_lengths.counts.iter().sum::<usize>(), 2);
    }

    #[test]
    fn regression_counts() {
        let rows = [(0, 0, 4.0), (0, 0, 4.5), (1, 1, 7.0), (1, 1, 7.0)];
        let overview = DataOverview::of(&dataset(Task::Regression, &rows), None);
        assert_eq!((overview.n_positive, overview.n_rna_one_label), (0, 0));
        assert_eq!(overview.contradictory, ["r0 p0"]);
        assert_eq!(overview.labels.edges.len(), BINS + 1);
        assert_eq!((overview.labels.counts[0], overview.labels.counts[5], overview.labels.counts[BINS - 1]), (1, 1, 2));
    }

    #[test]
    fn nothing_gives_empty_histograms() {
        assert_eq!(Histogram::of(&[]), Histogram::default());
        assert_eq!(DataOverview::of(&dataset(Task::Binary, &[]), None).labels.counts, [0, 0]);
    }
}
