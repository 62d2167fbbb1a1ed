//! Launches `kernels/gather_pairs.cu`: a block for each row of each run.

use super::{GatherPairs, PairBatch, PairScales, PairTables};
use crate::backend::cuda::{Argument, CudaView, Grid};
use crate::backend::{Cuda, Matrix};
use crate::error::Result;
use crate::ops::clock::Clock;

impl GatherPairs for Cuda {
    fn gather_pairs_raw(
        &self,
        tables: &PairTables<'_, Self>,
        scales: &PairScales<'_, Self>,
        orders: Matrix<'_, Self, u32>,
        clock: Clock<'_, Self>,
        batch: PairBatch<'_, Self>,
    ) -> Result<()> {
        let PairBatch { partner, rna, labels } = batch;
        let grid = Grid { blocks: [partner.rows, partner.runs], threads: 256, shared: 0 };
        let nothing = CudaView::<f32>::null();
        let (known, n_labels) = tables.labels.map_or((nothing, 0), |labels| (labels.view, labels.cols));
        let (label_rows, label_stride): (&dyn Argument, usize) =
            labels.as_ref().map_or((&nothing, 0), |labels| (&labels.view, labels.stride));
        let sizes = [orders.cols, scales.partner.stride, partner.stride, partner.cols, scales.rna.stride, rna.stride];
        let [order_stride, partner_scale_stride, partner_stride, d_partner, rna_scale_stride, rna_stride] =
            sizes.map(|n| n as u32);
        let sizes = [rna.cols, scales.label.stride, label_stride, n_labels];
        let [d_rna, label_scale_stride, label_stride, n_labels] = sizes.map(|n| n as u32);
        let arguments: [&dyn Argument; 22] = [
            &clock.view,
            &orders.view,
            &order_stride,
            &tables.pairs.view,
            &tables.partner.view,
            &scales.partner.view,
            &partner_scale_stride,
            &partner.view,
            &partner_stride,
            &d_partner,
            &tables.rna.view,
            &scales.rna.view,
            &rna_scale_stride,
            &rna.view,
            &rna_stride,
            &d_rna,
            &known,
            &scales.label.view,
            &label_scale_stride,
            label_rows,
            &label_stride,
            &n_labels,
        ];
        self.launch("gather_pairs", "gather_pairs", grid, &arguments)
    }
}
