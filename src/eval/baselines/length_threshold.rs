//! One threshold on the length of the RNA.

use super::{Baseline, Rows, targets};
use crate::data::{Dataset, Side};
use crate::error::Result;

/// The threshold and direction of best training accuracy; the logit is `±(length − threshold)`.
///
/// The threshold is the length of a training pair that is still predicted positive; of equals the shortest is taken.
#[derive(Debug, Clone, Copy)]
pub struct LengthThreshold;

impl Baseline for LengthThreshold {
    fn name(&self) -> &'static str {
        "length-threshold"
    }

    fn label(&self) -> &'static str {
        "One RNA length threshold"
    }

    fn predict(&self, (train, train_rows): Rows<'_>, (test, test_rows): Rows<'_>) -> Result<Vec<f64>> {
        let length = |data: &Dataset, row: u32| f64::from(data.rna.length[data.pairs[row as usize].entity(Side::Rna)]);
        let labels = targets(train, train_rows);
        let rows = train_rows.iter().zip(&labels).map(|(&row, &label)| (length(train, row), label == 1.0)).collect();
        let (threshold, direction) = best(rows);
        Ok(test_rows.iter().map(|&row| direction * (length(test, row) - threshold)).collect())
    }
}

/// Threshold, and 1 where longer RNAs are positive or −1 where shorter ones are.
fn best(mut rows: Vec<(f64, bool)>) -> (f64, f64) {
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positive = rows.iter().filter(|row| row.1).count();
    let n = rows.len();
    let shortest = rows.first().map_or(0.0, |row| row.0);
    // One answer to all is what the others must beat.
    let (mut right, mut rule) =
        if 2 * positive >= n { (positive, (shortest, 1.0)) } else { (n - positive, (shortest - 1.0, -1.0)) };
    let (mut shorter_positive, mut shorter_negative) = (0, 0);
    for (i, &(length, label)) in rows.iter().enumerate() {
        if label {
            shorter_positive += 1;
        } else {
            shorter_negative += 1;
        }
        let Some(&(next, _)) = rows.get(i + 1).filter(|next| next.0 > length) else { continue };
        let longer_right = positive - shorter_positive + shorter_negative;
        for (candidate, candidate_rule) in [(longer_right, (next, 1.0)), (n - longer_right, (length, -1.0))] {
            if candidate > right {
                (right, rule) = (candidate, candidate_rule);
            }
        }
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::best;

    #[test]
    fn the_threshold_is_a_positive_length_and_knows_its_direction() {
        assert_eq!(best(vec![(10.0, true), (30.0, false), (20.0, true), (40.0, false)]), (20.0, -1.0));
        assert_eq!(best(vec![(10.0, false), (30.0, true), (30.0, true)]), (30.0, 1.0));
        // Nothing is better than one answer to all.
        assert_eq!(best(vec![(10.0, true), (10.0, true), (10.0, false)]), (10.0, 1.0));
        assert_eq!(best(vec![(10.0, true), (10.0, false), (10.0, false)]), (9.0, -1.0));
        assert_eq!(best(Vec::new()), (0.0, 1.0));
    }
}
