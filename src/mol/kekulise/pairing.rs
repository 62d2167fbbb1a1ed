//! Pairs of neighbouring aromatic atoms that share a double bond, so that every atom that wants one has it.
//!
//! Which of the possible structures is chosen matters where the ring is not aromatic in the end, so the search visits
//! atoms in the order in which RDKit does: breadth first from the lowest number, the lowest possible partner first,
//! with steps back to the last choice. RDKit takes at most 100 of them in this order and then tries the order of
//! canonical ranks; here the second try is the same search from the highest number down.

use super::super::graph::{Graph, Incidence};
use std::collections::VecDeque;

/// Steps back in the order of numbers, and in the reverse order.
const STEPS_BACK: [usize; 2] = [100, 1000];

/// The search, with marks per atom that are reused from system to system.
pub(super) struct Pairing {
    upwards: bool,
    in_play: Vec<bool>,
    wants: Vec<bool>,
    is_done: Vec<bool>,
    queued: Vec<bool>,
    done: Vec<usize>,
    queue: VecDeque<usize>,
    /// Atoms with partners that were not tried yet, the last one chosen last.
    choices: Vec<(usize, VecDeque<usize>)>,
    /// Double bonds, with the number of atoms done when each was made.
    doubles: Vec<(usize, usize)>,
    /// Bonds that were double at any time of the search.
    tried: Vec<usize>,
}

impl Pairing {
    pub(super) fn new(atoms: usize) -> Self {
        let none = || vec![false; atoms];
        Self {
            upwards: true,
            in_play: none(),
            wants: none(),
            is_done: none(),
            queued: none(),
            done: Vec::new(),
            queue: VecDeque::new(),
            choices: Vec::new(),
            doubles: Vec::new(),
            tried: Vec::new(),
        }
    }

    /// The bonds to make double among the `aromatic` atoms of one ring system (ascending), so that all `wanting` ones
    /// get one; `None` when the search does not find any.
    ///
    /// [`tried`](Self::tried) tells afterwards which bonds were double at any time: they have lost their marks.
    pub(super) fn find(&mut self, graph: &Graph, aromatic: &[usize], wanting: &[usize]) -> Option<Vec<usize>> {
        self.tried.clear();
        let reversed: Vec<usize> = aromatic.iter().rev().copied().collect();
        let tries = [(true, aromatic, STEPS_BACK[0]), (false, reversed.as_slice(), STEPS_BACK[1])];
        let found = tries.into_iter().find_map(|(upwards, order, steps_back)| {
            self.clear(aromatic);
            self.upwards = upwards;
            for &atom in aromatic {
                self.in_play[atom] = true;
            }
            for &atom in wanting {
                self.wants[atom] = true;
            }
            self.run(graph, order, steps_back)
        });
        self.clear(aromatic);
        found
    }

    pub(super) fn tried(&self) -> &[usize] {
        &self.tried
    }

    fn clear(&mut self, atoms: &[usize]) {
        for &atom in atoms {
            for marks in [&mut self.in_play, &mut self.wants, &mut self.is_done, &mut self.queued] {
                marks[atom] = false;
            }
        }
        self.done.clear();
        self.queue.clear();
        self.choices.clear();
        self.doubles.clear();
    }

    fn run(&mut self, graph: &Graph, order: &[usize], steps_back: usize) -> Option<Vec<usize>> {
        let mut steps = 0;
        let mut start = 0;
        loop {
            let atom = if let Some(atom) = self.queue.pop_front() {
                self.queued[atom] = false;
                atom
            } else {
                while order.get(start).is_some_and(|&atom| self.is_done[atom]) {
                    start += 1;
                }
                let Some(&atom) = order.get(start) else { break };
                atom
            };
            self.done.push(atom);
            self.is_done[atom] = true;
            let chosen_before = self.choices.last().is_some_and(|choice| choice.0 == atom);
            let mut partners = if chosen_before { self.choices.pop()?.1 } else { self.expand(graph, atom) };
            if !self.wants[atom] {
                continue;
            }
            if let Some(partner) = partners.pop_front() {
                self.wants[atom] = false;
                self.wants[partner] = false;
                let bond = graph.bond_between(atom, partner)?;
                self.doubles.push((bond, self.done.len()));
                self.tried.push(bond);
                if !partners.is_empty() {
                    self.choices.push((atom, partners));
                }
            } else {
                if steps == steps_back || !self.step_back(graph) {
                    return None;
                }
                steps += 1;
                start = 0;
            }
        }
        Some(self.doubles.iter().map(|&(bond, _)| bond).collect())
    }

    /// Queues the neighbours that are not done and returns the possible partners among them.
    fn expand(&mut self, graph: &Graph, atom: usize) -> VecDeque<usize> {
        let open = |i: &&Incidence| self.in_play[i.neighbour] && !self.is_done[i.neighbour];
        let mut next: Vec<Incidence> = graph.around(atom).iter().filter(open).copied().collect();
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
    fn step_back(&mut self, graph: &Graph) -> bool {
        let Some(last) = self.choices.last().map(|choice| choice.0) else { return false };
        let Some(place) = self.done.iter().rposition(|&atom| atom == last) else { return false };
        for &atom in self.done[place..].iter().rev() {
            self.is_done[atom] = false;
            self.queued[atom] = true;
            self.queue.push_front(atom);
        }
        self.done.truncate(place);
        while let Some(&(bond, _)) = self.doubles.last().filter(|&&(_, done)| done > place) {
            let bond = &graph.bonds[bond];
            self.wants[bond.begin] = true;
            self.wants[bond.end] = true;
            self.doubles.pop();
        }
        true
    }
}
