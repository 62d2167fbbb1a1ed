//! Other ways of writing a group become the charged one: nitro groups, azides, halogen oxides.

use super::element;
use super::graph::Graph;
use super::molecule::BondOrder;
use super::refusal::{Reason, Refusal};
use super::valence;

/// Rewrites hypervalent nitrogen, phosphorus and halogens.
pub(super) fn normalise(graph: &mut Graph) {
    let nitrogens: Vec<usize> = (0..graph.atoms.len())
        .filter(|&atom| graph.atoms[atom].element == 7 && graph.atoms[atom].charge == 0)
        .filter(|&atom| valence::explicit(graph, atom).value == 5)
        .collect();
    for &nitrogen in &nitrogens {
        move_charge(graph, nitrogen, 8, BondOrder::Double, BondOrder::Single);
    }
    for &nitrogen in &nitrogens {
        move_charge(graph, nitrogen, 7, BondOrder::Triple, BondOrder::Double);
    }
    for atom in 0..graph.atoms.len() {
        match graph.atoms[atom].element {
            15 => phosphorus(graph, atom),
            17 | 35 | 53 => halogen(graph, atom),
            _ => {}
        }
    }
}

/// Lowers the order of the first such bond to a neutral neighbour, which becomes −1 and the atom +1.
fn move_charge(graph: &mut Graph, atom: usize, neighbour_element: u8, from: BondOrder, to: BondOrder) {
    let found = graph.around(atom).iter().copied().find(|i| {
        let neighbour = &graph.atoms[i.neighbour];
        neighbour.element == neighbour_element && neighbour.charge == 0 && graph.bonds[i.bond].order == from
    });
    if let Some(found) = found {
        graph.bonds[found.bond].order = to;
        graph.atoms[atom].charge = 1;
        graph.atoms[found.neighbour].charge = -1;
    }
}

/// `C=P(=O)X` → `C=[P+]([O-])X`.
fn phosphorus(graph: &mut Graph, atom: usize) {
    if graph.atoms[atom].charge != 0 || graph.degree(atom) != 3 || valence::explicit(graph, atom).value != 5 {
        return;
    }
    let doubly_bound = |wanted: &dyn Fn(usize) -> bool| {
        let mut around = graph.around(atom).iter().rev();
        around.find(|i| graph.bonds[i.bond].order == BondOrder::Double && wanted(i.neighbour)).copied()
    };
    let oxygen = doubly_bound(&|n| graph.atoms[n].element == 8 && graph.atoms[n].charge == 0);
    let carbon = doubly_bound(&|n| matches!(graph.atoms[n].element, 6 | 7) && graph.degree(n) >= 2);
    if let (Some(oxygen), Some(_)) = (oxygen, carbon) {
        graph.bonds[oxygen.bond].order = BondOrder::Single;
        graph.atoms[oxygen.neighbour].charge = -1;
        graph.atoms[atom].charge = 1;
    }
}

/// `Cl(=O)(=O)O` → `[Cl+2]([O-])([O-])O`, where all neighbours are oxygen.
fn halogen(graph: &mut Graph, atom: usize) {
    let only_oxygen = graph.around(atom).iter().all(|i| graph.atoms[i.neighbour].element == 8);
    if !only_oxygen || graph.atoms[atom].charge != 0 || !matches!(valence::explicit(graph, atom).value, 3 | 5 | 7) {
        return;
    }
    let mut charge = 0;
    for i in graph.around(atom).to_vec() {
        if graph.bonds[i.bond].order == BondOrder::Double {
            graph.bonds[i.bond].order = BondOrder::Single;
            graph.atoms[i.neighbour].charge = -1;
            charge += 1;
        }
    }
    graph.atoms[atom].charge = charge;
}

/// Refuses single bonds from an over-full non-metal to a metal: they stand for dative bonds, which have no number.
pub(super) fn refuse_dative_bonds(graph: &mut Graph) -> Result<(), Refusal> {
    if !graph.atoms.iter().any(|atom| element::is_metal(atom.element)) {
        return Ok(());
    }
    for atom in 0..graph.atoms.len() {
        let donor = graph.atoms[atom];
        if element::is_metal(donor.element) || matches!(donor.element, 1 | 2 | 9 | 10) {
            continue;
        }
        let metal = graph.bonds_of(atom).find(|(neighbour, bond)| {
            bond.order == BondOrder::Single && element::is_metal(graph.atoms[*neighbour].element)
        });
        let Some((metal, _)) = metal else { continue };
        if is_overfull(graph, atom) {
            let (donor, metal) = (&graph.atoms[atom], &graph.atoms[metal]);
            let what = format!(
                "the bond from atom {} ({}) to atom {} ({}) is dative, which is not supported",
                donor.written_as,
                element::symbol(donor.element),
                metal.written_as,
                element::symbol(metal.element)
            );
            return Err(Refusal::new(Reason::OutOfVocabulary, what));
        }
    }
    Ok(())
}

fn is_overfull(graph: &mut Graph, atom: usize) -> bool {
    valence::update(graph, atom);
    let state = &graph.atoms[atom];
    let highest = element::highest_valence(valence::isoelectronic(state));
    let valence = state.explicit_valence;
    highest > 0 && (valence > highest || (valence == highest && state.aromatic && graph.total_degree(atom) == 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mol::smiles::read;

    fn charges(smiles: &str) -> Vec<i8> {
        let mut graph = read(smiles).unwrap();
        normalise(&mut graph);
        graph.atoms.iter().map(|atom| atom.charge).collect()
    }

    #[test]
    fn hypervalent_forms_become_charged() {
        assert_eq!(charges("CN(=O)=O"), [0, 1, -1, 0]);
        assert_eq!(charges("CN=N#N"), [0, 0, 1, -1]);
        assert_eq!(charges("C=P(=O)C"), [0, 0, 0, 0]);
        assert_eq!(charges("CC=P(=O)C"), [0, 0, 1, -1, 0]);
        assert_eq!(charges("OCl(=O)(=O)=O"), [0, 3, -1, -1, -1]);
        assert_eq!(charges("CI(=O)=O"), [0, 0, 0, 0]);
    }

    #[test]
    fn dative_bonds_are_refused() {
        let dative = |smiles: &str| refuse_dative_bonds(&mut read(smiles).unwrap()).is_err();
        assert!(dative("[NH3][Pt](Cl)Cl") && dative("C[O](C)[Mg]"));
        assert!(!dative("N[Pt](Cl)Cl") && !dative("[Na]Cl") && !dative("c1cccc[n+]1[Fe]"));
    }
}
