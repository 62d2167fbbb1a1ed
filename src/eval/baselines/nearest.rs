//! The training pairs that look most alike.

use rayon::prelude::*;

use super::dense::{Matrix, dot};
use super::design::{Block, Design, Features};
use super::{BOTH_SIDES, Baseline, Rows, log_odds, targets};
use crate::data::Task;
use crate::error::Result;
use crate::progress::check_interrupt;

const NEIGHBOURS: usize = 5;

/// The five training pairs of highest cosine to the concatenated standardised vectors, all with one vote: the log-odds
/// of their labels (½ added to both counts), or the mean of their values. Equal cosines go to the earlier pair.
#[derive(Debug, Clone, Copy)]
pub struct Nearest;

impl Baseline for Nearest {
    fn name(&self) -> &'static str {
        "nearest"
    }

    fn label(&self) -> &'static str {
        "5 nearest training pairs"
    }

    fn predict(&self, (train, train_rows): Rows<'_>, (test, test_rows): Rows<'_>) -> Result<Vec<f64>> {
        let (fitted, tested) =
            Design::standardised(Features::Vector, &BOTH_SIDES, (train, train_rows), (test, test_rows))?;
        let labels = targets(train, train_rows);
        let regression = train.task == Task::Regression;
        // The dot product of two pairs is the sum of those of their sides: computed once per pair of entities.
        let products: Vec<Vec<Vec<f32>>> =
            fitted.blocks.iter().zip(&tested.blocks).map(|(train, test)| cross_products(train, test)).collect();
        let lengths = inverse_lengths(&fitted);
        (0..test_rows.len())
            .into_par_iter()
            .map(|row| {
                check_interrupt()?;
                let of_side = |side: usize| &products[side][tested.blocks[side].of_pair[row] as usize];
                let (a, b) = (of_side(0), of_side(1));
                let (of_a, of_b) = (&fitted.blocks[0].of_pair, &fitted.blocks[1].of_pair);
                let cosines = of_a
                    .iter()
                    .zip(of_b)
                    .zip(&lengths)
                    .map(|((&i, &j), length)| (a[i as usize] + b[j as usize]) * length);
                let near = nearest(cosines);
                let (sum, n) = (near.iter().map(|&i| labels[i]).sum::<f64>(), near.len() as f64);
                Ok(if regression { sum / n.max(1.0) } else { log_odds(sum, n - sum, 0.5) })
            })
            .collect()
    }
}

/// `[distinct test rows][distinct training rows]` dot products.
fn cross_products(train: &Block, test: &Block) -> Vec<Vec<f32>> {
    let one = |i: usize| train.distinct.times(test.distinct.row(i)).into_iter().map(|product| product as f32).collect();
    (0..test.distinct.n_rows()).into_par_iter().map(one).collect()
}

/// `1/‖x‖` of each training pair, 0 for a zero vector. The length of the test pair does not change the order.
fn inverse_lengths(design: &Design) -> Vec<f32> {
    let squares = |matrix: &Matrix| (0..matrix.n_rows()).map(|i| dot(matrix.row(i), matrix.row(i))).collect();
    let of_side: Vec<Vec<f64>> = design.blocks.iter().map(|block| squares(&block.distinct)).collect();
    (0..design.n_pairs)
        .map(|row| {
            let square: f64 =
                design.blocks.iter().zip(&of_side).map(|(block, squares)| squares[block.of_pair[row] as usize]).sum();
            if square > 0.0 { (1.0 / square.sqrt()) as f32 } else { 0.0 }
        })
        .collect()
}

/// Positions of the highest values, best first.
fn nearest(values: impl Iterator<Item = f32>) -> Vec<usize> {
    let mut best: Vec<(f32, usize)> = Vec::with_capacity(NEIGHBOURS + 1);
    for (i, value) in values.enumerate() {
        if best.len() == NEIGHBOURS && best.last().is_some_and(|worst| value <= worst.0) {
            continue;
        }
        let place = best.partition_point(|entry| entry.0 >= value);
        best.insert(place, (value, i));
        best.truncate(NEIGHBOURS);
    }
    best.into_iter().map(|(_, i)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_earlier_of_equals_is_nearer() {
        assert_eq!(nearest([1.0, 3.0, 2.0, 3.0, 0.0, 2.0, 2.0].into_iter()), [1, 3, 2, 5, 6]);
        assert_eq!(nearest([1.0, 1.0].into_iter()), [0, 1]);
    }
}
