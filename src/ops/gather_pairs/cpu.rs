//! CPU twin.

use super::{GatherPairs, PairBatch, PairScales, PairTables};
use crate::backend::{Cpu, Matrix};
use crate::error::Result;
use crate::ops::clock::{Clock, Tick};

impl GatherPairs for Cpu {
    fn gather_pairs_raw(
        &self,
        tables: &PairTables<'_, Self>,
        scales: &PairScales<'_, Self>,
        orders: Matrix<'_, Self, u32>,
        clock: Clock<'_, Self>,
        mut batch: PairBatch<'_, Self>,
    ) -> Result<()> {
        for run in 0..batch.partner.runs {
            let tick = Tick::of(clock, run);
            let order = &orders.view[run * orders.cols + tick.first as usize..][..tick.n_rows as usize];
            let rows = |side: usize| order.iter().map(move |&pair| tables.pairs.view[2 * pair as usize + side]);
            standardised(tables.partner, rows(0), scales.partner.matrix(run), batch.partner.matrix(run));
            standardised(tables.rna, rows(1), scales.rna.matrix(run), batch.rna.matrix(run));
            if let (Some(labels), Some(to)) = (tables.labels, &mut batch.labels) {
                let (to, scale) = (to.matrix(run), scales.label.matrix(run)[0]);
                to.fill(f32::NAN);
                for (to, &pair) in to.chunks_exact_mut(labels.cols.max(1)).zip(order) {
                    let from = &labels.view[pair as usize * labels.cols..][..labels.cols];
                    to.iter_mut().zip(from).for_each(|(to, label)| *to = label / scale);
                }
            }
        }
        Ok(())
    }
}

/// The standardised rows of a table, and zeros behind them.
fn standardised(table: Matrix<'_, Cpu, f32>, rows: impl Iterator<Item = u32>, scale: &[f32], to: &mut [f32]) {
    let (mean, inverse_sd) = scale.split_at(table.cols);
    let mut to = to.chunks_exact_mut(table.cols.max(1));
    pulp::Arch::new().dispatch(|| {
        for (row, to) in rows.zip(&mut to) {
            let from = &table.view[row as usize * table.cols..][..table.cols];
            for (((to, x), mean), inverse_sd) in to.iter_mut().zip(from).zip(mean).zip(inverse_sd) {
                *to = (x - mean) * inverse_sd;
            }
        }
        to.for_each(|row| row.fill(0.0));
    });
}
