//! Launches `kernels/gin_aggregate.cu`: a thread for each node and 8 columns.

use super::{GinAggregate, GraphView};
use crate::backend::cuda::{Argument, CudaView, CudaViewMut, Grid};
use crate::backend::{Activation, Cuda};
use crate::error::Result;

impl GinAggregate for Cuda {
    fn gin_aggregate_raw<A: Activation>(
        &self,
        cols: usize,
        graph: GraphView<'_, Self>,
        self_loop: usize,
        h: CudaView<'_, A>,
        kinds: CudaView<'_, f32>,
        y: CudaViewMut<'_, A>,
    ) -> Result<()> {
        let n_nodes = y.len().checked_div(cols).unwrap_or(0);
        let grid = Grid { blocks: [(n_nodes * (cols / 8)).div_ceil(256), 1], threads: 256, shared: 0 };
        let kernel = format!("gin_aggregate_{}", A::NAME);
        let GraphView { offsets, sources, kinds: edge_kinds } = graph;
        let [self_loop, n_nodes, cols] = [self_loop, n_nodes, cols].map(|n| n as i32);
        let arguments: [&dyn Argument; 9] =
            [&offsets, &sources, &edge_kinds, &self_loop, &h, &kinds, &y, &n_nodes, &cols];
        self.launch("gin_aggregate", &kernel, grid, &arguments)
    }
}
