//! The table of `docs/TOKENS.md`, and the references' ids where the shared cases are at hand.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use super::Vocabulary;
use crate::files::input::Input;
use crate::seq::fasta::Reader;

/// Our ids of a text as a FASTA file would bring it; `None` where the record is refused.
fn ids(vocabulary: &Vocabulary, text: &str) -> Option<Vec<u32>> {
    let fasta = format!(">x\n{text}\n");
    let input = Input::from_reader("x.fa", Cursor::new(fasta.into_bytes())).unwrap();
    let record = Reader::new(input, vocabulary.alphabet()).unwrap().next().unwrap().unwrap();
    record.fault.is_none().then(|| vocabulary.encode(&record.sequence))
}

#[test]
fn the_documented_table_is_what_comes_out() {
    let document = include_str!("../../docs/TOKENS.md").replace("\\|", "\u{1}");
    let mut rows = [0, 0];
    for line in document.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<String> = line.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect();
        let text = cells[1].trim_matches('`');
        let rna = cells.len() == 8;
        rows[usize::from(rna)] += 1;
        let columns: &[(&str, usize)] = if rna { &[("rinalmo", 2), ("multimolecule", 4)] } else { &[("esm2", 2)] };
        for &(name, column) in columns {
            let found = ids(&Vocabulary::by_name(name).unwrap(), text).unwrap();
            let letters: Vec<String> = found[1..found.len() - 1].iter().map(u32::to_string).collect();
            assert_eq!(letters.join(" "), cells[column], "{name} of {text}");
        }
    }
    assert!(rows[0] >= 14 && rows[1] >= 14, "the tables were not found: {rows:?}");
}

#[test]
fn plain_sequences_have_the_references_ids() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    if !golden.is_dir() {
        eprintln!("skipped: ../shared is absent");
        return;
    }
    for (file, letters, columns) in [
        ("protein_tokens.json", "ACDEFGHIKLMNPQRSTVWYXBUZO.-", &[("esm2", "hf_esm"), ("esm2", "fair_esm")][..]),
        ("rna_tokens.json", "ACGUTRYKMSWBDHVNI-", &[("rinalmo", "official"), ("multimolecule", "multimolecule")][..]),
    ] {
        let cases: serde_json::Value = serde_json::from_slice(&fs::read(golden.join(file)).unwrap()).unwrap();
        let mut plain = 0;
        for (name, case) in cases.as_object().unwrap() {
            let text = case["sequence"].as_str().unwrap();
            if !text.chars().all(|c| letters.contains(c)) {
                continue;
            }
            plain += 1;
            for (vocabulary, reference) in columns {
                let expected: Vec<u32> = serde_json::from_value(case[reference].clone()).unwrap();
                assert_eq!(ids(&Vocabulary::by_name(vocabulary).unwrap(), text), Some(expected), "{name}, {reference}");
            }
        }
        assert!(plain >= 11, "{file}: {plain}");
    }
}

#[test]
fn a_literal_mask_is_not_a_token() {
    assert_eq!(ids(&Vocabulary::by_name("esm2").unwrap(), "MK<mask>LV"), None);
}
