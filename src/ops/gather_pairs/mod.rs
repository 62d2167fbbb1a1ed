//! The pairs of a step: vectors out of the tables that lie on the device, standardised, and their labels.

mod cpu;
mod cuda;

use super::clock::{CLOCK_WORDS, Clock};
use crate::backend::{Matrix, Memory, Stack, StackMut, expect_shape};
use crate::error::Result;

/// A data set on a device.
pub struct PairTables<'a, B: Memory> {
    /// Partner vectors, each entity once, `[n_partners, d_partner]`.
    pub partner: Matrix<'a, B, f32>,
    /// RNA vectors, `[n_rnas, d_rna]`.
    pub rna: Matrix<'a, B, f32>,
    /// Row of the partner and row of the RNA of each pair, `[n_pairs, 2]`.
    pub pairs: Matrix<'a, B, u32>,
    /// Labels, `[n_pairs, n_labels]`; `None` where nobody asks for them.
    pub labels: Option<Matrix<'a, B, f32>>,
}

/// How each run standardises: `z = (x − mean)·inverse_sd` per feature, and labels ÷ label scale.
pub struct PairScales<'a, B: Memory> {
    /// Mean and 1/SD of the partner's features, `[runs, 2, d_partner]`.
    pub partner: Stack<'a, B, f32>,
    /// Mean and 1/SD of the RNA's features, `[runs, 2, d_rna]`.
    pub rna: Stack<'a, B, f32>,
    /// What labels are divided by, `[runs, 1, 1]`.
    pub label: Stack<'a, B, f32>,
}

/// Where the pairs of a step go.
pub struct PairBatch<'a, B: Memory> {
    /// `[runs, n, d_partner]`.
    pub partner: StackMut<'a, B, f32>,
    /// `[runs, n, d_rna]`.
    pub rna: StackMut<'a, B, f32>,
    /// `[runs, n, n_labels]`, where the tables have labels.
    pub labels: Option<StackMut<'a, B, f32>>,
}

/// The device side of [`gather_pairs`].
pub trait GatherPairs: Memory {
    /// See [`gather_pairs`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn gather_pairs_raw(
        &self,
        tables: &PairTables<'_, Self>,
        scales: &PairScales<'_, Self>,
        orders: Matrix<'_, Self, u32>,
        clock: Clock<'_, Self>,
        batch: PairBatch<'_, Self>,
    ) -> Result<()>;
}

/// Row `i` of a run's batch is pair `orders[run, first + i]` of the tables, for `i < n_rows` of its tick. Rows behind them
/// have vectors of zeros and unknown labels (NaN), which add nothing to a loss or a gradient.
///
/// `orders [runs, longest]`; a tick's rows lie in its run's order and name pairs of the tables, which the caller sees to.
///
/// # Errors
/// When the shapes do not fit.
pub fn gather_pairs<B: GatherPairs>(
    backend: &B,
    tables: &PairTables<'_, B>,
    scales: &PairScales<'_, B>,
    orders: Matrix<'_, B, u32>,
    clock: Clock<'_, B>,
    batch: PairBatch<'_, B>,
) -> Result<()> {
    const OP: &str = "gather_pairs";
    let [runs, n, _] = batch.partner.shape();
    expect_shape(OP, "pairs", [tables.pairs.rows, 2], tables.pairs.shape())?;
    expect_shape(OP, "partner", [runs, n, tables.partner.cols], batch.partner.shape())?;
    expect_shape(OP, "rna", [runs, n, tables.rna.cols], batch.rna.shape())?;
    expect_shape(OP, "scale of the partner", [runs, 2, tables.partner.cols], scales.partner.shape())?;
    expect_shape(OP, "scale of the RNA", [runs, 2, tables.rna.cols], scales.rna.shape())?;
    expect_shape(OP, "scale of the labels", [runs, 1, 1], scales.label.shape())?;
    expect_shape(OP, "orders", [runs, orders.cols], orders.shape())?;
    expect_shape(OP, "clock", [runs, CLOCK_WORDS], clock.shape())?;
    let width = tables.labels.map_or(0, |labels| labels.cols);
    if let Some(labels) = &tables.labels {
        expect_shape(OP, "table of labels", [tables.pairs.rows, width], labels.shape())?;
    }
    expect_shape(OP, "labels", [runs, n, width], batch.labels.as_ref().map_or([runs, n, 0], StackMut::shape))?;
    backend.gather_pairs_raw(tables, scales, orders, clock, batch)
}

#[cfg(test)]
mod tests;
