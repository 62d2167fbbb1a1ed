//! What may still be among the best k of a target.

use bytemuck::{Pod, Zeroable};

/// Room beyond the k candidates that are kept in any case, so that they are seldom sorted.
const ROOM: usize = 4096;

/// A row of the library whose value lies between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Pending {
    pub row: u32,
    pub low: f32,
    pub high: f32,
}

/// A record whose score is known.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Hit {
    /// Mean probability over the members, or mean value of a regression.
    pub score: f64,
    /// Mean logit over the members; the value of a regression.
    pub logit: f64,
    /// SD of the score over members; NaN for one member.
    pub spread: f64,
    /// Mean share of the partner; NaN without a gate.
    pub gate_mean: f64,
    /// Ranks are by this, larger is better: the logit of one network of a classification, which still tells pairs apart
    /// whose probability is 1; else the score.
    pub value: f64,
    /// Record of the library.
    pub record: u32,
    pub(super) padding: u32,
}

/// The candidates of one target.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidates {
    k: usize,
    /// Nothing below this value can be among the best.
    pub floor: f64,
    pub pending: Vec<Pending>,
    /// The best so far of those whose score is known, best first.
    pub settled: Vec<Hit>,
}

impl Candidates {
    pub fn new(k: usize, floor: f64) -> Self {
        Self { k, floor, pending: Vec::new(), settled: Vec::new() }
    }

    pub fn offer(&mut self, candidate: Pending) {
        // An interval that is none is kept: nothing is known of it.
        if candidate.high.is_nan() || f64::from(candidate.high) >= self.floor {
            self.pending.push(candidate);
        }
    }

    /// True when it is time to [`prune`](Self::prune).
    pub fn is_full(&self) -> bool {
        self.pending.len() > 2 * self.k.min(usize::MAX / 4) + ROOM
    }

    /// Raises the floor to what k candidates are known to reach, and drops what lies below. Returns true when too many are
    /// left: they are too near to be told apart by bounds.
    pub fn prune(&mut self) -> bool {
        if let Some(kth) = self.kth_lowest_bound() {
            self.floor = self.floor.max(kth);
        }
        let floor = self.floor;
        self.pending.retain(|candidate| candidate.high.is_nan() || f64::from(candidate.high) >= floor);
        self.pending.len() > self.k + self.k / 2 + ROOM
    }

    /// The k-th largest of the lower bounds.
    fn kth_lowest_bound(&self) -> Option<f64> {
        let known = self.pending.iter().map(|candidate| f64::from(candidate.low)).filter(|low| !low.is_nan());
        let mut lows: Vec<f64> = known.chain(self.settled.iter().map(|hit| hit.value)).collect();
        let at = self.k.checked_sub(1).filter(|&at| at < lows.len())?;
        let (_, kth, _) = lows.select_nth_unstable_by(at, |a, b| b.total_cmp(a));
        Some(*kth)
    }

    /// Takes hits whose scores are known; `id` breaks ties. Keeps the best k.
    pub fn settle<'a>(&mut self, hits: impl IntoIterator<Item = Hit>, id: impl Fn(u32) -> &'a str) {
        self.settled.extend(hits);
        let order = |a: &Hit, b: &Hit| b.value.total_cmp(&a.value).then_with(|| id(a.record).cmp(id(b.record)));
        if self.settled.len() > self.k {
            self.settled.select_nth_unstable_by(self.k, order);
            self.settled.truncate(self.k);
        }
        self.settled.sort_unstable_by(order);
        if let Some(kth) = self.settled.get(self.k.wrapping_sub(1)) {
            self.floor = self.floor.max(kth.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(score: f64, record: u32) -> Hit {
        Hit { score, logit: score, spread: f64::NAN, gate_mean: f64::NAN, value: score, record, padding: 0 }
    }

    #[test]
    fn what_k_others_surely_beat_is_dropped() {
        let mut candidates = Candidates::new(2, f64::NEG_INFINITY);
        for (row, value, error) in [(0, 1.0, 0.1), (1, 2.0, 0.5), (2, 1.5, 0.1), (3, 1.35, 0.1), (4, 0.0, f32::NAN)] {
            candidates.offer(Pending { row, low: value - error, high: value + error });
        }
        assert!(!candidates.is_full() && !candidates.prune());
        // Rows 1 and 2 reach 1.4 at least: row 3 may be as good, row 0 cannot, and of row 4 nothing is known.
        let rows = |candidates: &Candidates| candidates.pending.iter().map(|c| c.row).collect::<Vec<_>>();
        assert_eq!((rows(&candidates), candidates.floor), (vec![1, 2, 3, 4], f64::from(1.5f32 - 0.1)));
        candidates.offer(Pending { row: 5, low: 0.0, high: 1.39 });
        assert_eq!(rows(&candidates).len(), 4);
        // With one that is settled there are two above 1.45.
        candidates.settle([hit(1.45, 9)], |_| "");
        candidates.prune();
        assert_eq!(candidates.floor, 1.45);
    }

    #[test]
    fn the_best_k_by_score_and_then_by_id() {
        let ids = ["b", "d", "a", "c", "e"];
        let scores = [0.5, 0.5, 0.5, 0.9, 0.1];
        for k in 0..7 {
            for split in 0..5 {
                let mut candidates = Candidates::new(k, 0.0);
                let hits = |range: std::ops::Range<usize>| range.map(|i| hit(scores[i], i as u32)).collect::<Vec<_>>();
                candidates.settle(hits(split..5), |record| ids[record as usize]);
                candidates.settle(hits(0..split), |record| ids[record as usize]);
                let order: Vec<u32> = candidates.settled.iter().map(|hit| hit.record).collect();
                assert_eq!(order, [3, 2, 0, 1, 4][..k.min(5)]);
                let kth = [0.9, 0.5, 0.5, 0.5, 0.1].get(k.wrapping_sub(1));
                assert_eq!(candidates.floor, kth.copied().unwrap_or(0.0));
            }
        }
    }
}
