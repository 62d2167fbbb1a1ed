//! Stereo perception by RDKit's default ("legacy") rules: deletes tags and marks that mean nothing.
//!
//! Ranks of the atoms say which neighbours differ; centres and double bonds that these ranks define refine the ranks;
//! and so on until nothing new is found.

mod centre;
mod double_bond;
mod rank;
mod ring_stereo;

use super::graph::{Geometry, Graph, Tag};
use super::hybridisation::Hybridisation;
use super::molecule::{BondDirection, BondOrder};
use super::refusal::Refusal;
use super::rings::Rings;
use super::valence;
use centre::Handedness;

/// Whether the graph has any tag or mark.
pub(super) fn is_marked(graph: &Graph) -> bool {
    graph.atoms.iter().any(|atom| atom.tag != Tag::None)
        || graph.bonds.iter().any(|bond| bond.direction != BondDirection::None)
}

/// Deletes chiral tags of atoms that are no centres and marks beside double bonds without a geometry.
pub(super) fn perceive(graph: &mut Graph, rings: &Rings, hybridisation: &Hybridisation) -> Result<(), Refusal> {
    let centres = centre::possible_centres(graph, rings, hybridisation)?;
    let mut handedness = vec![Handedness::Unknown; graph.atoms.len()];
    let mut double_bonds = double_bond::candidates(graph, rings);
    let mut ranks = rank::initial(graph);
    loop {
        let (open_centres, new_centre) = centre::assign(graph, &centres, &ranks, &mut handedness);
        let (open_bonds, new_bond) = double_bond::assign(graph, &ranks, &mut double_bonds);
        if !(open_centres || open_bonds) || !(new_centre || new_bond) {
            break;
        }
        ranks = rank::refined(graph, &ranks, &handedness);
    }
    let in_ring_stereo = ring_stereo::find(graph, rings, &handedness, &ranks)?;
    for number in 0..graph.atoms.len() {
        let atom = &mut graph.atoms[number];
        if atom.tag == Tag::None || handedness[number] != Handedness::Unknown || in_ring_stereo[number] {
            continue;
        }
        atom.tag = Tag::None;
        // The hydrogen was written only for the chirality: from now on it is counted like any other.
        if atom.explicit_h == 1 && atom.charge == 0 && !atom.aromatic {
            atom.explicit_h = 0;
            atom.no_implicit = false;
            valence::update(graph, number);
        }
    }
    clear_marks(graph);
    Ok(())
}

/// Marks stay only beside a double bond whose geometry is known.
fn clear_marks(graph: &mut Graph) {
    let unknown =
        |bond: &super::graph::GraphBond| bond.order == BondOrder::Double && bond.geometry == Geometry::Unknown;
    for number in 0..graph.bonds.len() {
        if !unknown(&graph.bonds[number]) {
            continue;
        }
        for end in [graph.bonds[number].begin, graph.bonds[number].end] {
            for i in graph.around(end).to_vec() {
                let bond = &graph.bonds[i.bond];
                let marked = i.bond != number
                    && bond.direction != BondDirection::None
                    && matches!(bond.order, BondOrder::Single | BondOrder::Aromatic);
                let needed = || {
                    let mut beyond = graph.bonds_of(i.neighbour);
                    beyond.any(|(_, bond)| bond.order == BondOrder::Double && bond.geometry != Geometry::Unknown)
                };
                if marked && !needed() {
                    graph.bonds[i.bond].direction = BondDirection::None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::mol::{BondDirection, Chirality, parse};

    fn centres(smiles: &str) -> usize {
        let molecule = parse(smiles).unwrap();
        molecule.atoms.iter().filter(|atom| atom.chirality != Chirality::Unspecified).count()
    }

    fn marks(smiles: &str) -> usize {
        parse(smiles).unwrap().bonds.iter().filter(|bond| bond.direction != BondDirection::None).count()
    }

    #[test]
    fn centres_need_four_different_neighbours() {
        assert_eq!(centres("C[C@H](F)Cl"), 1);
        assert_eq!(centres("C[C@H](C)F"), 0);
        assert_eq!(centres("C[C@H]([13CH3])F"), 1);
        assert_eq!(centres("C[N@](F)Cl"), 0);
        assert_eq!(centres("C[N@]1CC1C"), 1);
        assert_eq!(centres("C[S@](=O)c1ccccc1"), 1);
        // Only the sides of the outer centres tell the neighbours of the middle one apart.
        assert_eq!(centres("C[C@H](F)[C@H](O)[C@H](F)C"), 3);
        assert_eq!(centres("C[C@H](F)[C@H](O)[C@@H](F)C"), 2);
    }

    #[test]
    fn centres_of_rings_need_each_other() {
        assert_eq!(centres("C[C@H]1CC[C@@H](C)CC1"), 2);
        assert_eq!(centres("C[C@H]1CCC(C)CC1"), 0);
        assert_eq!(centres("C[C@H]1CC[C@]2(CC1)CC[C@@H](C)CC2"), 2);
    }

    #[test]
    fn marks_need_a_geometry() {
        assert_eq!(marks("F/C=C/F"), 2);
        assert_eq!(marks("F/C=CF"), 0);
        assert_eq!(marks("F/C=C(/C)C"), 0);
        assert_eq!(marks("C1CC/C=C/CC1"), 0);
        assert_eq!(marks("C1CCC/C=C/CC1"), 2);
        assert_eq!(marks("F/C=C=C/F"), 0);
        assert_eq!(marks("C/C(/F)=C(/F)C"), 3);
        // Both substituents on the same side.
        assert_eq!(marks("C\\C(/F)=C(/F)\\C"), 0);
    }
}
