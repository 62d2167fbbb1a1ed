//! The best K of a stream, in an order without ties.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// One library entry that a target keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Score, larger = better.
    pub score: f64,
    /// Index of the entry in the library.
    pub entry: u32,
}

/// A candidate; the greater one is the worse.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    score: f64,
    /// Place of the entry's id in alphabetical order; no two are equal.
    place: u32,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.place.cmp(&other.place))
    }
}
impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Candidate {}

/// Keeps the best `k` candidates, whatever the order in which they come: higher score first, then earlier id.
pub(super) struct TopK {
    k: usize,
    /// The worst one on top.
    kept: BinaryHeap<Candidate>,
}

impl TopK {
    pub fn new(k: usize) -> Self {
        Self { k, kept: BinaryHeap::new() }
    }

    /// Offers an entry by its score, which is no NaN, and the alphabetical place of its id.
    pub fn offer(&mut self, score: f64, place: u32) {
        // Minus zero becomes zero: the two are one score.
        let candidate = Candidate { score: score + 0.0, place };
        if self.kept.len() < self.k {
            self.kept.push(candidate);
        } else if let Some(mut worst) = self.kept.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    /// The kept ones, best first; `entry_at` tells the entry of an alphabetical place.
    pub fn into_hits(self, entry_at: &[u32]) -> Vec<Hit> {
        let hit = |c: Candidate| Hit { score: c.score, entry: entry_at[c.place as usize] };
        self.kept.into_sorted_vec().into_iter().map(hit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_k_in_any_order_of_arrival() {
        let scores = [0.5, 0.9, 0.5, -0.0, 0.0, 0.5, 1.0];
        let kept = |k: usize, order: &[usize]| -> Vec<u32> {
            let mut best = TopK::new(k);
            for &i in order {
                best.offer(scores[i], i as u32);
            }
            best.into_hits(&[0, 1, 2, 3, 4, 5, 6]).iter().map(|hit| hit.entry).collect()
        };
        let all = [6, 1, 0, 2, 5, 3, 4];
        for k in [0, 1, 3, 4, 7, 100] {
            let want = &all[..k.min(7)];
            assert_eq!(kept(k, &[0, 1, 2, 3, 4, 5, 6]), want);
            assert_eq!(kept(k, &[6, 5, 4, 3, 2, 1, 0]), want);
            assert_eq!(kept(k, &[4, 2, 6, 0, 5, 3, 1]), want);
        }
    }
}
