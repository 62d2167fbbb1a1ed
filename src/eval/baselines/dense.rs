//! Dense f64 products over rows of entities, and a Cholesky factor: what the linear baselines need, no more.
//!
//! Sums run in a fixed order that depends on neither the number of threads nor the instruction set.

use pulp::Arch;
use rayon::prelude::*;

/// Independent partial sums of a dot product; a multiple of every vector width.
const LANES: usize = 16;
/// Rows that one task handles.
const ROWS: usize = 256;
/// Rows of a Gram matrix that one task builds, so that they stay in cache.
const GRAM_ROWS: usize = 16;

/// Rows of numbers, row-major `[n, dim]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matrix {
    pub dim: usize,
    pub values: Vec<f64>,
}

impl Matrix {
    pub(super) fn n_rows(&self) -> usize {
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }

    pub(super) fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.dim..][..self.dim]
    }

    /// `M·v`: one dot product per row.
    pub(super) fn times(&self, vector: &[f64]) -> Vec<f64> {
        let mut products = vec![0.0; self.n_rows()];
        products.par_chunks_mut(ROWS).zip(self.values.par_chunks(ROWS * self.dim.max(1))).for_each(|(out, rows)| {
            Arch::new().dispatch(|| {
                for (out, row) in out.iter_mut().zip(rows.chunks_exact(self.dim)) {
                    *out = dot(row, vector);
                }
            });
        });
        products
    }

    /// `Mᵀ·s`: the rows weighted by `s` and added.
    pub(super) fn weighted_sum(&self, s: &[f64]) -> Vec<f64> {
        let parts: Vec<Vec<f64>> = s
            .par_chunks(ROWS)
            .zip(self.values.par_chunks(ROWS * self.dim.max(1)))
            .map(|(s, rows)| {
                let mut sum = vec![0.0; self.dim];
                Arch::new().dispatch(|| {
                    for (&s, row) in s.iter().zip(rows.chunks_exact(self.dim)) {
                        add_scaled(&mut sum, s, row);
                    }
                });
                sum
            })
            .collect();
        let mut total = vec![0.0; self.dim];
        for part in parts {
            add_scaled(&mut total, 1.0, &part);
        }
        total
    }

    /// Lower triangle of `Mᵀ·diag(s)·M`, `[dim, dim]`.
    pub(super) fn gram(&self, s: &[f64]) -> Vec<f64> {
        let dim = self.dim;
        let mut gram = vec![0.0; dim * dim];
        gram.par_chunks_mut(GRAM_ROWS * dim.max(1)).enumerate().for_each(|(block, out)| {
            Arch::new().dispatch(|| {
                for (e, &s) in s.iter().enumerate() {
                    let row = self.row(e);
                    for (k, out) in out.chunks_exact_mut(dim).enumerate() {
                        let i = block * GRAM_ROWS + k;
                        add_scaled(&mut out[..=i], s * row[i], &row[..=i]);
                    }
                }
            });
        });
        gram
    }
}

/// `Σ a·b`.
#[expect(clippy::inline_always, reason = "it must become part of the caller's instruction set")]
#[inline(always)]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f64>() + rest
}

/// `out += s·row`.
#[expect(clippy::inline_always, reason = "it must become part of the caller's instruction set")]
#[inline(always)]
pub(super) fn add_scaled(out: &mut [f64], s: f64, row: &[f64]) {
    for (out, &value) in out.iter_mut().zip(row) {
        *out += s * value;
    }
}

/// Lower Cholesky factor of a symmetric positive definite matrix.
#[derive(Debug, Clone)]
pub(super) struct Cholesky {
    dim: usize,
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factors the lower triangle of `matrix` `[dim, dim]`; pivots are kept above `floor`, which must be positive.
    pub(super) fn new(mut matrix: Vec<f64>, dim: usize, floor: f64) -> Self {
        for j in 0..dim {
            let (head, below) = matrix.split_at_mut((j + 1) * dim);
            let row = &mut head[j * dim..][..=j];
            let (known, pivot) = row.split_at_mut(j);
            let pivot_value = (pivot[0] - dot(known, known)).max(floor).sqrt();
            pivot[0] = pivot_value;
            let known = &*known;
            below.par_chunks_mut(dim * ROWS).for_each(|rows| {
                Arch::new().dispatch(|| {
                    for row in rows.chunks_exact_mut(dim) {
                        row[j] = (row[j] - dot(&row[..j], known)) / pivot_value;
                    }
                });
            });
        }
        Self { dim, lower: matrix }
    }

    /// Solves `L·Lᵀ·x = b` in place.
    pub(super) fn solve(&self, b: &mut [f64]) {
        Arch::new().dispatch(|| {
            for i in 0..self.dim {
                let row = &self.lower[i * self.dim..][..=i];
                b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
            }
            for i in (0..self.dim).rev() {
                let row = &self.lower[i * self.dim..][..=i];
                b[i] /= row[i];
                let x = b[i];
                add_scaled(&mut b[..i], -x, &row[..i]);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(n: usize, dim: usize) -> Matrix {
        Matrix { dim, values: (0..n * dim).map(|i| ((i * 7919 % 101) as f64 - 50.0) / 25.0).collect() }
    }

    #[test]
    fn products_agree_with_their_definition() {
        for (n, dim) in [(1, 1), (300, 37), (5, 64), (0, 3)] {
            let m = matrix(n, dim);
            let v: Vec<f64> = (0..dim).map(|i| i as f64 - 1.5).collect();
            let s: Vec<f64> = (0..n).map(|i| (i % 5) as f64).collect();
            for (i, product) in m.times(&v).iter().enumerate() {
                let direct: f64 = m.row(i).iter().zip(&v).map(|(a, b)| a * b).sum();
                assert!((product - direct).abs() < 1e-10);
            }
            let (sum, gram) = (m.weighted_sum(&s), m.gram(&s));
            for i in 0..dim {
                let direct: f64 = (0..n).map(|e| s[e] * m.row(e)[i]).sum();
                assert!((sum[i] - direct).abs() < 1e-9);
                for j in 0..=i {
                    let direct: f64 = (0..n).map(|e| s[e] * m.row(e)[i] * m.row(e)[j]).sum();
                    assert!((gram[i * dim + j] - direct).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn cholesky_solves() {
        let (n, dim) = (60, 33);
        let m = matrix(n, dim);
        let mut gram = m.gram(&vec![1.0; n]);
        for i in 0..dim {
            gram[i * dim + i] += 0.5;
        }
        let x: Vec<f64> = (0..dim).map(|i| (i as f64).sin()).collect();
        let mut b: Vec<f64> = m.weighted_sum(&m.times(&x)).iter().zip(&x).map(|(g, x)| g + 0.5 * x).collect();
        Cholesky::new(gram, dim, 1e-300).solve(&mut b);
        assert!(b.iter().zip(&x).all(|(b, x)| (b - x).abs() < 1e-9));
    }
}
