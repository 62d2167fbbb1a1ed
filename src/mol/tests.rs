//! Whatever the string: an answer, no panic.

use super::{Reason, parse};
use proptest::prelude::*;

const SEEDS: [&str; 10] = [
    "CN1CC[C@]23c4c5ccc(O)c4O[C@H]2[C@@H](O)C=C[C@H]3[C@H]1C5",
    "OC(=O)/C=C/C(\\F)=C(/Cl)[13CH3].[Na+].[O-]c1cccc[n+]1[O-]",
    "[H]Oc1c([H])c([H])c2c3c1O[C@]1([H])[C@]34C([H])([H])C([H])([H])N(C)[C@]([H])(C2)[C@]4([H])C=C[C@]1([H])O",
    "c1cc2ccc3cccc4ccc(c1)c2c34",
    "O=N(=O)c1ccc2[nH]c3ccc(S(=O)(=O)F)cc3c2c1",
    "C[C@H]1CC[C@@H](C)CC1",
    "C%12CC%(12)=C%11CC[N@@]%11C",
    "F[P-](F)(F)(F)(F)F.c1ccc[n+](c1)[Fe]",
    "C1CN2CCC1CC2",
    "C[Si@](F)(Cl)[As]=[Se]",
];

proptest! {
    #[test]
    fn any_string(text in ".{0,40}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_letters_of_the_grammar(text in "[CNOPSFIBcnops\\[\\]()=#@+\\-./\\\\%:0-9H*~$<>]{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn mutated_molecules(seed in 0..SEEDS.len(), edits in prop::collection::vec((0.0..1.0, 0..4, "[CNc1-4()=@/\\[\\]H+.]"), 0..6)) {
        let mut text: Vec<char> = SEEDS[seed].chars().collect();
        for (place, edit, letter) in edits {
            let place = (place * text.len() as f64) as usize;
            let letter = letter.chars().next().unwrap_or('C');
            match edit {
                0 => text.insert(place, letter),
                1 if place < text.len() => drop(text.remove(place)),
                2 if place < text.len() => text[place] = letter,
                _ => text.truncate(place + 1),
            }
        }
        let text: String = text.into_iter().collect();
        if let Ok(molecule) = parse(&text) {
            let n = molecule.atoms.len();
            prop_assert!(n > 0 && molecule.bonds.iter().all(|bond| bond.begin < n && bond.end < n && bond.begin != bond.end));
        }
    }

    /// Chemistry does not depend on the numbers of the rings.
    #[test]
    fn ring_numbers_are_only_names(seed in 0..SEEDS.len(), offset in 20_u32..80) {
        let text = SEEDS[seed];
        if !text.contains('%') && !text.chars().any(|c| c == '3') {
            let mut renamed = String::new();
            let mut in_bracket = false;
            for c in text.chars() {
                in_bracket = c == '[' || (in_bracket && c != ']');
                match c.to_digit(10) {
                    Some(digit) if !in_bracket => renamed.extend(['%'].into_iter().chain((offset + digit).to_string().chars())),
                    _ => renamed.push(c),
                }
            }
            prop_assert_eq!(parse(&renamed), parse(text));
        }
    }
}

#[test]
fn seeds_are_molecules() {
    for seed in SEEDS {
        assert!(parse(seed).is_ok(), "{seed}: {:?}", parse(seed));
    }
    assert_eq!(parse("\u{e9}").unwrap_err().reason(), Reason::Parse);
}
