//! A directed graph as the edges into each of its nodes.

use crate::backend::Memory;
use crate::error::{Error, Result};

/// The edges into every node in memory of a device, compressed by rows: those into node i are `offsets[i]..offsets[i+1]`.
pub struct Graph<B: Memory> {
    n_nodes: usize,
    n_edges: usize,
    n_kinds: usize,
    offsets: B::Buffer<u32>,
    sources: B::Buffer<u32>,
    kinds: B::Buffer<u32>,
}

/// What an op reads of a [`Graph`].
pub struct GraphView<'a, B: Memory> {
    /// Where the edges into each node begin, and where the last ones end, `[n_nodes + 1]`.
    pub offsets: B::View<'a, u32>,
    /// Node at the other end of each edge, `[n_edges]`.
    pub sources: B::View<'a, u32>,
    /// Kind of each edge, `[n_edges]`.
    pub kinds: B::View<'a, u32>,
}

impl<B: Memory> Graph<B> {
    /// Checks the graph and takes it to the device.
    ///
    /// # Errors
    /// [`Error::Shape`] when `offsets` do not ascend from 0 to the number of edges, or a source or a kind is not there;
    /// when the device has no memory left.
    pub fn new(backend: &B, offsets: &[u32], sources: &[u32], kinds: &[u32], n_kinds: usize) -> Result<Self> {
        let n_nodes = offsets.len().saturating_sub(1);
        let inside = |indices: &[u32], end: usize| indices.iter().all(|&index| (index as usize) < end);
        let faults = [
            (offsets.first() != Some(&0) || !offsets.is_sorted(), "offsets that ascend from 0"),
            (offsets.last().is_some_and(|&end| end as usize != sources.len()), "as many sources as the offsets say"),
            (kinds.len() != sources.len(), "as many kinds as sources"),
            (!inside(sources, n_nodes), "sources among the nodes"),
            (!inside(kinds, n_kinds), "kinds among the kinds"),
        ];
        if let Some((_, expected)) = faults.iter().find(|(is_fault, _)| *is_fault) {
            let found = format!("{n_nodes} nodes, {} sources, {} kinds of edges", sources.len(), kinds.len());
            return Err(Error::Shape { op: "gin_aggregate", expected: (*expected).to_owned(), found });
        }
        Ok(Self {
            n_nodes,
            n_edges: sources.len(),
            n_kinds,
            offsets: backend.uploaded(offsets)?,
            sources: backend.uploaded(sources)?,
            kinds: backend.uploaded(kinds)?,
        })
    }

    /// Nodes.
    #[must_use]
    pub fn n_nodes(&self) -> usize {
        self.n_nodes
    }
    /// Kinds that an edge can be of.
    #[must_use]
    pub fn n_kinds(&self) -> usize {
        self.n_kinds
    }
    /// The graph for an op.
    pub fn view<'a>(&'a self, backend: &B) -> GraphView<'a, B> {
        GraphView {
            offsets: backend.view(&self.offsets, 0..self.n_nodes + 1),
            sources: backend.view(&self.sources, 0..self.n_edges),
            kinds: backend.view(&self.kinds, 0..self.n_edges),
        }
    }
}
