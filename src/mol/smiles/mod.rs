//! SMILES → graph: the grammar, before any clean-up.
//!
//! Atoms in order of appearance; chain and branch bonds in order of creation, then ring closures by ring number.

mod bracket;
mod chirality;
mod ring_closure;

use super::graph::{Graph, GraphAtom, GraphBond};
use super::molecule::{BondDirection, BondOrder};
use super::refusal::{Reason, Refusal};
use ring_closure::RingDigit;

/// Longest SMILES that is read, in bytes: larger than any molecule that these encoders are meant for.
const LONGEST: usize = 200_000;
/// Most bonds of one atom: metal clusters stay far below.
const MOST_NEIGHBOURS: usize = 64;

/// What stands between two atoms, or before a ring digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// Nothing: aromatic between aromatic atoms, else single.
    Unwritten,
    /// `/` or `\`: like nothing, with a direction.
    Directed(BondDirection),
    /// `-`, `=`, `#` or `:`.
    Written(BondOrder),
}

impl Link {
    fn direction(self) -> BondDirection {
        if let Self::Directed(direction) = self { direction } else { BondDirection::None }
    }

    fn order_between(self, a: &GraphAtom, b: &GraphAtom) -> BondOrder {
        match self {
            Self::Written(order) => order,
            _ if a.aromatic && b.aromatic => BondOrder::Aromatic,
            _ => BondOrder::Single,
        }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    atoms: Vec<GraphAtom>,
    bonds: Vec<GraphBond>,
    /// Chain bonds of each atom so far.
    degrees: Vec<usize>,
    /// The atom that the next bond leaves from.
    active: usize,
    /// Open branches: their atom and the place of `(`.
    branches: Vec<(usize, usize)>,
    ring_digits: Vec<RingDigit>,
}

/// The graph that the SMILES `text` writes down, without blanks around it.
pub(super) fn read(text: &str) -> Result<Graph, Refusal> {
    if text.len() > LONGEST {
        let what = format!("the SMILES has {} characters, more than the {LONGEST} that are read", text.len());
        return Err(Refusal::new(Reason::Limit, what));
    }
    if text.is_empty() {
        return Err(Refusal::new(Reason::Parse, "the SMILES is empty"));
    }
    let mut reader = Reader {
        text: text.as_bytes(),
        at: 0,
        atoms: Vec::with_capacity(text.len() / 2 + 1),
        bonds: Vec::with_capacity(text.len() / 2 + 1),
        degrees: Vec::with_capacity(text.len() / 2 + 1),
        active: 0,
        branches: Vec::new(),
        ring_digits: Vec::new(),
    };
    reader.read()?;
    let ends = ring_closure::close(&reader.ring_digits, &reader.atoms, &mut reader.bonds)?;
    let mut graph = Graph::new(reader.atoms, reader.bonds);
    if let Some(atom) = (0..graph.atoms.len()).find(|&atom| graph.around(atom).len() > MOST_NEIGHBOURS) {
        let what = format!("atom {atom} has more than {MOST_NEIGHBOURS} neighbours");
        return Err(Refusal::new(Reason::Limit, what));
    }
    chirality::to_bond_order(&mut graph, &reader.ring_digits, &ends);
    Ok(graph)
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), Refusal> {
        self.begin_part()?;
        while let Some(byte) = self.peek() {
            let place = self.at;
            match byte {
                b'.' => {
                    self.at += 1;
                    self.begin_part()?;
                }
                b'(' => {
                    self.at += 1;
                    let link = self.link()?;
                    let branch = self.active;
                    self.bonded_atom(link)?;
                    self.branches.push((branch, place));
                }
                b')' => {
                    let Some((branch, _)) = self.branches.pop() else {
                        return Err(Refusal::at_character(place, "a branch is closed that was not opened"));
                    };
                    self.active = branch;
                    self.at += 1;
                }
                _ => {
                    let link = self.link()?;
                    if matches!(self.peek(), Some(b'0'..=b'9' | b'%')) {
                        self.ring_digit(link)?;
                    } else {
                        self.bonded_atom(link)?;
                    }
                }
            }
        }
        match self.branches.last() {
            Some(&(_, place)) => Err(Refusal::at_character(place, "a branch is not closed that was opened")),
            None => Ok(()),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Steps over `byte` if it stands here.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn begin_part(&mut self) -> Result<(), Refusal> {
        let mut atom = self.atom()?;
        atom.starts_part = true;
        self.push(atom);
        Ok(())
    }

    fn bonded_atom(&mut self, link: Link) -> Result<(), Refusal> {
        let atom = self.atom()?;
        let from = self.active;
        let order = link.order_between(&self.atoms[from], &atom);
        self.push(atom);
        self.bonds.push(GraphBond::new(from, self.active, order, link.direction()));
        self.degrees[from] += 1;
        self.degrees[self.active] += 1;
        Ok(())
    }

    fn push(&mut self, mut atom: GraphAtom) {
        self.active = self.atoms.len();
        atom.written_as = self.active as u32;
        self.atoms.push(atom);
        self.degrees.push(0);
    }

    /// The bond symbol that stands here, if any.
    fn link(&mut self) -> Result<Link, Refusal> {
        let unsupported = |place, what: &str| {
            Err(Refusal::new(Reason::OutOfVocabulary, format!("{what} at character {} is not supported", place + 1)))
        };
        let place = self.at;
        let link = match (self.peek(), self.text.get(self.at + 1)) {
            (Some(b'-'), Some(b'>')) | (Some(b'<'), Some(b'-')) => return unsupported(place, "a dative bond"),
            (Some(b'~'), _) => return unsupported(place, "a bond of any order"),
            (Some(b'$'), _) => return unsupported(place, "a quadruple bond"),
            (Some(b'-'), _) => Link::Written(BondOrder::Single),
            (Some(b'='), _) => Link::Written(BondOrder::Double),
            (Some(b'#'), _) => Link::Written(BondOrder::Triple),
            (Some(b':'), _) => Link::Written(BondOrder::Aromatic),
            (Some(b'/'), _) => Link::Directed(BondDirection::Up),
            (Some(b'\\'), next) => {
                // Doubled by some writers, which take it for an escape.
                self.at += usize::from(next == Some(&b'\\'));
                Link::Directed(BondDirection::Down)
            }
            _ => return Ok(Link::Unwritten),
        };
        self.at += 1;
        Ok(link)
    }

    /// The atom that must stand here.
    fn atom(&mut self) -> Result<GraphAtom, Refusal> {
        if self.take(b'[') {
            return self.bracket();
        }
        match self.plain_atom() {
            Some(atom) if atom.element == 0 => Err(self.any_atom()),
            Some(atom) => Ok(atom),
            None => Err(self.unexpected("an atom")),
        }
    }

    /// An atom of the organic subset, which needs no bracket; element 0 for `*`.
    fn plain_atom(&mut self) -> Option<GraphAtom> {
        let next = self.text.get(self.at + 1).copied();
        let (element, length) = match (self.peek()?, next) {
            (b'B', Some(b'r')) => (35, 2),
            (b'C', Some(b'l')) => (17, 2),
            (b'C' | b'c', _) => (6, 1),
            (b'N' | b'n', _) => (7, 1),
            (b'O' | b'o', _) => (8, 1),
            (b'S' | b's', _) => (16, 1),
            (b'P' | b'p', _) => (15, 1),
            (b'B' | b'b', _) => (5, 1),
            (b'F', _) => (9, 1),
            (b'I', _) => (53, 1),
            (b'*', _) => (0, 1),
            _ => return None,
        };
        let mut atom = GraphAtom::new(element);
        atom.aromatic = self.text[self.at].is_ascii_lowercase();
        self.at += length;
        Some(atom)
    }

    fn any_atom(&self) -> Refusal {
        let what = format!("the atom at character {} stands for any element, which has no features", self.at);
        Refusal::new(Reason::OutOfVocabulary, what)
    }

    fn unexpected(&self, wanted: &str) -> Refusal {
        match std::str::from_utf8(&self.text[self.at..]).ok().and_then(|rest| rest.chars().next()) {
            Some(found) => Refusal::at_character(self.at, format_args!("expected {wanted}, found '{found}'")),
            None => Refusal::new(Reason::Parse, format!("expected {wanted}, but the SMILES ends")),
        }
    }

    fn digit(&mut self) -> Option<u32> {
        let digit = self.peek().filter(u8::is_ascii_digit)?;
        self.at += 1;
        Some(u32::from(digit - b'0'))
    }

    fn ring_digit(&mut self, link: Link) -> Result<(), Refusal> {
        let place = self.at;
        let ring = self.ring_number()?;
        let atom = self.active;
        // A ring digit behind a branch stands where the next neighbour would: the order that the tag means is another.
        let degree = self.degrees[atom];
        let behind_branch =
            atom + 1 != self.atoms.len() && (degree == 1 || (degree == 2 && atom != 0) || (degree == 3 && atom == 0));
        self.atoms[atom].tag = self.atoms[atom].tag.mirrored_if(behind_branch);
        self.ring_digits.push(RingDigit { ring, atom, link, place });
        Ok(())
    }

    /// `1`, `%12` or `%(1)` to `%(12345)`.
    fn ring_number(&mut self) -> Result<u32, Refusal> {
        if !self.take(b'%') {
            return self.digit().ok_or_else(|| self.unexpected("a ring number"));
        }
        if self.take(b'(') {
            let mut ring = self.digit().ok_or_else(|| self.unexpected("a ring number"))?;
            for _ in 1..5 {
                let Some(digit) = self.digit() else { break };
                ring = 10 * ring + digit;
            }
            return if self.take(b')') { Ok(ring) } else { Err(self.unexpected("')' behind the ring number")) };
        }
        match (self.digit(), self.digit()) {
            (Some(tens @ 1..), Some(ones)) => Ok(10 * tens + ones),
            _ => Err(Refusal::at_character(self.at.min(self.text.len()) - 1, "expected a ring number of two digits")),
        }
    }

    /// `0` or a number without leading zero, if one stands here.
    fn number(&mut self) -> Result<Option<u32>, Refusal> {
        let Some(mut number) = self.digit() else { return Ok(None) };
        while let Some(digit) = if number == 0 { None } else { self.digit() } {
            number = number
                .checked_mul(10)
                .and_then(|n| n.checked_add(digit))
                .filter(|&n| n < i32::MAX as u32)
                .ok_or_else(|| Refusal::at_character(self.at - 1, "the number is too large"))?;
        }
        Ok(Some(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mol::graph::Tag;

    fn bonds(text: &str) -> Vec<(usize, usize, BondOrder, BondDirection)> {
        read(text).unwrap().bonds.iter().map(|b| (b.begin, b.end, b.order, b.direction)).collect()
    }

    fn tag(text: &str, atom: usize) -> Tag {
        read(text).unwrap().atoms[atom].tag
    }

    #[test]
    fn ring_bonds_come_last_by_ring_number() {
        use BondDirection::None;
        use BondOrder::{Double, Single};
        let expected = [(0, 1, Single, None), (1, 2, Single, None), (2, 3, Single, None), (3, 1, Single, None)];
        assert_eq!(bonds("C2C1CC1.C2")[..4], [expected[0], expected[1], expected[2], expected[3]]);
        assert_eq!(bonds("C2C1CC1.C2")[4], (4, 0, Single, None));
        // A symbol at the opening digit makes the bond begin there, one at the closing digit does not.
        assert_eq!(bonds("C=1CC1")[2], (0, 2, Double, None));
        assert_eq!(bonds("C1CC=1")[2], (2, 0, Double, None));
    }

    #[test]
    fn marks_at_ring_digits() {
        use BondDirection::{Down, Up};
        assert_eq!(bonds("C/1CC1")[2].3, Down);
        assert_eq!(bonds("C1CC/1")[2].3, Up);
        assert_eq!(bonds("C\\C")[0].3, Down);
        assert_eq!(bonds("C\\\\C")[0].3, Down);
    }

    #[test]
    fn tags_follow_the_order_of_bonds() {
        assert_eq!(tag("F[C@](Cl)(Br)I", 1), Tag::CounterClockwise);
        assert_eq!(tag("F[C@]1(Br)I.Cl1", 1), Tag::CounterClockwise);
        assert_eq!(tag("C[C@H](F)Cl", 1), Tag::CounterClockwise);
        assert_eq!(tag("[C@H](C)(F)Cl", 0), Tag::Clockwise);
        assert_eq!(tag("[C@@](F)1(C)CCO1", 0), tag("[C@]1(F)(C)CCO1", 0));
        assert_eq!(tag("F[C@TH2](Cl)(Br)I", 1), Tag::Clockwise);
    }

    #[test]
    fn brackets() {
        let atom = read("[13C@@H2+2:7]").unwrap().atoms[0];
        assert_eq!((atom.element, atom.isotope, atom.explicit_h, atom.charge, atom.class), (6, 13, 2, 2, 8));
        assert_eq!(read("[#17-]").unwrap().atoms[0].element, 17);
        assert_eq!(read("[se]").unwrap().atoms[0].element, 34);
        assert_eq!(read("[2HH]").unwrap().atoms[0].explicit_h, 1);
        for wrong in
            ["[]", "[C", "[C@@@]", "[CHH]", "[C+-]", "[C+++]", "[cl]", "[H@]", "[C:]", "[012C]", "[#0]", "[#119]"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
