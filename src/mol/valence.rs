//! How many bonds an atom has, how many hydrogens it lacks, and whether that is allowed.

use super::element::{self, ANY_VALENCE};
use super::graph::{Graph, GraphAtom};
use super::refusal::{Reason, Refusal};

/// A count, and whether it is within what the element allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) value: i32,
    allowed: bool,
}

/// Counts the valences of one atom anew and keeps them.
pub(super) fn update(graph: &mut Graph, atom: usize) -> bool {
    let explicit = explicit(graph, atom);
    graph.atoms[atom].explicit_valence = explicit.value;
    let implicit = implicit(graph, atom);
    graph.atoms[atom].implicit_valence = implicit.value;
    explicit.allowed && implicit.allowed
}

/// [`update`] for every atom; the first one beyond its valence is refused.
pub(super) fn update_all(graph: &mut Graph) -> Result<(), Refusal> {
    for atom in 0..graph.atoms.len() {
        if !update(graph, atom) {
            let GraphAtom { element, charge, written_as, explicit_valence, .. } = graph.atoms[atom];
            let charged = if charge == 0 { String::new() } else { format!(" with charge {charge:+}") };
            let symbol = element::symbol(element);
            let what =
                format!("atom {written_as} ({symbol}{charged}) has valence {explicit_valence}, which is too high");
            return Err(Refusal::new(Reason::Valence, what));
        }
    }
    Ok(())
}

/// The element with as many electrons: a charged atom binds like it.
pub(super) fn isoelectronic(atom: &GraphAtom) -> u8 {
    (i32::from(atom.element) - i32::from(atom.charge)).clamp(0, 118) as u8
}

/// The element whose valences count: its own where it has no preferred ones, else that of the isoelectronic element.
fn governing_element(atom: &GraphAtom) -> u8 {
    if element::has_valences(atom.element) { isoelectronic(atom) } else { atom.element }
}

/// Anions of P, S, As and Se keep their high valences although chlorine and bromine have none.
fn keeps_high_valences(atom: &GraphAtom, governing: u8) -> bool {
    (governing > 16 && matches!(atom.element, 15 | 16)) || (governing > 34 && matches!(atom.element, 33 | 34))
}

/// Sum of bond orders and fixed hydrogens, rounded up.
pub(super) fn explicit(graph: &Graph, number: usize) -> Counted {
    let atom = &graph.atoms[number];
    let bonds = graph.bonds_of(number).map(|(_, bond)| bond.twice_order()).sum::<i32>();
    let mut twice = bonds + 2 * i32::from(atom.explicit_h);
    let governing = governing_element(atom);
    let default = element::default_valence(governing);
    if default != ANY_VALENCE && twice > 2 * default && graph.is_aromatic(number) {
        // Up to 1.5 above an allowed valence: alternating bonds will bring it down (the N of a fused pyrrole: 4.5).
        let reached = element::valences(governing).iter().take_while(|&&v| v != ANY_VALENCE && 2 * v <= twice);
        let reached = reached.last().copied().unwrap_or(default);
        if twice - 2 * reached <= 3 {
            twice = 2 * reached;
        }
    }
    let value = (twice + 1) / 2;
    let (highest, offset) = if atom.element == 1 && atom.charge == -1 {
        (2, 0)
    } else if keeps_high_valences(atom, governing) {
        (element::highest_valence(atom.element), -i32::from(atom.charge))
    } else {
        (element::highest_valence(governing), 0)
    };
    let limited = highest != ANY_VALENCE && element::highest_valence(atom.element) != ANY_VALENCE;
    Counted { value, allowed: !limited || value + offset <= highest }
}

/// Hydrogens that fill up to the next allowed valence, from the explicit valence that the atom has now.
pub(super) fn implicit(graph: &Graph, number: usize) -> Counted {
    let atom = &graph.atoms[number];
    let fine = |value| Counted { value, allowed: true };
    if atom.no_implicit {
        return fine(0);
    }
    if atom.element == 1 && atom.explicit_valence == 0 && atom.radicals == 0 {
        return match atom.charge {
            0 => fine(1),
            charge => Counted { value: 0, allowed: matches!(charge, 1 | -1) },
        };
    }
    let governing = governing_element(atom);
    let default = element::default_valence(governing);
    if governing == 0 || default == ANY_VALENCE {
        return fine(0);
    }
    let mut used = atom.explicit_valence + i32::from(atom.radicals);
    let valences = if keeps_high_valences(atom, governing) {
        used -= i32::from(atom.charge);
        element::valences(atom.element)
    } else {
        element::valences(governing)
    };
    if graph.is_aromatic(number) {
        // Aromatic atoms take the default valence or no hydrogen at all.
        return if used <= default {
            fine(default - used)
        } else {
            Counted { value: 0, allowed: valences.iter().take_while(|&&v| v > 0).any(|&v| v == used) }
        };
    }
    match valences.iter().take_while(|&&v| v >= 0).find(|&&v| used <= v) {
        Some(valence) => fine(valence - used),
        None => Counted {
            value: 0,
            allowed: valences.last() == Some(&ANY_VALENCE) || element::highest_valence(atom.element) <= 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mol::smiles::read;

    fn hydrogens(smiles: &str) -> Option<Vec<i32>> {
        let mut graph = read(smiles).unwrap();
        update_all(&mut graph).ok()?;
        Some(graph.atoms.iter().map(GraphAtom::total_h).collect())
    }

    #[test]
    fn hydrogens_fill_the_next_valence() {
        assert_eq!(hydrogens("CNOBSF"), Some(vec![3, 1, 0, 1, 0, 0]));
        assert_eq!(hydrogens("CS(C)C"), Some(vec![3, 1, 3, 3]));
        assert_eq!(hydrogens("P(F)(F)(F)F"), Some(vec![1, 0, 0, 0, 0]));
        assert_eq!(hydrogens("c1ccccc1"), Some(vec![1; 6]));
        assert_eq!(hydrogens("c1cccn1C"), Some(vec![1, 1, 1, 1, 0, 3]));
        assert_eq!(hydrogens("[C]"), Some(vec![0]));
    }

    #[test]
    fn a_charged_atom_binds_like_its_neighbour_in_the_table() {
        for allowed in ["C[N+](C)(C)C", "[O-]C", "F[P-](F)(F)(F)(F)F", "C[H-]C", "[Fe](C)(C)(C)(C)(C)C", "F[B-](F)(F)F"]
        {
            assert!(hydrogens(allowed).is_some(), "{allowed}");
        }
        for refused in ["CN(C)(C)C", "C[O-]C", "C(C)(C)(C)(C)C", "[CH5]", "F(C)C", "FI(F)(F)(F)(F)F", "[NH4]"] {
            assert!(hydrogens(refused).is_none(), "{refused}");
        }
    }
}
