//! Electrons that an atom has for a system of conjugated double bonds.

use super::element;
use super::graph::Graph;

/// Electrons beyond the single bonds: one for a double bond, two for a lone pair; `None` where there can be none.
pub(super) fn available(graph: &Graph, number: usize) -> Option<i32> {
    let atom = &graph.atoms[number];
    let default = element::default_valence(atom.element);
    let degree = graph.total_degree(number);
    if default <= 1 || degree > 3 {
        return None;
    }
    let lone_pairs = (element::outer_electrons(atom.element) - default - i32::from(atom.charge)).max(0);
    let electrons = default - degree + lone_pairs - i32::from(atom.radicals);
    let triple = atom.explicit_valence - graph.degree(number) > 1;
    let electrons = if electrons > 1 && triple { 1 } else { electrons };
    (electrons >= 0).then_some(electrons)
}
