//! Alternating single and double bonds for the aromatic part, whose lower-case letters are only a notation.

mod pairing;

use super::element;
use super::graph::Graph;
use super::molecule::{BondDirection, BondOrder};
use super::refusal::{Reason, Refusal};
use super::rings::{RingSystem, Rings};
use super::valence;
use pairing::Pairing;

/// Most atoms that a message names.
const ATOMS_SHOWN: usize = 8;

/// Replaces aromatic bonds by single and double ones and takes all aromatic marks away.
pub(super) fn kekulise(graph: &mut Graph, rings: &Rings) -> Result<(), Refusal> {
    if !graph.atoms.iter().any(|atom| atom.aromatic) && !graph.bonds.iter().any(|bond| bond.aromatic) {
        return Ok(());
    }
    let before: Vec<i32> = graph.atoms.iter().map(super::graph::GraphAtom::total_valence).collect();
    let mut pairing = Pairing::new(graph.atoms.len());
    for system in &rings.systems {
        kekulise_system(graph, system, &mut pairing)?;
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
    let shown: Vec<String> =
        atoms.iter().take(ATOMS_SHOWN).map(|&atom| graph.atoms[atom].written_as.to_string()).collect();
    let plural = if atoms.len() == 1 { "" } else { "s" };
    let more = if atoms.len() > ATOMS_SHOWN { " and more" } else { "" };
    Refusal::new(Reason::Kekulise, format!("atom{plural} {}{more} {what}", shown.join(", ")))
}

fn kekulise_system(graph: &mut Graph, system: &RingSystem, pairing: &mut Pairing) -> Result<(), Refusal> {
    let aromatic: Vec<usize> = system.atoms.iter().copied().filter(|&atom| graph.is_aromatic(atom)).collect();
    let wanting: Vec<usize> = aromatic.iter().copied().filter(|&atom| wants_double_bond(graph, atom)).collect();
    for &atom in &aromatic {
        for place in 0..graph.around(atom).len() {
            let number = graph.around(atom)[place].bond;
            let bond = &mut graph.bonds[number];
            if bond.aromatic && bond.order != BondOrder::Triple {
                bond.order = BondOrder::Single;
            }
        }
    }
    if wanting.is_empty() {
        return Ok(());
    }
    let Some(doubles) = pairing.find(graph, &aromatic, &wanting) else {
        return Err(refusal(graph, &wanting, "cannot be given alternating single and double bonds"));
    };
    for bond in doubles {
        graph.bonds[bond].order = BondOrder::Double;
    }
    for &bond in pairing.tried() {
        graph.bonds[bond].direction = BondDirection::None;
    }
    Ok(())
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
