//! Curves for the report, thinned to what a figure can show.

use super::Ranking;

/// Most points of a curve.
pub const CURVE_POINTS: usize = 512;

/// ROC points (false positive rate, true positive rate) from (0, 0) to (1, 1); empty with one class.
#[must_use]
pub fn roc_curve(ranking: &Ranking, weights: &[u32]) -> Vec<(f64, f64)> {
    let (positive, negative) = ranking.totals(weights);
    if positive == 0 || negative == 0 {
        return Vec::new();
    }
    let mut points = vec![(0.0, 0.0)];
    let (mut hits, mut misses) = (0, 0);
    ranking.ties(weights, |tie| {
        hits += tie.positive;
        misses += tie.negative;
        points.push((misses as f64 / negative as f64, hits as f64 / positive as f64));
    });
    thin(points)
}

/// Points (recall, precision) by growing recall, the first at recall 0 with the precision of the highest score;
/// empty without positives.
#[must_use]
pub fn precision_recall_curve(ranking: &Ranking, weights: &[u32]) -> Vec<(f64, f64)> {
    let (positive, _) = ranking.totals(weights);
    if positive == 0 {
        return Vec::new();
    }
    let mut points = Vec::new();
    let (mut hits, mut seen) = (0, 0);
    ranking.ties(weights, |tie| {
        hits += tie.positive;
        seen += tie.positive + tie.negative;
        let precision = hits as f64 / seen as f64;
        if points.is_empty() {
            points.push((0.0, precision));
        }
        points.push((hits as f64 / positive as f64, precision));
    });
    thin(points)
}

/// At most [`CURVE_POINTS`] points at even distances of index, both ends kept.
fn thin(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= CURVE_POINTS {
        return points;
    }
    let last = points.len() - 1;
    (0..CURVE_POINTS).map(|i| points[i * last / (CURVE_POINTS - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_keep_their_ends_when_thinned() {
        let ranking = Ranking::new((0..5000u32).map(|i| (i, i % 3 == 0, f64::from(i))));
        let once = vec![1; 5000];
        let roc = roc_curve(&ranking, &once);
        assert_eq!((roc.len(), roc[0], roc[CURVE_POINTS - 1]), (CURVE_POINTS, (0.0, 0.0), (1.0, 1.0)));
        assert!(roc.windows(2).all(|w| w[0].0 <= w[1].0 && w[0].1 <= w[1].1));
        let pr = precision_recall_curve(&ranking, &once);
        assert_eq!((pr.len(), pr[0], pr[CURVE_POINTS - 1].0), (CURVE_POINTS, (0.0, 0.0), 1.0));
    }

    #[test]
    fn a_tie_is_one_step() {
        let ranking = Ranking::new([(0, true, 1.0), (1, false, 1.0), (2, false, 0.0)]);
        assert_eq!(roc_curve(&ranking, &[1; 3]), vec![(0.0, 0.0), (0.5, 1.0), (1.0, 1.0)]);
        assert_eq!(precision_recall_curve(&ranking, &[1; 3]), vec![(0.0, 0.5), (1.0, 0.5), (1.0, 1.0 / 3.0)]);
        assert!(roc_curve(&Ranking::new([(0, true, 1.0)]), &[1]).is_empty());
    }
}
