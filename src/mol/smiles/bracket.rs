//! Atoms in brackets: `[isotope symbol chirality hydrogens charge :class]`.

use super::super::element;
use super::super::graph::{GraphAtom, Tag};
use super::super::refusal::{Reason, Refusal};
use super::Reader;

impl Reader<'_> {
    /// The rest of a bracket atom whose `[` has been read.
    pub(super) fn bracket(&mut self) -> Result<GraphAtom, Refusal> {
        let start = self.at;
        let isotope = self.number()?.unwrap_or(0);
        let place = self.at;
        let mut atom = self.bracket_symbol()?;
        // A bare H takes no chirality.
        let bare_hydrogen = atom.element == 1 && self.text[place] == b'H';
        atom.no_implicit = true;
        atom.isotope = Self::fit(isotope, start, "isotope")?;
        if !bare_hydrogen {
            atom.tag = self.bracket_chirality()?;
        }
        let hydrogens = self.at;
        if self.take(b'H') {
            atom.explicit_h = Self::fit(self.number()?.unwrap_or(1), hydrogens, "number of hydrogens")?;
        }
        atom.charge = self.bracket_charge()?;
        if self.take(b':') {
            let class = self.number()?.ok_or_else(|| self.unexpected("the number of an atom class"))?;
            atom.class = ((class + 1) % 1024) as u16;
        }
        if !self.take(b']') {
            return Err(self.unexpected("']'"));
        }
        Ok(atom)
    }

    fn fit<T: TryFrom<u32>>(number: u32, place: usize, what: &str) -> Result<T, Refusal> {
        let too_large =
            |_| Refusal::new(Reason::Limit, format!("the {what} {number} at character {} is too large", place + 1));
        T::try_from(number).map_err(too_large)
    }

    fn bracket_symbol(&mut self) -> Result<GraphAtom, Refusal> {
        let rest = &self.text[self.at..];
        if rest.first() == Some(&b'#') {
            self.at += 1;
            let number = self.number()?.ok_or_else(|| self.unexpected("an atomic number"))?;
            return match u8::try_from(number) {
                Ok(0) => Err(self.any_atom()),
                Ok(element @ 1..=118) => Ok(GraphAtom::new(element)),
                _ => Err(Refusal::at_character(self.at - 1, format_args!("{number} is no atomic number"))),
            };
        }
        let aromatic = match rest {
            [b's', b'i', ..] => Some(14),
            [b'a', b's', ..] => Some(33),
            [b's', b'e', ..] => Some(34),
            [b't', b'e', ..] => Some(52),
            _ => None,
        };
        if let Some(element) = aromatic {
            self.at += 2;
            return Ok(GraphAtom { aromatic: true, ..GraphAtom::new(element) });
        }
        let letters = rest.iter().skip(1).take(2).take_while(|b| b.is_ascii_lowercase()).count();
        if rest.first().is_some_and(u8::is_ascii_uppercase) {
            for length in (1..=letters + 1).rev() {
                if let Some(element) = element::from_symbol(&rest[..length]) {
                    self.at += length;
                    return Ok(GraphAtom::new(element));
                }
            }
        }
        match self.plain_atom() {
            Some(atom) if atom.element == 0 => Err(self.any_atom()),
            Some(atom) => Ok(atom),
            None => Err(self.unexpected("the symbol of an element")),
        }
    }

    /// `@`, `@@`, `@TH1`, `@TH2`, or a class that is not supported.
    fn bracket_chirality(&mut self) -> Result<Tag, Refusal> {
        let place = self.at;
        if !self.take(b'@') {
            return Ok(Tag::None);
        }
        if self.take(b'@') {
            return Ok(Tag::Clockwise);
        }
        let Some(class @ (b"TH" | b"AL" | b"SP" | b"TB" | b"OH")) = self.text.get(self.at..self.at + 2) else {
            return Ok(Tag::CounterClockwise);
        };
        self.at += 2;
        let permutation = self.number()?;
        match (class, permutation) {
            (b"TH", None | Some(1)) => Ok(Tag::CounterClockwise),
            (b"TH", Some(2)) => Ok(Tag::Clockwise),
            (b"AL", None | Some(1 | 2)) => Ok(Tag::Allene),
            (b"TH" | b"AL", _) => Err(Refusal::at_character(place, "the chirality has a number other than 1 and 2")),
            _ => {
                let class = String::from_utf8_lossy(class);
                let what = format!("the chirality @{class} at character {} is not supported", place + 1);
                Err(Refusal::new(Reason::OutOfVocabulary, what))
            }
        }
    }

    /// `+`, `++`, `+3`; the same with `-`.
    fn bracket_charge(&mut self) -> Result<i8, Refusal> {
        let place = self.at;
        let (sign, byte) = match self.peek() {
            Some(b'+') => (1, b'+'),
            Some(b'-') => (-1, b'-'),
            _ => return Ok(0),
        };
        self.at += 1;
        if self.take(byte) {
            return Ok(2 * sign);
        }
        let charge: i8 = Self::fit(self.number()?.unwrap_or(1), place, "charge")?;
        Ok(sign * charge)
    }
}
