//! Ring digits → bonds, behind all chain bonds, by ring number and then in the order of closing.

use super::super::graph::{GraphAtom, GraphBond};
use super::super::molecule::BondDirection;
use super::super::refusal::Refusal;
use super::Link;
use rustc_hash::FxHashSet;

/// One ring digit at an atom.
#[derive(Debug, Clone, Copy)]
pub(super) struct RingDigit {
    pub(super) ring: u32,
    pub(super) atom: usize,
    pub(super) link: Link,
    /// Byte of the digit.
    pub(super) place: usize,
}

/// Appends the ring bonds; returns the bond of each digit.
pub(super) fn close(
    digits: &[RingDigit],
    atoms: &[GraphAtom],
    bonds: &mut Vec<GraphBond>,
) -> Result<Vec<usize>, Refusal> {
    if digits.is_empty() {
        return Ok(Vec::new());
    }
    let mut by_ring: Vec<usize> = (0..digits.len()).collect();
    by_ring.sort_by_key(|&i| digits[i].ring);
    let mut bonded: FxHashSet<(usize, usize)> =
        bonds.iter().map(|b| (b.begin.min(b.end), b.begin.max(b.end))).collect();
    let mut ends = vec![0; digits.len()];
    for one_ring in by_ring.chunk_by(|&a, &b| digits[a].ring == digits[b].ring) {
        for pair in one_ring.chunks(2) {
            let &[first, second] = pair else {
                let digit = digits[pair[0]];
                return Err(Refusal::at_character(digit.place, format_args!("ring {} is not closed", digit.ring)));
            };
            let (opening, closing) = (digits[first], digits[second]);
            if opening.atom == closing.atom {
                let what = format_args!("ring {} binds atom {} to itself", closing.ring, closing.atom);
                return Err(Refusal::at_character(closing.place, what));
            }
            if !bonded.insert((opening.atom.min(closing.atom), opening.atom.max(closing.atom))) {
                let what = format_args!(
                    "ring {} is a second bond between atoms {} and {}",
                    closing.ring, opening.atom, closing.atom
                );
                return Err(Refusal::at_character(closing.place, what));
            }
            ends[first] = bonds.len();
            ends[second] = bonds.len();
            bonds.push(bond(&opening, &closing, atoms));
        }
    }
    Ok(ends)
}

/// The symbol at the opening digit decides the order; a mark at either digit is seen from the atom where the bond begins.
fn bond(opening: &RingDigit, closing: &RingDigit, atoms: &[GraphAtom]) -> GraphBond {
    let (from, to) = if matches!(opening.link, Link::Written(_)) { (opening, closing) } else { (closing, opening) };
    let direction = match (from.link.direction(), to.link.direction()) {
        (BondDirection::None, seen_from_the_end) => seen_from_the_end.reversed(),
        (direction, _) => direction,
    };
    let order = from.link.order_between(&atoms[from.atom], &atoms[to.atom]);
    GraphBond::new(from.atom, to.atom, order, direction)
}
