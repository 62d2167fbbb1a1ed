//! Molecules against RDKit's result: our own table, and the shared one where it is there.

use biollmnet::mol::{self, Molecule, Reason, Refusal};
use std::path::Path;

fn joined<const N: usize>(rows: impl Iterator<Item = [i64; N]>) -> String {
    rows.map(|row| row.map(|field| field.to_string()).join(",")).collect::<Vec<_>>().join(";")
}

/// Atoms and bonds as `tests/golden/molecules.py` writes them.
fn features(molecule: &Molecule) -> (String, String) {
    let atoms = joined(molecule.atoms.iter().map(|a| {
        [
            i64::from(a.atomic_number),
            a.chirality as i64,
            i64::from(a.charge),
            i64::from(a.n_hydrogens),
            i64::from(a.isotope),
            i64::from(a.aromatic),
            i64::from(a.in_ring),
        ]
    }));
    let bonds = joined(
        molecule
            .bonds
            .iter()
            .map(|b| [b.begin as i64, b.end as i64, b.order as i64, b.direction as i64, i64::from(b.in_ring)]),
    );
    (atoms, bonds)
}

/// What the table says about a refusal.
fn kind(refusal: &Refusal) -> &'static str {
    if refusal.reason() == Reason::OutOfVocabulary { "out-of-vocabulary" } else { "refused" }
}

#[test]
fn own_table_agrees() {
    let table = include_str!("golden/molecules.tsv");
    let mut wrong = Vec::new();
    for line in table.lines() {
        let [smiles, atoms, bonds] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("three columns: {line}") };
        let found = match mol::parse(smiles) {
            Ok(molecule) => features(&molecule),
            Err(refusal) => (kind(&refusal).to_owned(), String::new()),
        };
        if (found.0.as_str(), found.1.as_str()) != (atoms, bonds) {
            wrong.push(format!("{smiles}\n  expected {atoms} | {bonds}\n  found    {} | {}", found.0, found.1));
        }
    }
    assert!(table.lines().count() > 400);
    assert!(wrong.is_empty(), "{} molecules differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn shared_table_agrees() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden/mol_features.json");
    if !path.exists() {
        println!("skipped: ../shared is absent");
        return;
    }
    let table: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let numbers = |value: &serde_json::Value| -> Vec<Vec<i64>> { serde_json::from_value(value.clone()).unwrap() };
    let mut wrong = Vec::new();
    for entry in table["molecules"].as_array().unwrap() {
        let smiles = entry["smiles"].as_str().unwrap();
        let agrees = match mol::parse(smiles) {
            Ok(molecule) if entry["ok"] == true => {
                let x = molecule.atoms.iter().map(|a| vec![i64::from(a.atomic_number) - 1, a.chirality as i64]);
                let info = molecule.atoms.iter().zip(entry["atoms_info"].as_array().unwrap()).all(|(atom, info)| {
                    info[0] == atom.atomic_number
                        && info[2] == atom.charge
                        && info[3] == atom.n_hydrogens
                        && info[4] == atom.isotope
                        && info[5] == atom.aromatic
                });
                let bonds = molecule
                    .bonds
                    .iter()
                    .map(|b| vec![b.begin as i64, b.end as i64, b.order as i64, b.direction as i64]);
                info && x.collect::<Vec<_>>() == numbers(&entry["x"])
                    && bonds.collect::<Vec<_>>() == numbers(&entry["bonds"])
            }
            Err(refusal) if entry["ok"] == false => {
                let by_features = entry["error"].as_str().unwrap().starts_with("feature_out_of_vocabulary");
                by_features == (refusal.reason() == Reason::OutOfVocabulary)
            }
            _ => false,
        };
        if !agrees {
            wrong.push(smiles.to_owned());
        }
    }
    assert!(wrong.is_empty(), "{} molecules differ: {wrong:#?}", wrong.len());
}

#[test]
fn refusals_say_what_and_where() {
    let cases = [
        ("", Reason::Parse, "the SMILES is empty"),
        ("C(C", Reason::Parse, "a branch is not closed that was opened at character 2"),
        ("CC)", Reason::Parse, "a branch is closed that was not opened at character 3"),
        ("C1CC", Reason::Parse, "ring 1 is not closed at character 2"),
        ("C1C1", Reason::Parse, "ring 1 is a second bond between atoms 0 and 1 at character 4"),
        ("C11", Reason::Parse, "ring 1 binds atom 0 to itself at character 3"),
        ("CCX", Reason::Parse, "expected an atom, found 'X' at character 3"),
        ("CC=", Reason::Parse, "expected an atom, but the SMILES ends"),
        ("C[CH4", Reason::Parse, "expected ']', but the SMILES ends"),
        ("C[Xx]", Reason::Parse, "expected the symbol of an element, found 'X' at character 3"),
        ("CN(C)(C)C", Reason::Valence, "atom 1 (N) has valence 4, which is too high"),
        ("C[O-]C", Reason::Valence, "atom 1 (O with charge -1) has valence 2, which is too high"),
        ("c1cccc1", Reason::Kekulise, "atoms 0, 1, 2, 3, 4 cannot be given alternating single and double bonds"),
        ("Coc", Reason::Kekulise, "atom 1 is written as aromatic, but is in no ring"),
        ("CC*", Reason::OutOfVocabulary, "the atom at character 3 stands for any element, which has no features"),
        ("C~C", Reason::OutOfVocabulary, "a bond of any order at character 2 is not supported"),
        (
            "[NH3][Pt]",
            Reason::OutOfVocabulary,
            "the bond from atom 0 (N) to atom 1 (Pt) is dative, which is not supported",
        ),
        ("[C+200]", Reason::Limit, "the charge 200 at character 3 is too large"),
    ];
    for (smiles, reason, sentence) in cases {
        let refusal = mol::parse(smiles).expect_err(smiles);
        assert_eq!((refusal.reason(), refusal.to_string().as_str()), (reason, sentence), "{smiles}");
        assert!(!refusal.help().is_empty() && !refusal.reason().name().is_empty());
    }
}

#[test]
fn a_name_behind_the_smiles_is_ignored() {
    let plain = mol::parse("Cc1ccccc1C").unwrap();
    for named in ["Cc1ccccc1C o-xylene", "Cc1ccccc1C\tname", "  Cc1ccccc1C |c:1|", "Cc1ccccc1C\n"] {
        assert_eq!(mol::parse(named).unwrap(), plain, "{named}");
    }
}

#[test]
fn large_inputs_take_no_long_time_and_no_deep_stack() {
    let n = 100_000;
    let repeated = |unit: &str| unit.repeat(n / unit.len());
    let accepted = [
        repeated("C"),
        repeated("C[C@H](O)"),
        format!("{}[C@H](F){}", "C".repeat(n / 2), "C".repeat(n / 2 - 1)),
        format!("C{}", "/C=C".repeat(n / 4)),
        repeated("c1ccc(cc1)") + "C",
        repeated("C1CN2CCC1CC2"),
        format!("{}C{}", "C(".repeat(n / 3), ")".repeat(n / 3)),
        format!("C{}C", "([H])([H])C".repeat(n / 11)),
    ];
    for smiles in accepted {
        assert!(mol::parse(&smiles).is_ok(), "{}…", &smiles[..30]);
    }
    let fused = |n: usize, atom: &str| {
        let digits = |up: bool| {
            let numbers: Vec<usize> = if up { (0..n).collect() } else { (0..n).rev().collect() };
            numbers.iter().map(|i| format!("{atom}%({})", 100 + i)).collect::<Vec<_>>().concat()
        };
        format!("{atom}1{}{atom}{atom}{}{atom}1", digits(true), digits(false))
    };
    assert!(mol::parse(&fused(6000, "C")).is_ok());
    assert_eq!(mol::parse(&fused(6000, "c")).unwrap_err().reason(), Reason::Limit);
    assert_eq!(mol::parse(&"C".repeat(300_000)).unwrap_err().reason(), Reason::Limit);
    assert_eq!(mol::parse(&"C(".repeat(n)).unwrap_err().reason(), Reason::Parse);
    assert_eq!(mol::parse(&format!("[Fe]{}", "(F)".repeat(n / 4))).unwrap_err().reason(), Reason::Limit);
}
