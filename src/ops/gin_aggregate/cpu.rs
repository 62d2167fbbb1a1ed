//! CPU twin: one pass over the edges into each node, vectorised along the width for the instruction set found at run
//! time.

use rayon::prelude::*;

use super::{GinAggregate, GraphView};
use crate::backend::{Activation, Cpu};
use crate::error::Result;

/// Nodes that one task takes.
const BLOCK_NODES: usize = 64;

impl GinAggregate for Cpu {
    fn gin_aggregate_raw<A: Activation>(
        &self,
        cols: usize,
        graph: GraphView<'_, Self>,
        self_loop: usize,
        h: &[A],
        kinds: &[f32],
        y: &mut [A],
    ) -> Result<()> {
        if cols == 0 {
            return Ok(());
        }
        let h = A::widened(h);
        let block = |(i, y): (usize, &mut [f32])| {
            self.isa.dispatch(|| nodes(cols, &graph, self_loop, i * BLOCK_NODES, &h, kinds, y));
        };
        A::in_f32(y, |y| {
            if self.threads > 1 && y.len() > BLOCK_NODES * cols {
                y.par_chunks_mut(BLOCK_NODES * cols).enumerate().for_each(block);
            } else {
                y.chunks_mut(BLOCK_NODES * cols).enumerate().for_each(block);
            }
        });
        Ok(())
    }
}

/// The nodes from `first` on that `y` holds.
// Only code that is inlined into the dispatched closure is compiled for the instruction set found.
#[allow(clippy::inline_always)]
#[inline(always)]
fn nodes(
    cols: usize,
    graph: &GraphView<'_, Cpu>,
    self_loop: usize,
    first: usize,
    h: &[f32],
    kinds: &[f32],
    y: &mut [f32],
) {
    let row = |rows: usize| rows * cols..(rows + 1) * cols;
    for (node, y) in (first..).zip(y.chunks_exact_mut(cols)) {
        y.copy_from_slice(&h[row(node)]);
        for (y, &kind) in y.iter_mut().zip(&kinds[row(self_loop)]) {
            *y += kind;
        }
        for edge in graph.offsets[node] as usize..graph.offsets[node + 1] as usize {
            let (source, kind) = (graph.sources[edge] as usize, graph.kinds[edge] as usize);
            for ((y, &h), &kind) in y.iter_mut().zip(&h[row(source)]).zip(&kinds[row(kind)]) {
                *y += h + kind;
            }
        }
    }
}
