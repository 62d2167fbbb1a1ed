//! Folding on a device, in f32: layers that the device's own linear op runs.

use super::dense::Dense;
use super::{Fold, Table};
use crate::backend::{Matrix, MatrixMut, Memory};
use crate::error::Result;
use crate::ops::linear::{Epilogue, Linear, LinearTensors, LinearWeights, Precision, linear};
use crate::weights::Tensor;

/// Folded entities of one side of all members, `[n_members · n_tables · n, row]`: what
/// [`pair_score`](crate::ops::pair_score::pair_score) reads.
pub struct FoldedTables<B: Memory> {
    /// Entities.
    pub n: usize,
    /// Width of a row, padding included.
    pub row: usize,
    /// The rows.
    pub buffer: B::Buffer<f32>,
}

struct MemberFolder<W> {
    projection: Option<W>,
    /// `None` where the table is the operand itself.
    tables: Vec<Option<W>>,
}

/// The folded layers of one side of an ensemble, on a device.
pub struct SideFolder<B: Linear> {
    members: Vec<MemberFolder<B::Weights>>,
    n_tables: usize,
    row: usize,
}

impl<B: Linear> SideFolder<B> {
    /// Takes the layers of side 0 (entries) or 1 (targets) to the device.
    ///
    /// # Errors
    /// When the device has no memory left.
    pub fn new(backend: &B, folds: &[Fold], side: usize) -> Result<Self> {
        let load = |dense: &Dense| {
            let layer = dense.rounded();
            let weight = [Tensor::from_f32("folded.weight", &[layer.d_out, layer.d_in], layer.weight)];
            let bias = [Tensor::from_f32("folded.bias", &[layer.d_out], layer.bias)];
            backend.load_linear(LinearTensors::Stacked { weights: &weight, biases: &bias }, Precision::F32)
        };
        let member = |fold: &Fold| -> Result<MemberFolder<B::Weights>> {
            let table = |table: &Table| match table {
                Table::Operand => Ok(None),
                Table::Linear(dense) => load(dense).map(Some),
            };
            Ok(MemberFolder {
                projection: fold.sides[side].projection.as_ref().map(load).transpose()?,
                tables: fold.sides[side].tables.iter().map(table).collect::<Result<_>>()?,
            })
        };
        let first = &folds[0];
        Ok(Self {
            members: folds.iter().map(member).collect::<Result<_>>()?,
            n_tables: first.form.n_tables(),
            row: backend.padded(first.width),
        })
    }

    /// Folds `n` entities, whose vectors `[n, d_in]` each member reads as it standardises them.
    ///
    /// # Errors
    /// When the vectors are not `n` rows; what the device reports.
    pub fn fold(&self, backend: &B, n: usize, vectors: &[impl AsRef<[f32]>]) -> Result<FoldedTables<B>> {
        let table_len = n * self.row;
        let mut buffer = backend.zeros(self.members.len() * self.n_tables * table_len)?;
        for (i, (member, vectors)) in self.members.iter().zip(vectors).enumerate() {
            let start = |table: usize| (i * self.n_tables + table) * table_len;
            let x = padded_rows(backend, n, vectors.as_ref())?;
            let d_in = x.len.checked_div(n).unwrap_or(0);
            let projected = member.projection.as_ref().map(|weights| -> Result<B::Buffer<f32>> {
                let mut y = backend.zeros(n * weights.d_out())?;
                let x = Matrix::of(backend, &x.buffer, n, d_in);
                linear(backend, x, weights, Epilogue::Relu, MatrixMut::of(backend, &mut y, n, weights.d_out()))?;
                Ok(y)
            });
            let projected = projected.transpose()?;
            let (operand, width) = match (&projected, &member.projection) {
                (Some(y), Some(weights)) => (y, weights.d_out()),
                _ => (&x.buffer, d_in),
            };
            for (table, weights) in member.tables.iter().enumerate() {
                let out = MatrixMut::at(backend, &mut buffer, start(table), n, self.row);
                let operand = Matrix::of(backend, operand, n, width);
                match weights {
                    Some(weights) => linear(backend, operand, weights, Epilogue::Store, out)?,
                    None => backend.copy(operand.view, out.view)?,
                }
            }
        }
        Ok(FoldedTables { n, row: self.row, buffer })
    }
}

/// Rows on the device, padded to its width.
struct PaddedRows<B: Memory> {
    buffer: B::Buffer<f32>,
    len: usize,
}

fn padded_rows<B: Memory>(backend: &B, n: usize, vectors: &[f32]) -> Result<PaddedRows<B>> {
    let d = vectors.len().checked_div(n).unwrap_or(0);
    let row = backend.padded(d);
    if row == d {
        return Ok(PaddedRows { buffer: backend.uploaded(vectors)?, len: vectors.len() });
    }
    let mut rows = vec![0.0; n * row];
    for (to, from) in rows.chunks_exact_mut(row).zip(vectors.chunks_exact(d)) {
        to[..d].copy_from_slice(from);
    }
    Ok(PaddedRows { buffer: backend.uploaded(&rows)?, len: rows.len() })
}
