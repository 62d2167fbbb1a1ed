//! Written over any backend; each `#[test]` names one.

use super::*;
use crate::backend::{Cpu, Isa};

/// Edges `(source, target, kind)` compressed by target, in the order given.
fn compress(n_nodes: usize, edges: &[(u32, u32, u32)]) -> [Vec<u32>; 3] {
    let mut sorted = edges.to_vec();
    sorted.sort_by_key(|edge| edge.1);
    let offsets = (0..=n_nodes).map(|node| sorted.partition_point(|edge| (edge.1 as usize) < node) as u32).collect();
    [offsets, sorted.iter().map(|edge| edge.0).collect(), sorted.iter().map(|edge| edge.2).collect()]
}

fn run<B: GinAggregate>(
    backend: &B,
    cols: usize,
    edges: &[(u32, u32, u32)],
    self_loop: usize,
    h: &[f32],
    kinds: &[f32],
) -> Vec<f32> {
    let (n_nodes, n_kinds) = (h.len() / cols, kinds.len() / cols);
    let [offsets, sources, codes] = compress(n_nodes, edges);
    let graph = Graph::new(backend, &offsets, &sources, &codes, n_kinds).unwrap();
    let mut y = backend.uploaded(&vec![9f32; h.len()]).unwrap();
    let (h, kinds) = (backend.uploaded(h).unwrap(), backend.uploaded(kinds).unwrap());
    gin_aggregate(
        backend,
        &graph,
        self_loop,
        Matrix::of(backend, &h, n_nodes, cols),
        Matrix::of(backend, &kinds, n_kinds, cols),
        MatrixMut::of(backend, &mut y, n_nodes, cols),
    )
    .unwrap();
    let mut out = vec![0.0; n_nodes * cols];
    backend.download(backend.view(&y, 0..n_nodes * cols), &mut out).unwrap();
    out
}

fn by_hand<B: GinAggregate>(backend: &B) {
    // Node 2 hears 0 by kind 0 and 1 by kind 1, node 0 hears 2 twice, node 1 nobody; kind 2 is the self loop.
    let edges = [(0, 2, 0), (2, 0, 1), (1, 2, 1), (2, 0, 1)];
    let (h, kinds) = ([1.0, 2.0, 10.0, 20.0, 100.0, 200.0], [0.25, 0.5, 1.0, 2.0, 3.0, 4.0]);
    let expected =
        [1.0 + 3.0 + 2.0 * 101.0, 2.0 + 4.0 + 2.0 * 202.0, 13.0, 24.0, 103.0 + 1.25 + 11.0, 204.0 + 2.5 + 22.0];
    assert_eq!(run(backend, 2, &edges, 2, &h, &kinds), expected);
    assert_eq!(run(backend, 2, &[], 0, &h[..2], &kinds), [1.25, 2.5]);
    assert!(run(backend, 2, &[], 0, &[], &kinds).is_empty());
}

/// Numbers in [−1, 1).
fn numbers(n: usize, state: &mut u32) -> Vec<f32> {
    let next = |_| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(next).collect()
}

fn random_graphs<B: GinAggregate>(backend: &B) {
    let mut state = 7;
    for (n_nodes, cols, n_edges) in [(1, 1, 3), (3, 7, 20), (70, 300, 150), (200, 33, 1500)] {
        let (h, kinds) = (numbers(n_nodes * cols, &mut state), numbers(5 * cols, &mut state));
        let place = |x: f32, n: usize| ((x.midpoint(1.0) * n as f32) as usize).min(n - 1) as u32;
        let ends = numbers(3 * n_edges, &mut state);
        let edges: Vec<_> =
            ends.chunks(3).map(|e| (place(e[0], n_nodes), place(e[1], n_nodes), place(e[2], 5))).collect();
        let found = run(backend, cols, &edges, 4, &h, &kinds);
        let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let (h, kinds) = (wide(&h), wide(&kinds));
        let mut expected = h.clone();
        for (node, row) in expected.chunks_mut(cols).enumerate() {
            for (c, value) in row.iter_mut().enumerate() {
                let heard = edges.iter().filter(|edge| edge.1 as usize == node);
                let said = heard.map(|edge| h[edge.0 as usize * cols + c] + kinds[edge.2 as usize * cols + c]);
                *value += kinds[4 * cols + c] + said.sum::<f64>();
            }
        }
        // At most some twenty terms below 2 a sum, in f32.
        for (found, expected) in found.iter().zip(&expected) {
            assert!((f64::from(*found) - expected).abs() < 2e-5, "{found} {expected}");
        }
    }
}

fn a_graph_sounds_the_same_in_company<B: GinAggregate>(backend: &B) {
    let mut state = 3;
    let (h, kinds) = (numbers(130 * 40, &mut state), numbers(3 * 40, &mut state));
    let edges: Vec<_> = (0..130).flat_map(|i| [(i / 10 * 10, i, i % 3), (i, i / 10 * 10, i % 2)]).collect();
    let whole = run(backend, 40, &edges, 1, &h, &kinds);
    for part in 0..13u32 {
        let own: Vec<_> = edges
            .iter()
            .filter(|edge| edge.1 / 10 == part)
            .map(|&(source, target, kind)| (source - part * 10, target - part * 10, kind))
            .collect();
        let rows = part as usize * 400..(part as usize + 1) * 400;
        assert_eq!(run(backend, 40, &own, 1, &h[rows.clone()], &kinds), whole[rows]);
    }
}

fn what_does_not_fit_is_refused<B: GinAggregate>(backend: &B) {
    let graph = |offsets: &[u32], sources: &[u32], kinds: &[u32]| Graph::new(backend, offsets, sources, kinds, 2);
    assert!(graph(&[0, 1, 2], &[1, 0], &[0, 1]).is_ok());
    assert!(graph(&[], &[], &[]).is_err());
    assert!(graph(&[1, 1, 2], &[1, 0], &[0, 1]).is_err());
    assert!(graph(&[0, 2, 1], &[1], &[0]).is_err());
    assert!(graph(&[0, 1, 3], &[1, 0], &[0, 1]).is_err());
    assert!(graph(&[0, 1, 2], &[1, 0], &[0]).is_err());
    assert!(graph(&[0, 1, 2], &[1, 2], &[0, 1]).is_err());
    assert!(graph(&[0, 1, 2], &[1, 0], &[0, 2]).is_err());
    let graph = graph(&[0, 1, 2], &[1, 0], &[0, 1]).unwrap();
    let op = |h: usize, kinds: usize, self_loop: usize, y: usize| {
        let (a, b) = (backend.zeros::<f32>(h * 3).unwrap(), backend.zeros(kinds * 3).unwrap());
        let mut c = backend.zeros::<f32>(y * 3).unwrap();
        let (a, b) = (Matrix::of(backend, &a, h, 3), Matrix::of(backend, &b, kinds, 3));
        gin_aggregate(backend, &graph, self_loop, a, b, MatrixMut::of(backend, &mut c, y, 3))
    };
    assert!(op(2, 2, 1, 2).is_ok());
    assert!(op(3, 2, 1, 2).is_err() && op(2, 3, 1, 2).is_err() && op(2, 2, 1, 3).is_err() && op(2, 2, 2, 2).is_err());
}

#[test]
fn cpu() {
    for backend in Isa::available().flat_map(|isa| [1, 2].map(|threads| Cpu { threads, isa })) {
        by_hand(&backend);
        random_graphs(&backend);
        a_graph_sounds_the_same_in_company(&backend);
        what_does_not_fit_is_refused(&backend);
    }
}
