//! The clean-up as a whole, in RDKit's order of steps.

use super::graph::{Graph, GraphAtom, Tag};
use super::molecule::{Atom, Bond, Chirality, Molecule};
use super::refusal::{Reason, Refusal};
use super::rings::{self, Rings};
use super::{aromaticity, hybridisation, hydrogens, kekulise, normalise, radicals, stereo, valence};

/// Cleans the graph up and hands it over as a molecule.
pub(super) fn sanitise(graph: Graph) -> Result<Molecule, Refusal> {
    let mut graph = hydrogens::remove(graph);
    normalise::normalise(&mut graph);
    normalise::refuse_dative_bonds(&mut graph)?;
    valence::update_all(&mut graph)?;
    let rings = rings::find(&graph);
    let mut was_aromatic = aromatic_atoms(&graph);
    kekulise::kekulise(&mut graph, &rings)?;
    radicals::assign(&mut graph);
    aromaticity::perceive(&mut graph, &rings)?;
    was_aromatic.iter_mut().zip(aromatic_atoms(&graph)).for_each(|(was, is)| *was |= is);
    let hybridisation = stereo::is_marked(&graph).then(|| hybridisation::assign(&graph));
    if let Some(hybridisation) = &hybridisation {
        hybridisation::clear_flat_centres(&mut graph, hybridisation);
    }
    fix_hydrogens(&mut graph, &was_aromatic);
    valence::update_all(&mut graph)?;
    if let Some(hybridisation) = &hybridisation {
        free_hydrogens_of_centres(&mut graph);
        stereo::perceive(&mut graph, &rings, hybridisation)?;
    }
    finished(&graph, &rings)
}

fn aromatic_atoms(graph: &Graph) -> Vec<bool> {
    let mut aromatic: Vec<bool> = graph.atoms.iter().map(|atom| atom.aromatic).collect();
    for bond in graph.bonds.iter().filter(|bond| bond.aromatic) {
        aromatic[bond.begin] = true;
        aromatic[bond.end] = true;
    }
    aromatic
}

/// Hydrogens that an aromatic atom would lose by the way its valence is counted (the one of pyrrole) become fixed.
fn fix_hydrogens(graph: &mut Graph, aromatic: &[bool]) {
    for atom in (0..aromatic.len()).filter(|&atom| aromatic[atom]) {
        let before = graph.atoms[atom].implicit_h();
        valence::update(graph, atom);
        let lost = before - graph.atoms[atom].implicit_valence;
        if lost > 0 {
            graph.atoms[atom].explicit_h = graph.atoms[atom].explicit_h.saturating_add(lost as u8);
            graph.atoms[atom].explicit_valence = valence::explicit(graph, atom).value;
        }
    }
}

/// A tagged atom outside brackets with two hydrogens or more counts them like any other atom.
fn free_hydrogens_of_centres(graph: &mut Graph) {
    for atom in 0..graph.atoms.len() {
        let GraphAtom { no_implicit, tag, explicit_h, .. } = graph.atoms[atom];
        if !no_implicit && tag != Tag::None && explicit_h > 1 {
            graph.atoms[atom].explicit_h = 0;
            valence::update(graph, atom);
        }
    }
}

fn finished(graph: &Graph, rings: &Rings) -> Result<Molecule, Refusal> {
    let atom = |(atom, &in_ring): (&GraphAtom, &bool)| {
        Ok(Atom {
            atomic_number: atom.element,
            isotope: atom.isotope,
            charge: atom.charge,
            n_hydrogens: atom.total_h().clamp(0, 255) as u8,
            chirality: match atom.tag {
                Tag::None => Chirality::Unspecified,
                Tag::Clockwise => Chirality::Clockwise,
                Tag::CounterClockwise => Chirality::CounterClockwise,
                Tag::Allene => {
                    let what = format!("the chirality @AL of atom {} is not supported", atom.written_as);
                    return Err(Refusal::new(Reason::OutOfVocabulary, what));
                }
            },
            aromatic: atom.aromatic,
            in_ring,
        })
    };
    let bonds = graph.bonds.iter().zip(&rings.bond_in_ring);
    Ok(Molecule {
        atoms: graph.atoms.iter().zip(&rings.atom_in_ring).map(atom).collect::<Result<_, _>>()?,
        bonds: bonds
            .map(|(bond, &in_ring)| Bond {
                begin: bond.begin,
                end: bond.end,
                order: bond.order,
                direction: bond.direction,
                in_ring,
            })
            .collect(),
    })
}
