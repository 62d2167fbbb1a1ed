//! Aromatic rings by RDKit's model: rings and edge-fused unions of up to six of them with 4n + 2 electrons.

mod fused;

use super::electrons;
use super::element;
use super::graph::Graph;
use super::molecule::BondOrder;
use super::refusal::Refusal;
use super::rings::{RingSystem, Rings, SmallRings, relevant_rings};
use super::valence;
use fused::FusedRings;

/// From this size on, an ether or thioether bridge of a ring gives no electrons.
const MACROCYCLE: usize = 9;

/// Marks aromatic atoms and bonds.
pub(super) fn perceive(graph: &mut Graph, rings: &Rings) -> Result<(), Refusal> {
    if rings.systems.is_empty() {
        return Ok(());
    }
    let mut small_rings = SmallRings::new(graph);
    let mut donated: Vec<Option<u8>> = vec![None; graph.atoms.len()];
    for atom in (0..donated.len()).filter(|&atom| rings.atom_in_ring[atom]) {
        donated[atom] = donation(graph, rings, &mut small_rings, atom);
    }
    let mut wanted = vec![false; graph.atoms.len()];
    let mut aromatic = vec![false; graph.bonds.len()];
    for system in &rings.systems {
        keep_candidate_rings(graph, system, &donated, &mut wanted);
        if system.atoms.iter().any(|&atom| wanted[atom]) {
            let rings = relevant_rings(graph, system, &wanted)?;
            FusedRings::new(&rings, &donated).mark(&mut aromatic)?;
        }
        system.atoms.iter().for_each(|&atom| wanted[atom] = false);
    }
    for (bond, _) in aromatic.into_iter().enumerate().filter(|&(_, aromatic)| aromatic) {
        let bond = &mut graph.bonds[bond];
        bond.aromatic = true;
        if matches!(bond.order, BondOrder::Single | BondOrder::Double) {
            bond.order = BondOrder::Aromatic;
            graph.atoms[bond.begin].aromatic = true;
            graph.atoms[bond.end].aromatic = true;
        }
    }
    Ok(())
}

/// Marks the atoms of the system that are left when candidates with fewer than two candidate neighbours are taken away.
fn keep_candidate_rings(graph: &Graph, system: &RingSystem, donated: &[Option<u8>], left: &mut [bool]) {
    system.atoms.iter().for_each(|&atom| left[atom] = donated[atom].is_some());
    let mut leaves: Vec<usize> = system.atoms.clone();
    while let Some(atom) = leaves.pop() {
        let neighbours = |left: &[bool]| {
            let neighbours = graph.around(atom).iter().map(|i| i.neighbour);
            neighbours.filter(|&n| left[n]).collect::<Vec<_>>()
        };
        if left[atom] && neighbours(left).len() < 2 {
            leaves.extend(neighbours(left));
            left[atom] = false;
        }
    }
}

/// Electrons that a ring atom gives to its rings; `None` when it cannot be part of an aromatic one.
fn donation(graph: &Graph, rings: &Rings, small_rings: &mut SmallRings<'_>, number: usize) -> Option<u8> {
    let electrons = donated_electrons(graph, rings, small_rings, number)?;
    is_candidate(graph, number).then_some(electrons)
}

fn donated_electrons(graph: &Graph, rings: &Rings, small_rings: &mut SmallRings<'_>, number: usize) -> Option<u8> {
    let atom = &graph.atoms[number];
    let available = electrons::available(graph, number)?;
    let multiple = |in_ring: bool| {
        let mut around = graph.around(number).iter();
        around.find(|i| rings.bond_in_ring[i.bond] == in_ring && graph.bonds[i.bond].twice_order() >= 4).copied()
    };
    let outside = multiple(false);
    let drawn_out =
        outside.is_some_and(|i| element::draws_electrons_from(graph.atoms[i.neighbour].element, atom.element));
    match (available, outside) {
        (0, Some(_)) => Some(0),
        (0, None) => multiple(true).map(|_| 1),
        (1, Some(_)) => Some(u8::from(!drawn_out)),
        (1, None) => {
            let neighbours = graph.degree(number) + i32::from(atom.explicit_h);
            let multiply_bound = atom.explicit_valence != neighbours;
            // Without a multiple bond: tropylium and cyclopropenylium.
            if multiply_bound { Some(1) } else { (atom.charge == 1).then_some(0) }
        }
        (more, _) => {
            let odd = (more - i32::from(drawn_out)) % 2 == 1;
            (odd || !is_macrocyclic_ether(graph, small_rings, number)).then_some(if odd { 1 } else { 2 })
        }
    }
}

/// A neutral two-bonded O or S with single bonds, in no ring smaller than a macrocycle.
fn is_macrocyclic_ether(graph: &Graph, small_rings: &mut SmallRings<'_>, number: usize) -> bool {
    let atom = &graph.atoms[number];
    matches!(atom.element, 8 | 16)
        && graph.degree(number) == 2
        && atom.charge == 0
        && graph.bonds_of(number).all(|(_, bond)| !matches!(bond.order, BondOrder::Double | BondOrder::Triple))
        && !small_rings.through(graph.around(number)[0].bond, MACROCYCLE - 1)
}

/// First and second row, Se or Te; no valence above the default one; no radical but at neutral carbon; at most one
/// multiple bond.
fn is_candidate(graph: &Graph, number: usize) -> bool {
    let atom = &graph.atoms[number];
    if atom.element > 18 && !matches!(atom.element, 34 | 52) {
        return false;
    }
    let like = valence::isoelectronic(atom);
    if element::default_valence(atom.element) > 0 && atom.total_valence() > element::default_valence(like) {
        return false;
    }
    if atom.radicals > 0 && (atom.element != 6 || atom.charge != 0) {
        return false;
    }
    let multiple =
        |(_, bond): &(usize, &super::graph::GraphBond)| matches!(bond.order, BondOrder::Double | BondOrder::Triple);
    atom.explicit_valence - graph.degree(number) <= 1 || graph.bonds_of(number).filter(multiple).count() <= 1
}

#[cfg(test)]
mod tests {
    use crate::mol::{BondOrder, parse};

    /// Numbers of aromatic bonds, and of double bonds that are left.
    fn bonds(smiles: &str) -> (usize, usize) {
        let molecule = parse(smiles).unwrap();
        let count = |order| molecule.bonds.iter().filter(|bond| bond.order == order).count();
        (count(BondOrder::Aromatic), count(BondOrder::Double))
    }

    #[test]
    fn single_rings() {
        assert_eq!(bonds("C1=CC=CC=C1"), (6, 0));
        assert_eq!(bonds("C1=CC=CC1"), (0, 2));
        assert_eq!(bonds("c1ccc1"), (0, 2));
        assert_eq!(bonds("c1ccsc1"), (5, 0));
        assert_eq!(bonds("O=C1C=CC=CC=C1"), (7, 1));
        assert_eq!(bonds("O=C1C=CC(=O)C=C1"), (0, 4));
        assert_eq!(bonds("[cH-]1cccc1"), (5, 0));
        assert_eq!(bonds("B1C=CC=C1"), (0, 2));
        assert_eq!(bonds("c1cc[as]cc1"), (0, 3));
    }

    #[test]
    fn unions() {
        assert_eq!(bonds("c1ccc2ccccc2c1"), (11, 0));
        // Azulene: only the perimeter.
        assert_eq!(bonds("c1ccc2cccc-2cc1"), (10, 0));
        assert_eq!(bonds("C1=CC2=CC=CC2=C1"), (0, 4));
        assert_eq!(bonds("c1cc2cccc3ccc4cccc1c4c32").1, 0);
    }

    #[test]
    fn ethers_in_large_rings_give_nothing() {
        assert_eq!(bonds("O1C=CC=C1"), (5, 0));
        assert_eq!(bonds("O1C=CC=CC=CC=C1"), (0, 4));
    }
}
