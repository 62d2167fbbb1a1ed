//! The design matrix of pairs, kept per entity: a pair's features are its RNA's and its partner's, so a product with
//! the matrix costs one dot product per entity, not per pair.

use rustc_hash::FxHashMap;

use super::dense::{Matrix, add_scaled};
use crate::data::{Dataset, Entities, Side};
use crate::error::{Error, Result};

/// SD below which a feature counts as constant.
const LEAST_SD: f64 = 1e-12;

/// Some columns of the design matrix: distinct rows, and which of them each pair has.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub distinct: Matrix,
    pub of_pair: Vec<u32>,
}

/// What is known about an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Features {
    /// Its vector.
    Vector,
    /// The natural logarithm of its length (of 1 where it is unknown).
    LogLength,
}

impl Features {
    fn dim(self, entities: &Entities) -> usize {
        if self == Self::Vector { entities.dim() } else { 1 }
    }

    fn write(self, entities: &Entities, entity: usize, out: &mut [f32]) {
        match self {
            Self::Vector => entities.copy_vector(entity, out),
            Self::LogLength => out[0] = f64::from(entities.length[entity].max(1)).ln() as f32,
        }
    }
}

impl Block {
    /// The features of one side of `rows`, each entity once.
    fn of(features: Features, data: &Dataset, rows: &[u32], side: Side) -> Self {
        let entities = data.entities(side);
        let dim = features.dim(entities);
        let (mut values, mut single) = (Vec::new(), vec![0f32; dim]);
        let mut number: FxHashMap<usize, u32> = FxHashMap::default();
        let of_pair = rows
            .iter()
            .map(|&row| {
                let entity = data.pairs[row as usize].entity(side);
                let next = number.len() as u32;
                *number.entry(entity).or_insert_with(|| {
                    features.write(entities, entity, &mut single);
                    values.extend(single.iter().map(|&value| f64::from(value)));
                    next
                })
            })
            .collect();
        Self { distinct: Matrix { dim, values }, of_pair }
    }

    /// `z = (x − mean) / SD` with the moments of `reference`, population SD, constant features only centred.
    fn standardised(mut self, mean: &[f64], sd: &[f64]) -> Self {
        for row in self.distinct.values.chunks_exact_mut(mean.len().max(1)) {
            for ((value, mean), sd) in row.iter_mut().zip(mean).zip(sd) {
                *value = (*value - mean) / sd;
            }
        }
        self
    }

    /// Mean and SD (ddof 0) of each feature over the distinct rows.
    fn moments(&self) -> (Vec<f64>, Vec<f64>) {
        let n = self.distinct.n_rows().max(1) as f64;
        let mut mean = vec![0.0; self.distinct.dim];
        for e in 0..self.distinct.n_rows() {
            add_scaled(&mut mean, 1.0 / n, self.distinct.row(e));
        }
        let mut variance = vec![0.0; self.distinct.dim];
        for e in 0..self.distinct.n_rows() {
            for ((variance, value), mean) in variance.iter_mut().zip(self.distinct.row(e)).zip(&mean) {
                *variance += (value - mean).powi(2) / n;
            }
        }
        let sd = variance.iter().map(|v| v.sqrt()).map(|sd| if sd < LEAST_SD { 1.0 } else { sd }).collect();
        (mean, sd)
    }
}

/// A design matrix `[n_pairs, Σ dim]`: blocks of columns side by side.
#[derive(Debug, Clone)]
pub(super) struct Design {
    pub blocks: Vec<Block>,
    pub n_pairs: usize,
}

impl Design {
    /// One row of features per pair, nothing shared.
    pub(super) fn of_pairs(dim: usize, values: Vec<f64>) -> Self {
        let distinct = Matrix { dim, values };
        let n_pairs = distinct.n_rows();
        Self { blocks: vec![Block { distinct, of_pair: (0..n_pairs as u32).collect() }], n_pairs }
    }

    /// Features of `sides`, standardised on the distinct training entities, for training and for test pairs.
    pub(super) fn standardised(
        features: Features,
        sides: &[Side],
        (train, train_rows): (&Dataset, &[u32]),
        (test, test_rows): (&Dataset, &[u32]),
    ) -> Result<(Self, Self)> {
        let (mut fitted, mut tested) = (Vec::new(), Vec::new());
        for &side in sides {
            let (a, b) = (features.dim(train.entities(side)), features.dim(test.entities(side)));
            if a != b {
                return Err(Error::data(
                    format!("test vectors have width {b}, training vectors {a}"),
                    "embed both sets with the same encoder",
                ));
            }
            let block = Block::of(features, train, train_rows, side);
            let (mean, sd) = block.moments();
            fitted.push(block.standardised(&mean, &sd));
            tested.push(Block::of(features, test, test_rows, side).standardised(&mean, &sd));
        }
        Ok((Self { blocks: fitted, n_pairs: train_rows.len() }, Self { blocks: tested, n_pairs: test_rows.len() }))
    }

    /// Number of columns.
    pub(super) fn width(&self) -> usize {
        self.blocks.iter().map(|block| block.distinct.dim).sum()
    }

    /// `X·w + b` for `w` = weights of all blocks, then the intercept b.
    pub(super) fn times(&self, w: &[f64]) -> Vec<f64> {
        let mut products = vec![w[self.width()]; self.n_pairs];
        let mut start = 0;
        for block in &self.blocks {
            let of_entity = block.distinct.times(&w[start..start + block.distinct.dim]);
            for (product, &entity) in products.iter_mut().zip(&block.of_pair) {
                *product += of_entity[entity as usize];
            }
            start += block.distinct.dim;
        }
        products
    }

    /// `[X 1]ᵀ·r`.
    pub(super) fn transposed_times(&self, r: &[f64]) -> Vec<f64> {
        let mut products = Vec::with_capacity(self.width() + 1);
        for block in &self.blocks {
            products.extend(block.distinct.weighted_sum(&block.per_entity(r)));
        }
        products.push(r.iter().sum());
        products
    }
}

impl Block {
    /// Values of pairs added per distinct row.
    pub(super) fn per_entity(&self, of_pairs: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.distinct.n_rows()];
        for (&entity, value) in self.of_pair.iter().zip(of_pairs) {
            sums[entity as usize] += value;
        }
        sums
    }
}
