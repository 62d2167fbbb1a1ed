//! Alternating single and double bonds for the aromatic part, whose lower-case letters are only a notation.
//!
//! Which of the possible structures is chosen matters where the ring is not aromatic in the end, so the search visits
//! atoms in the order in which RDKit does: breadth first from the lowest number, the lowest possible partner first,
//! with steps back to the last choice. RDKit takes at most 100 of them in this order and then tries another one; here
//! the second try is the same search from the highest number down.

use super::element;
use super::graph::Graph;
use super::molecule::{BondDirection, BondOrder};
use super::refusal::{Reason, Refusal};
use super::rings::{RingSystem, Rings};
use super::valence;
use std::collections::VecDeque;

/// Steps back in the order of numbers, and in the reverse order.
const STEPS_BACK: [usize; 2] = [100, 1000];

/// Replaces aromatic bonds by single and double ones and takes all aromatic marks away.
pub(super) fn kekulise(graph: &mut Graph, rings: &Rings) -> Result<(), Refusal> {
    if !graph.atoms.iter().any(|atom| atom.aromatic) && !graph.bonds.iter().any(|bond| bond.aromatic) {
        return Ok(());
    }
    let before: Vec<i32> = graph.atoms.iter().map(super::graph::GraphAtom::total_valence).collect();
    for system in &rings.systems {
        if system.atoms.iter().any(|&atom| graph.is_aromatic(atom)) {
            kekulise_system(graph, system)?;
        }
    }
    graph.bonds.iter_mut().for_each(|bond| bond.aromatic = false);
    for atom in 0..graph.atoms.len() {
        let state = &mut graph.atoms[atom];
        if state.aromatic {
            if !rings.atom_in_ring[atom] {
                return Err(refusal(graph, &[atom], "is written as aromatic, but is in no ring"));
            }
            state.aromatic = false;
            // The hydrogen of a pyrrole was written only to tell it from pyridine.
            if matches!(state.element, 7 | 15) && state.charge == 0 && state.explicit_h == 1 {
                state.no_implicit = false;
                state.explicit_h = 0;
                valence::update(graph, atom);
            }
        }
    }
    match (0..before.len()).find(|&atom| graph.atoms[atom].total_valence() != before[atom]) {
        Some(atom) => Err(refusal(graph, &[atom], "would change its valence with alternating bonds")),
        None => Ok(()),
    }
}

fn refusal(graph: &Graph, atoms: &[usize], what: &str) -> Refusal {
    let numbers: Vec<String> = atoms.iter().map(|&atom| graph.atoms[atom].written_as.to_string()).collect();
    let plural = if numbers.len() == 1 { "" } else { "s" };
    Refusal::new(Reason::Kekulise, format!("atom{plural} {} {what}", numbers.join(", ")))
}

fn kekulise_system(graph: &mut Graph, system: &RingSystem) -> Result<(), Refusal> {
    let n = graph.atoms.len();
    let aromatic: Vec<usize> = system.atoms.iter().copied().filter(|&atom| graph.is_aromatic(atom)).collect();
    let mut wants = vec![false; n];
    for &atom in &aromatic {
        wants[atom] = wants_double_bond(graph, atom);
    }
    for &atom in &aromatic {
        for i in graph.around(atom).to_vec() {
            let bond = &mut graph.bonds[i.bond];
            if bond.aromatic && bond.order != BondOrder::Triple {
                bond.order = BondOrder::Single;
            }
        }
    }
    if !wants.contains(&true) {
        return Ok(());
    }
    for (upwards, steps) in [true, false].into_iter().zip(STEPS_BACK) {
        let order = if upwards { aromatic.clone() } else { aromatic.iter().rev().copied().collect() };
        let search = Search::new(graph, system, order, wants.clone(), upwards);
        if let Some(doubles) = search.run(steps) {
            for bond in doubles {
                graph.bonds[bond].order = BondOrder::Double;
                graph.bonds[bond].direction = BondDirection::None;
            }
            return Ok(());
        }
    }
    let wanting: Vec<usize> = aromatic.into_iter().filter(|&atom| wants[atom]).collect();
    Err(refusal(graph, &wanting, "cannot be given alternating single and double bonds"))
}

/// Whether the aromatic atom lacks exactly the second half of a double bond.
fn wants_double_bond(graph: &Graph, number: usize) -> bool {
    let atom = &graph.atoms[number];
    let contribution = |bond: &super::graph::GraphBond| match bond.order {
        BondOrder::Triple => 3,
        _ if bond.aromatic => 1,
        BondOrder::Single => 1,
        BondOrder::Double | BondOrder::Aromatic => 2,
    };
    let used = graph.bonds_of(number).map(|(_, bond)| contribution(bond)).sum::<i32>() + atom.total_h();
    let mut charge = i32::from(atom.charge);
    if element::is_left_of_carbon(atom.element) || (atom.element == 6 && charge > 0) {
        charge = -charge;
    }
    let radicals = i32::from(atom.radicals);
    let degree = graph.degree(number) + atom.implicit_h();
    let valences = element::valences(atom.element);
    let mut valence = element::default_valence(atom.element) + charge;
    for higher in valences.iter().skip(1).take_while(|&&v| v > 0) {
        if atom.total_valence() <= valence {
            break;
        }
        valence = higher + charge;
    }
    if degree + radicals >= valence {
        return false;
    }
    valence == used + 1 + radicals || (radicals == 0 && atom.no_implicit && valence == used + 2)
}

/// A walk over the aromatic atoms of one system that pairs up those which want a double bond.
struct Search<'a> {
    graph: &'a Graph,
    upwards: bool,
    in_system: Vec<bool>,
    /// Where to start, and to start again.
    order: Vec<usize>,
    wants: Vec<bool>,
    done: Vec<usize>,
    is_done: Vec<bool>,
    queue: VecDeque<usize>,
    queued: Vec<bool>,
    /// Atoms with partners that were not tried yet, the last one chosen last.
    choices: Vec<(usize, VecDeque<usize>)>,
    /// Double bonds, with the number of atoms done when each was made.
    doubles: Vec<(usize, usize)>,
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph, system: &RingSystem, order: Vec<usize>, wants: Vec<bool>, upwards: bool) -> Self {
        let n = graph.atoms.len();
        let mut in_system = vec![false; n];
        order.iter().for_each(|&atom| in_system[atom] = true);
        let capacity = system.atoms.len();
        Self {
            graph,
            upwards,
            in_system,
            order,
            wants,
            done: Vec::with_capacity(capacity),
            is_done: vec![false; n],
            queue: VecDeque::with_capacity(capacity),
            queued: vec![false; n],
            choices: Vec::new(),
            doubles: Vec::new(),
        }
    }

    /// The bonds to make double, or `None` when the steps back are used up.
    fn run(mut self, steps_back: usize) -> Option<Vec<usize>> {
        let mut steps = 0;
        let mut start = 0;
        loop {
            let atom = if let Some(atom) = self.queue.pop_front() {
                self.queued[atom] = false;
                atom
            } else {
                while self.order.get(start).is_some_and(|&atom| self.is_done[atom]) {
                    start += 1;
                }
                let Some(&atom) = self.order.get(start) else { break };
                atom
            };
            self.done.push(atom);
            self.is_done[atom] = true;
            let chosen_before = self.choices.last().is_some_and(|choice| choice.0 == atom);
            let mut partners = if chosen_before { self.choices.pop()?.1 } else { self.expand(atom) };
            if !self.wants[atom] {
                continue;
            }
            if let Some(partner) = partners.pop_front() {
                self.wants[atom] = false;
                self.wants[partner] = false;
                self.doubles.push((self.graph.bond_between(atom, partner)?, self.done.len()));
                if !partners.is_empty() {
                    self.choices.push((atom, partners));
                }
            } else {
                if steps == steps_back || !self.step_back() {
                    return None;
                }
                steps += 1;
                start = 0;
            }
        }
        Some(self.doubles.into_iter().map(|(bond, _)| bond).collect())
    }

    /// Queues the neighbours that are not done and returns the possible partners among them.
    fn expand(&mut self, atom: usize) -> VecDeque<usize> {
        let graph = self.graph;
        let open = |i: &&super::graph::Incidence| self.in_system[i.neighbour] && !self.is_done[i.neighbour];
        let mut next: Vec<_> = graph.around(atom).iter().filter(open).copied().collect();
        next.sort_unstable_by_key(|i| i.neighbour);
        if !self.upwards {
            next.reverse();
        }
        let mut partners = VecDeque::new();
        for i in next {
            if !self.queued[i.neighbour] {
                self.queued[i.neighbour] = true;
                self.queue.push_back(i.neighbour);
            }
            if self.wants[atom] && self.wants[i.neighbour] && graph.bonds[i.bond].aromatic {
                partners.push_back(i.neighbour);
            }
        }
        partners
    }

    /// Takes everything back that was done since the last atom with a choice.
    fn step_back(&mut self) -> bool {
        let Some(last) = self.choices.last().map(|choice| choice.0) else { return false };
        let Some(place) = self.done.iter().rposition(|&atom| atom == last) else { return false };
        for &atom in self.done[place..].iter().rev() {
            self.is_done[atom] = false;
            self.queued[atom] = true;
            self.queue.push_front(atom);
        }
        self.done.truncate(place);
        while let Some(&(bond, done)) = self.doubles.last().filter(|double| double.1 > place) {
            debug_assert!(done > place);
            let bond = &self.graph.bonds[bond];
            self.wants[bond.begin] = true;
            self.wants[bond.end] = true;
            self.doubles.pop();
        }
        true
    }
}
