//! The folded network in f64: what ranks are decided by.

use super::dense::Dense;
use super::{Fold, Share, Table, logistic};
use crate::error::Result;
use crate::ops::pair_score::PairForm;

/// Folded entities of one side in f64: each table `[n, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    tables: Vec<Vec<f64>>,
    width: usize,
}

/// Logits of pairs, and the mean share of the partner where there is a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct PairLogits {
    /// One per pair.
    pub logits: Vec<f64>,
    /// One per pair.
    pub gate_mean: Option<Vec<f64>>,
}

impl Features {
    /// Row `i` of a table.
    #[must_use]
    pub fn row(&self, table: usize, i: usize) -> &[f64] {
        &self.tables[table][i * self.width..][..self.width]
    }
}

impl Fold {
    /// Folds vectors `x [n, d_in]` of the entries (`side` 0) or of the targets (1).
    ///
    /// # Errors
    /// When `x` is not whole vectors.
    pub fn features(&self, side: usize, x: &[f32]) -> Result<Features> {
        let fold = &self.sides[side];
        let mut x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        if let Some(projection) = &fold.projection {
            x = projection.apply(&x, true)?;
        }
        let table = |table: &Table| match table {
            Table::Operand => Ok(x.clone()),
            Table::Linear(dense) => dense.apply(&x, false),
        };
        Ok(Features { tables: fold.tables.iter().map(table).collect::<Result<_>>()?, width: self.width })
    }

    /// The pairs of target `target` with each of these entries. A pair has the same bits in any list.
    ///
    /// # Errors
    /// Never, for rows that are there.
    pub fn pairs(&self, entries: &Features, chosen: &[usize], targets: &Features, target: usize) -> Result<PairLogits> {
        let b: Vec<&[f64]> = (0..targets.tables.len()).map(|table| targets.row(table, target)).collect();
        let mut shares = Vec::new();
        let logits = match self.form {
            PairForm::SignedL1 => chosen.iter().map(|&entry| self.signed_l1(entries.row(0, entry), b[0])).collect(),
            PairForm::Relu => {
                let sum = |(a, b): (&f64, &f64)| f64::max(a + b, 0.0);
                let row = |&entry: &usize| entries.row(0, entry).iter().zip(b[0]).map(sum).collect::<Vec<_>>();
                self.rest(chosen.iter().flat_map(row).collect())?
            }
            PairForm::Gate => {
                let mut x = Vec::with_capacity(chosen.len() * self.width);
                for &entry in chosen {
                    let (p, u) = (entries.row(0, entry), entries.row(1, entry));
                    let mut sum = 0.0;
                    for k in 0..self.width {
                        let s = logistic(u[k] + b[1][k]);
                        sum += s;
                        x.push(s * p[k] + (1.0 - s) * b[0][k]);
                    }
                    shares.push(sum / self.width as f64);
                }
                self.rest(x)?
            }
        };
        let gate_mean = match self.share {
            Share::None => None,
            Share::Constant(mean) => Some(vec![mean; chosen.len()]),
            Share::OfPair { of_target: false } => Some(shares),
            Share::OfPair { of_target: true } => Some(shares.into_iter().map(|s| 1.0 - s).collect()),
        };
        Ok(PairLogits { logits, gate_mean })
    }

    fn signed_l1(&self, a: &[f64], b: &[f64]) -> f64 {
        let sum = |range: std::ops::Range<usize>| {
            // Four sums side by side: the order is the same wherever the pair stands.
            let mut sums = [0.0; 4];
            for (i, (a, b)) in a[range.clone()].iter().zip(&b[range]).enumerate() {
                sums[i % 4] += f64::max(a + b, 0.0);
            }
            (sums[0] + sums[1]) + (sums[2] + sums[3])
        };
        self.constant + (sum(0..self.n_positive) - sum(self.n_positive..self.width))
    }

    /// The head's last layers.
    fn rest(&self, mut x: Vec<f64>) -> Result<Vec<f64>> {
        for (i, layer) in self.head.iter().enumerate() {
            x = Dense::apply(layer, &x, i + 1 < self.head.len())?;
        }
        Ok(x)
    }

    /// Offsets of the signed L1 form in f32 for targets as a device holds them, `[n, row]`: `c + Σ s_k·b_k`; zeros for
    /// the other forms.
    #[must_use]
    pub fn offsets(&self, targets: &[f32], row: usize) -> Vec<f32> {
        let offset = |b: &[f32]| {
            let sum = |range: std::ops::Range<usize>| b[range].iter().map(|&b| f64::from(b)).sum::<f64>();
            (self.constant + sum(0..self.n_positive) - sum(self.n_positive..self.width)) as f32
        };
        match self.form {
            PairForm::SignedL1 => targets.chunks_exact(row).map(offset).collect(),
            PairForm::Relu | PairForm::Gate => vec![0.0; targets.len() / row],
        }
    }
}
