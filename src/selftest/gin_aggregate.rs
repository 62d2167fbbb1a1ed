//! Sums over the neighbours of nodes: none, one, dozens.

use super::Subject;
use super::bench::{Bench, Case, Found};
use super::linear::sum_bound;
use super::numbers::{Guarded, Numbers, Operand, wide, widened_rows};
use super::reference::{self, Edges, Rounding};
use crate::backend::Activation;
use crate::error::Result;
use crate::ops::gin_aggregate::{Graph, gin_aggregate};

const N_KINDS: usize = 18;
const SELF_LOOP: usize = 12;

struct GinAggregate<A> {
    width: usize,
    h: Vec<A>,
    kinds: Vec<f32>,
    edges: Edges,
}

impl<A: Activation> GinAggregate<A> {
    /// The first node has no neighbour, the second up to 60, the others a few.
    fn of(n_nodes: usize, width: usize) -> Self {
        let mut numbers = Numbers::new(n_nodes + width);
        let mut edges = Edges { offsets: vec![0], ..Edges::default() };
        for node in 0..n_nodes {
            let n = [0, 60].get(node).copied().unwrap_or_else(|| numbers.below(5));
            edges.sources.extend((0..n).map(|_| numbers.below(n_nodes) as u32));
            edges.kinds.extend((0..n).map(|_| numbers.below(N_KINDS) as u32));
            edges.offsets.push(edges.sources.len() as u32);
        }
        let kinds = numbers.around(N_KINDS * width, 0.0, 1.0);
        Self { width, h: numbers.activations(n_nodes * width, 0.0, 1.0), kinds, edges }
    }
}

impl<A: Activation> Case<A> for GinAggregate<A> {
    fn op(&self) -> &'static str {
        "gin_aggregate"
    }
    fn size(&self) -> String {
        let (nodes, edges) = (self.edges.offsets.len() - 1, self.edges.sources.len());
        format!("{nodes} nodes, {edges} edges, width {}", self.width)
    }
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let Edges { offsets, sources, kinds } = &self.edges;
        let (width, padded) = (self.width, device.padded(self.width));
        let graph = Graph::new(device, offsets, sources, kinds, N_KINDS)?;
        let h = Operand::new(device, &widened_rows(&self.h, width, padded), padded)?;
        let table = Operand::new(device, &widened_rows(&self.kinds, width, padded), padded)?;
        let mut y = Guarded::<B, A>::unwritten(device, graph.n_nodes(), padded)?;
        gin_aggregate(device, &graph, SELF_LOOP, h.all(device), table.all(device), y.all(device))?;
        let (y, fault) = y.read(device)?;
        Ok(Found { values: y.chunks_exact(padded).flat_map(|y| A::widened(&y[..width]).into_owned()).collect(), fault })
    }
    fn exact(&self, rounding: Rounding) -> Vec<f64> {
        reference::aggregate(rounding, &self.edges, SELF_LOOP, &wide(&self.h), &wide(&self.kinds), self.width)
    }
    fn single_bound(&self, largest: f64) -> f64 {
        sum_bound(60, largest)
    }
}

pub(super) fn check<B: Subject, A: Activation>(bench: &mut Bench<'_, B>) {
    for (n_nodes, width) in [(1, 8), (2, 24), (33, 300), (90, 24), (257, 8)] {
        bench.check(&GinAggregate::<A>::of(n_nodes, width));
    }
}
