//! The periodic table, as far as SMILES needs it: symbols, valences, outer electrons, common isotopes.
//!
//! An element is its atomic number, 1 to 118; index 0 of the tables is unused.

/// Symbols.
const SYMBOLS: [&str; 119] = [
    "", "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca",
    "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y",
    "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce",
    "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir",
    "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm",
    "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc",
    "Lv", "Ts", "Og",
];

/// Electrons of the outer shell, by RDKit's count.
const OUTER_ELECTRONS: [u8; 119] = [
    0, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 2, 3, 4, 5, 6, 7, 8, 1,
    2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 4, 5,
    6, 7, 8, 9, 10, 11, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2,
];

/// Mass number of the most common isotope.
const COMMON_ISOTOPES: [u16; 119] = [
    0, 1, 4, 7, 9, 11, 12, 14, 16, 19, 20, 23, 24, 27, 28, 31, 32, 35, 40, 39, 40, 45, 48, 51, 52, 55, 56, 59, 58, 63,
    64, 69, 74, 75, 80, 79, 84, 85, 88, 89, 90, 93, 98, 97, 102, 103, 106, 107, 114, 115, 120, 121, 130, 127, 132, 133,
    138, 139, 140, 141, 142, 145, 152, 153, 158, 159, 164, 165, 166, 169, 174, 175, 180, 181, 184, 187, 192, 193, 195,
    197, 202, 205, 208, 209, 209, 210, 222, 223, 226, 227, 232, 231, 238, 236, 238, 241, 243, 247, 249, 252, 257, 258,
    259, 262, 267, 268, 271, 270, 269, 278, 281, 281, 285, 284, 289, 288, 293, 292, 294,
];

/// Stands in a list of valences for "anything".
pub(super) const ANY_VALENCE: i32 = -1;

/// The allowed valences in ascending order, [`ANY_VALENCE`] last where every higher one is allowed too.
/// Metals of the d and f blocks have no preferred valence at all.
pub(super) fn valences(element: u8) -> &'static [i32] {
    match element {
        1 | 9 | 17 | 35 | 55 | 87 => &[1],
        2 | 10 | 18 | 36 | 86 => &[0],
        3 | 11 | 19 | 37 => &[1, ANY_VALENCE],
        4 | 8 => &[2],
        5 | 7 | 13 | 31 | 49 => &[3],
        6 | 14 | 32 => &[4],
        12 | 20 | 38 | 56 | 88 => &[2, ANY_VALENCE],
        15 | 33 | 51 | 83 => &[3, 5],
        16 | 34 | 52 | 84 => &[2, 4, 6],
        50 | 82 => &[2, 4],
        53 | 85 => &[1, 3, 5],
        54 => &[0, 2, 4, 6],
        _ => &[ANY_VALENCE],
    }
}

/// Whether the element has any preferred valence.
pub(super) fn has_valences(element: u8) -> bool {
    default_valence(element) != ANY_VALENCE
}

/// The lowest allowed valence, [`ANY_VALENCE`] where there is none.
pub(super) fn default_valence(element: u8) -> i32 {
    valences(element).first().copied().unwrap_or(ANY_VALENCE)
}

/// The highest allowed valence, [`ANY_VALENCE`] where there is no upper end.
pub(super) fn highest_valence(element: u8) -> i32 {
    valences(element).last().copied().unwrap_or(ANY_VALENCE)
}

/// Electrons of the outer shell.
pub(super) fn outer_electrons(element: u8) -> i32 {
    i32::from(OUTER_ELECTRONS.get(usize::from(element)).copied().unwrap_or(0))
}

/// Mass number of the most common isotope.
pub(super) fn common_isotope(element: u8) -> i32 {
    i32::from(COMMON_ISOTOPES.get(usize::from(element)).copied().unwrap_or(0))
}

/// The symbol, `?` for what is no element.
pub(super) fn symbol(element: u8) -> &'static str {
    SYMBOLS.get(usize::from(element)).copied().filter(|s| !s.is_empty()).unwrap_or("?")
}

/// The element with this symbol; elements 110 to 118 also by their former systematic symbols.
pub(super) fn from_symbol(symbol: &[u8]) -> Option<u8> {
    const SYSTEMATIC: [&[u8]; 9] = [b"Uun", b"Uuu", b"Uub", b"Uut", b"Uuq", b"Uup", b"Uuh", b"Uus", b"Uuo"];
    match symbol {
        b"C" => Some(6),
        b"N" => Some(7),
        b"O" => Some(8),
        [_, _, _] => SYSTEMATIC.iter().position(|&s| s == symbol).map(|i| 110 + i as u8),
        [] => None,
        _ => SYMBOLS.iter().position(|s| s.as_bytes() == symbol).map(|i| i as u8),
    }
}

/// Whether `a` draws the electrons of a double bond to `b`: more outer electrons, or as many and a smaller atom.
pub(super) fn draws_electrons_from(a: u8, b: u8) -> bool {
    let (outer_a, outer_b) = (outer_electrons(a), outer_electrons(b));
    outer_a > outer_b || (outer_a == outer_b && a < b)
}

/// Everything that is not hydrogen, a noble gas or one of the usual non-metals and metalloids.
pub(super) fn is_metal(element: u8) -> bool {
    !matches!(element, 0..=2 | 5..=10 | 14..=18 | 33..=36 | 52..=54 | 85 | 86)
}

/// Elements to the left of carbon's column, where a positive charge takes a bond away instead of adding one.
pub(super) fn is_left_of_carbon(element: u8) -> bool {
    matches!(element, 3..=5 | 11..=13 | 19..=22 | 30..=32 | 37..=41 | 48..=51 | 55..=61 | 72 | 73 | 80..=83 | 87..=93 | 104..=118)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_found_again() {
        for element in 1..=118 {
            assert_eq!(from_symbol(symbol(element).as_bytes()), Some(element));
        }
        assert_eq!(from_symbol(b"Uuo"), Some(118));
        assert_eq!(from_symbol(b"Xx"), None);
        assert_eq!(from_symbol(b""), None);
    }

    #[test]
    fn valences_of_a_few() {
        assert_eq!(valences(6), [4]);
        assert_eq!(valences(16), [2, 4, 6]);
        assert!(!has_valences(26));
        assert_eq!(highest_valence(11), ANY_VALENCE);
        assert!(draws_electrons_from(8, 6) && !draws_electrons_from(6, 8) && draws_electrons_from(8, 16));
        assert!(is_metal(78) && !is_metal(14) && !is_metal(1));
    }
}
