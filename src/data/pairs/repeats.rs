//! Rows that name the same pair of ids again.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::{Contradiction, PairRow, PairTable};
use crate::data::{Reject, RejectReason};

/// The rows of one pair of ids that occurs more than once.
struct Group<'a> {
    /// Those that are kept, first one first.
    kept: Vec<&'a PairRow>,
    /// Line at which each labelling was first seen.
    line_of: FxHashMap<Vec<u32>, u64>,
}

impl<'a> Group<'a> {
    fn new(first: &'a PairRow) -> Self {
        let line_of = std::iter::once((labelling(first), first.line)).collect();
        Self { kept: vec![first], line_of }
    }

    /// Two rows differ in a label that both know.
    fn contradicts_itself(&self) -> bool {
        (0..self.kept[0].labels.len()).any(|label| {
            let mut known = self.kept.iter().map(|row| row.labels[label]).filter(|value| !value.is_nan());
            known.next().is_some_and(|first| known.any(|value| value != first))
        })
    }
}

/// The labels as a key: equal values and unknown ones give equal bits.
fn labelling(row: &PairRow) -> Vec<u32> {
    row.labels.iter().map(|&label| if label.is_nan() { u32::MAX } else { (label + 0.0).to_bits() }).collect()
}

impl PairTable {
    /// Moves exact repeats to the rejects and lists contradictions.
    pub(super) fn settle_repeats(&mut self) {
        let mut firsts: FxHashMap<(&str, &str), usize> = FxHashMap::default();
        let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
        // Position of each exact repeat, ascending, and the line that it repeats.
        let mut repeats: Vec<(usize, u64)> = Vec::new();
        for (i, row) in self.rows.iter().enumerate() {
            let first = *firsts.entry((&row.rna, &row.partner)).or_insert(i);
            if first == i {
                continue;
            }
            let group = groups.entry(first).or_insert_with(|| Group::new(&self.rows[first]));
            let line = *group.line_of.entry(labelling(row)).or_insert(row.line);
            if line == row.line {
                group.kept.push(row);
            } else {
                repeats.push((i, line));
            }
        }
        drop(firsts);
        self.contradictory = groups
            .into_values()
            .filter(Group::contradicts_itself)
            .map(|group| Contradiction {
                rna: group.kept[0].rna.clone(),
                partner: group.kept[0].partner.clone(),
                rows: group.kept.iter().map(|row| row.row0).collect(),
            })
            .collect();
        let mut repeats = repeats.into_iter().peekable();
        let rows = std::mem::take(&mut self.rows);
        self.rows = Vec::with_capacity(rows.len());
        for (i, row) in rows.into_iter().enumerate() {
            match repeats.next_if(|&(repeat, _)| repeat == i) {
                None => self.rows.push(row),
                Some((_, line)) => {
                    let detail = format!("same as line {line}");
                    let PairRow { row0, line, rna, partner, .. } = row;
                    self.rejects.push(Reject { row0, line, rna, partner, reason: RejectReason::Duplicate, detail });
                }
            }
        }
        self.rejects.sort_by_key(|reject| reject.row0);
    }
}
