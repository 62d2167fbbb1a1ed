//! How near an entity lies to what a network was trained on: the largest cosine to a training vector.

use half::f16;

use crate::backend::{Matrix, MatrixMut};
use crate::data::Entities;
use crate::error::Result;
use crate::ops::gemm::{Gemm, Product, gemm};
use crate::progress::check_interrupt;

/// Rows of a block: a block of cosines stays in the second-level cache.
const BLOCK: usize = 256;

/// Unit vectors of the training entities, each distinct sequence once, `[n, dim]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainIndex {
    /// Width of a vector.
    pub dim: usize,
    /// Unit vectors, row after row.
    pub units: Vec<f32>,
    /// Sequence digest of each row; empty where it is not known.
    pub digests: Vec<String>,
    /// 5 % quantile of the training entities' own nearest cosines (each to the others): below it is out of domain.
    pub quantile_5: f32,
}

/// Scales `vector` to length 1; a zero vector stays zero.
fn normalise(vector: &mut [f32]) {
    let norm = vector.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    if norm > 0.0 {
        for x in vector {
            *x = (f64::from(*x) / norm) as f32;
        }
    }
}

/// Rows that are read between two releases: they may lie far apart, and the system maps 64 KiB around each.
const SCATTERED: usize = 256;

/// Unit vectors of `members`, row after row, rounded to half precision as the checkpoint holds them: cosines are the
/// same before and after a model is saved.
fn units(entities: &Entities, members: &[u32]) -> Vec<f32> {
    let dim = entities.dim();
    let mut values = vec![0.0; members.len() * dim];
    for (i, (row, &entity)) in values.chunks_exact_mut(dim.max(1)).zip(members).enumerate() {
        if i % SCATTERED == 0 {
            entities.source.release();
        }
        entities.copy_vector(entity as usize, row);
        normalise(row);
        for x in row {
            *x = f16::from_f32(*x).to_f32();
        }
    }
    values
}

/// The rows of `units` at length 1 again, which rounding moved a little: a vector's cosine with itself is 1.
fn sharpened(units: &[f32], dim: usize) -> Vec<f32> {
    let mut values = units.to_vec();
    values.chunks_exact_mut(dim).for_each(normalise);
    values
}

impl TrainIndex {
    /// The index of `members`; of entities with one sequence only the first is taken.
    ///
    /// # Errors
    /// What the ops report.
    pub fn new<B: Gemm<f32>>(backend: &B, entities: &Entities, members: &[u32]) -> Result<Self> {
        let mut seen = vec![false; entities.n_groups()];
        let mut distinct = members.to_vec();
        distinct.retain(|&e| !std::mem::replace(&mut seen[entities.group[e as usize] as usize], true));
        let digests = distinct.iter().map(|&e| entities.digest[e as usize].clone()).collect();
        let units = units(entities, &distinct);
        let mut index = Self { dim: entities.dim(), units, digests, quantile_5: -1.0 };
        let mut own = index.nearest_to(backend, &index.units, true)?;
        own.sort_by(f32::total_cmp);
        index.quantile_5 = own.get(own.len() / 20).copied().unwrap_or(-1.0);
        Ok(index)
    }

    /// Number of distinct training sequences.
    #[must_use]
    pub fn len(&self) -> usize {
        self.units.len().checked_div(self.dim).unwrap_or(0)
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Largest cosine of each of `members` to a training vector, in [−1, 1].
    ///
    /// # Errors
    /// What the ops report.
    pub fn nearest<B: Gemm<f32>>(&self, backend: &B, entities: &Entities, members: &[u32]) -> Result<Vec<f32>> {
        self.nearest_to(backend, &units(entities, members), false)
    }

    /// The same for unit vectors; `own` leaves out the cosine of row i to row i.
    fn nearest_to<B: Gemm<f32>>(&self, backend: &B, queries: &[f32], own: bool) -> Result<Vec<f32>> {
        let (dim, n) = (self.dim.max(1), self.len());
        let mut nearest = Vec::with_capacity(queries.len() / dim);
        if n == 0 {
            nearest.resize(queries.len() / dim, -1.0);
            return Ok(nearest);
        }
        let (units, queries) = (sharpened(&self.units, dim), sharpened(queries, dim));
        let mut train = backend.zeros::<f32>(units.len())?;
        backend.upload(&units, backend.view_mut(&mut train, 0..units.len()))?;
        let mut block = backend.zeros::<f32>(BLOCK * dim)?;
        let mut cosines = backend.zeros::<f32>(BLOCK * n)?;
        let mut host = vec![0.0; BLOCK * n];
        for (b, rows) in queries.chunks(BLOCK * dim).enumerate() {
            check_interrupt()?;
            let m = rows.len() / dim;
            backend.upload(rows, backend.view_mut(&mut block, 0..rows.len()))?;
            let (a, t) = (Matrix::of(backend, &block, m, dim), Matrix::of(backend, &train, n, dim));
            gemm(backend, Product::Nt, a.into(), t.into(), MatrixMut::of(backend, &mut cosines, m, n).into())?;
            backend.download(backend.view(&cosines, 0..m * n), &mut host[..m * n])?;
            for (i, cosines) in host[..m * n].chunks_exact(n).enumerate() {
                let others = cosines.iter().enumerate().filter(|(j, _)| !(own && *j == b * BLOCK + i));
                nearest.push(others.map(|(_, &c)| c).fold(-1.0, f32::max).min(1.0));
            }
        }
        Ok(nearest)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::Cpu;
    use crate::data::{EncoderIdentity, MemoryVectors};

    fn entities(vectors: &[[f32; 2]], group: &[u32]) -> Entities {
        let n = vectors.len();
        Entities {
            ids: (0..n).map(|i| format!("e{i}")).collect(),
            rows: (0..n).collect(),
            group: group.to_vec(),
            length: vec![1; n],
            digest: group.iter().map(u32::to_string).collect(),
            source: Arc::new(MemoryVectors { dim: 2, values: vectors.concat() }),
            encoder: EncoderIdentity { name: "test".into(), digest: String::new(), pooling: "mean".into() },
        }
    }

    #[test]
    fn nearest_cosine_by_hand() {
        let all = entities(&[[2.0, 0.0], [0.0, 3.0], [0.0, 3.0], [1.0, 1.0], [0.0, 0.0]], &[0, 1, 1, 2, 3]);
        let index = TrainIndex::new(&Cpu::single(), &all, &[0, 1, 2]).unwrap();
        assert_eq!((index.len(), index.quantile_5), (2, 0.0));
        let nearest = index.nearest(&Cpu::single(), &all, &[0, 2, 3, 4]).unwrap();
        for (got, want) in nearest.iter().zip([1.0, 1.0, 0.5f32.sqrt(), 0.0]) {
            assert!((got - want).abs() < 5e-4, "{nearest:?}");
        }
    }

    #[test]
    fn an_empty_index_is_far_from_everything() {
        let all = entities(&[[2.0, 0.0]], &[0]);
        let index = TrainIndex::new(&Cpu::single(), &all, &[]).unwrap();
        assert_eq!(index.nearest(&Cpu::single(), &all, &[0]).unwrap(), [-1.0]);
    }
}
