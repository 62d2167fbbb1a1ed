//! What a node of a graph network hears: its neighbours, the bonds to them, and itself.

mod cpu;
mod cuda;
mod graph;

pub use graph::{Graph, GraphView};

use crate::backend::{Activation, Matrix, MatrixMut, Memory, expect_shape};
use crate::error::{Error, Result};

/// The device side of [`gin_aggregate`].
pub trait GinAggregate: Memory {
    /// See [`gin_aggregate`]; shapes and indices have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn gin_aggregate_raw<A: Activation>(
        &self,
        cols: usize,
        graph: GraphView<'_, Self>,
        self_loop: usize,
        h: Self::View<'_, A>,
        kinds: Self::View<'_, f32>,
        y: Self::ViewMut<'_, A>,
    ) -> Result<()>;
}

/// `yᵢ = hᵢ + k_self + Σ (h_source + k_kind)` over the edges into node i, in the order in which the graph lists them.
///
/// `h [n_nodes, width]` are the states, `kinds [n_kinds, width]` one row per kind of edge, `self_loop` the kind of the
/// edge from a node to itself, `y [n_nodes, width]`. The edges into a node fix the order of its sum, whatever else is
/// in the graph.
///
/// # Errors
/// When the shapes do not fit the graph.
pub fn gin_aggregate<B: GinAggregate, A: Activation>(
    backend: &B,
    graph: &Graph<B>,
    self_loop: usize,
    h: Matrix<'_, B, A>,
    kinds: Matrix<'_, B, f32>,
    y: MatrixMut<'_, B, A>,
) -> Result<()> {
    expect_shape("gin_aggregate", "h", [graph.n_nodes(), y.cols], h.shape())?;
    expect_shape("gin_aggregate", "kinds", [graph.n_kinds(), y.cols], kinds.shape())?;
    expect_shape("gin_aggregate", "y", [graph.n_nodes(), h.cols], y.shape())?;
    if self_loop >= graph.n_kinds() {
        return Err(Error::Shape {
            op: "gin_aggregate",
            expected: format!("a self loop among {} kinds", graph.n_kinds()),
            found: self_loop.to_string(),
        });
    }
    backend.gin_aggregate_raw(h.cols, graph.view(backend), self_loop, h.view, kinds.view, y.view)
}

#[cfg(test)]
mod tests;
