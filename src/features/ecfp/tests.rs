//! Against RDKit's bits: a table that `tests/fixtures/ecfp.py` wrote, and the digest that it printed.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::mol::{Bond, parse};

const TABLE: &str = include_str!("../../../tests/fixtures/ecfp.tsv");

fn bits(molecule: &Molecule) -> Vec<u64> {
    let mut out = vec![f32::NAN; Ecfp.dim()];
    Ecfp.encode(molecule, &mut out);
    assert!(out.iter().all(|&bit| bit == 0.0 || bit == 1.0));
    (0..).zip(&out).filter(|(_, bit)| **bit == 1.0).map(|(index, _)| index).collect()
}

fn table() -> impl Iterator<Item = (&'static str, Molecule, Vec<u64>)> {
    TABLE.lines().map(|line| {
        let (smiles, bits) = line.split_once('\t').unwrap();
        (smiles, parse(smiles).unwrap(), bits.split(',').map(|bit| bit.parse().unwrap()).collect())
    })
}

#[test]
fn the_bits_of_the_table() {
    let mut longest = 0;
    for (smiles, molecule, expected) in table() {
        assert_eq!(bits(&molecule), expected, "{smiles}");
        longest = molecule.bonds.len().max(longest);
    }
    // Sets of bonds of more than one word are among them.
    assert!(longest > 64);
}

#[test]
fn the_bits_of_every_molecule_of_the_data_sets() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let Ok(folders) = fs::read_dir(data) else {
        println!("skipped: ../shared is absent");
        return;
    };
    let mut files: Vec<PathBuf> = folders.map(|folder| folder.unwrap().path().join("molecules.smi")).collect();
    files.retain(|file| file.is_file());
    files.sort();
    let (mut digest, mut n_molecules) = (0xcbf2_9ce4_8422_2325u64, 0);
    for file in files {
        for line in fs::read_to_string(file).unwrap().lines() {
            let Ok(molecule) = parse(line) else { continue };
            for word in bits(&molecule).into_iter().chain([0xffff]) {
                digest = (digest ^ word).wrapping_mul(0x100_0000_01b3);
            }
            n_molecules += 1;
        }
    }
    assert_eq!((n_molecules, digest), (25_784, 0xf43c_38dc_af49_f5a5));
}

#[test]
fn the_order_of_atoms_and_bonds_does_not_matter() {
    for (smiles, molecule, expected) in table() {
        let last = molecule.atoms.len() - 1;
        let turned = |bond: &Bond| Bond { begin: last - bond.end, end: last - bond.begin, ..*bond };
        let molecule = Molecule {
            atoms: molecule.atoms.iter().rev().copied().collect(),
            bonds: molecule.bonds.iter().rev().map(turned).collect(),
        };
        assert_eq!(bits(&molecule), expected, "{smiles}");
    }
}

#[test]
fn nothing_has_no_bits() {
    assert!(bits(&Molecule::default()).is_empty());
    assert_eq!((Ecfp.identity().name.as_str(), Ecfp.dim()), ("ecfp", 2048));
}
