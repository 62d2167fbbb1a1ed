//! Rows that name the same pair of ids again.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::{Contradiction, PairRow, PairTable};
use crate::data::{Reject, RejectReason};

impl PairTable {
    /// Moves exact repeats to the rejects and lists contradictions.
    pub(super) fn settle_repeats(&mut self) {
        // Of each pair of ids the first row; further kept rows of the few pairs that have some.
        let mut firsts: FxHashMap<(&str, &str), usize> = FxHashMap::default();
        let mut others: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut repeats: BTreeMap<usize, u64> = BTreeMap::new();
        for (i, row) in self.rows.iter().enumerate() {
            let first = *firsts.entry((&row.rna, &row.partner)).or_insert(i);
            if first == i {
                continue;
            }
            let kept = others.entry(first).or_default();
            let same = |&j: &usize| same_labels(&self.rows[j].labels, &row.labels);
            match std::iter::once(first).chain(kept.iter().copied()).find(same) {
                Some(j) => {
                    repeats.insert(i, self.rows[j].line);
                }
                None => kept.push(i),
            }
        }
        drop(firsts);
        // Rows move up by the number of repeats before them.
        let moved = |i: usize| i - repeats.range(..i).count();
        for (first, kept) in others {
            let group: Vec<usize> = std::iter::once(first).chain(kept).collect();
            let labels = |&i: &usize| self.rows[i].labels.as_slice();
            let contradict = |i: &usize| group.iter().any(|j| contradict(labels(i), labels(j)));
            if group.iter().any(contradict) {
                let PairRow { rna, partner, .. } = &self.rows[first];
                let rows = group.iter().map(|&i| moved(i)).collect();
                self.contradictory.push(Contradiction { rna: rna.clone(), partner: partner.clone(), rows });
            }
        }
        if repeats.is_empty() {
            return;
        }
        let mut kept = Vec::with_capacity(self.rows.len() - repeats.len());
        for (i, row) in std::mem::take(&mut self.rows).into_iter().enumerate() {
            match repeats.get(&i) {
                None => kept.push(row),
                Some(line) => {
                    let detail = format!("same as line {line}");
                    let PairRow { row0, line, rna, partner, .. } = row;
                    self.rejects.push(Reject { row0, line, rna, partner, reason: RejectReason::Duplicate, detail });
                }
            }
        }
        self.rows = kept;
        self.rejects.sort_by_key(|reject| reject.row0);
    }
}

/// Equal, where unknown equals unknown.
fn same_labels(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| a == b || a.is_nan() && b.is_nan())
}

/// Different in a label that both know.
fn contradict(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).any(|(a, b)| a != b && !a.is_nan() && !b.is_nan())
}
