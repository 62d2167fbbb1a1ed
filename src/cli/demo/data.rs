//! The data of the demo: synthetic RNAs and proteins with a planted rule of binding that needs both sides.
//!
//! Every RNA belongs to one of four motif families: 4 to 8 copies of the family's 8-letter motif lie in a random
//! sequence of 80–200 letters. Every protein belongs to one of four domain families: 35–50 % of its 80–250 residues
//! are a domain whose residue classes repeat with period 4. Both keep random point changes.
//!
//! The rule: RNA family `r` and protein family `p` bind when `(r + p) mod 4 < 2`. Each family of one side binds two of
//! the four families of the other, so neither side alone tells anything, a sum of both neither; 2 % of the labels are
//! flipped. The pairs are drawn at random from all combinations, so an id tells next to nothing about its other pairs.
//!
//! The bytes depend on nothing but this file: integers from one seeded ChaCha8 stream.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use biollmnet::error::{Error, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SEED: u64 = 1;
const N_FAMILIES: usize = 4;
/// Entities of each side, the same number in every family.
const N_ENTITIES: usize = 64;
const N_PAIRS: usize = 2000;
const FLIPPED_PER_MILLE: usize = 20;

const NUCLEOTIDES: &[u8] = b"ACGU";
const MOTIFS: [&[u8; 8]; N_FAMILIES] = [b"GGACUUCG", b"ACUGAUGA", b"UGUAAAUA", b"CCGAGUCC"];
/// A motif and the two letters after it: copies never touch.
const SLOT: usize = 10;
const MOTIF_CHANGED_PER_MILLE: usize = 100;

const RESIDUES: &[u8] = b"ACDEFGHIKLMNPQRSTVWY";
/// One period of each domain: the residues that may stand at each of its four places.
const DOMAINS: [[&[u8]; 4]; N_FAMILIES] = [
    [b"RK", b"AGV", b"RK", b"HNQW"],
    [b"DE", b"ILFP", b"ILFP", b"YMTS"],
    [b"YMTS", b"YMTS", b"C", b"DE"],
    [b"ILFP", b"HNQW", b"AGV", b"AGV"],
];
const DOMAIN_CHANGED_PER_MILLE: usize = 150;

/// The input files of the demo.
#[derive(Debug)]
pub struct DemoData {
    /// `synthetic-rna-01` …
    pub rna_fasta: String,
    /// `synthetic-protein-01` …
    pub protein_fasta: String,
    /// Columns `rna_id`, `protein_id`, `label`.
    pub pairs_tsv: String,
    /// One pair of every RNA that `pairs_tsv` lacks: columns `rna_id`, `protein_id`, `binds` (the rule, never flipped).
    pub new_pairs_tsv: String,
}

const README: &str = include_str!("README.txt");

impl DemoData {
    /// Makes the data: always the same bytes.
    pub fn generate() -> Self {
        let mut draw = Draw(ChaCha8Rng::seed_from_u64(SEED));
        let rna_families = families(&mut draw);
        let protein_families = families(&mut draw);
        let rna_fasta = fasta("rna", &rna_families, |family| rna(&mut draw, family));
        let protein_fasta = fasta("protein", &protein_families, |family| protein(&mut draw, family));
        let grid = shuffled_grid(&mut draw);
        let (labelled, others) = grid.split_at(N_PAIRS);
        Self {
            rna_fasta,
            protein_fasta,
            pairs_tsv: pairs(&mut draw, labelled, &rna_families, &protein_families),
            new_pairs_tsv: new_pairs(others, &rna_families, &protein_families),
        }
    }

    /// Writes `rna.fasta`, `protein.fasta`, `pairs.tsv`, `new_pairs.tsv` and a `README.txt` that says what they are into
    /// `folder`, which is created when it is absent.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let files = [
            ("README.txt", README),
            ("rna.fasta", &self.rna_fasta),
            ("protein.fasta", &self.protein_fasta),
            ("pairs.tsv", &self.pairs_tsv),
            ("new_pairs.tsv", &self.new_pairs_tsv),
        ];
        for (name, content) in files {
            let path = folder.join(name);
            fs::write(&path, content).map_err(Error::io("write", &path))?;
        }
        Ok(())
    }
}

/// Random choices by integer arithmetic alone, so that every machine makes the same ones.
struct Draw(ChaCha8Rng);

impl Draw {
    /// A number in `0..n`.
    fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.0.next_u32()) * n as u64) >> 32) as usize
    }
    /// A number in `low..=high`.
    fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }
    /// True in `n` of 1000 cases.
    fn per_mille(&mut self, n: usize) -> bool {
        self.below(1000) < n
    }
    /// One of `letters`.
    fn letter(&mut self, letters: &[u8]) -> char {
        char::from(letters[self.below(letters.len())])
    }
    /// `n` of `letters`.
    fn sequence(&mut self, letters: &[u8], n: usize) -> Vec<char> {
        (0..n).map(|_| self.letter(letters)).collect()
    }
    /// The first `n` places get a random choice of `items`, in random order.
    fn choose<T>(&mut self, items: &mut [T], n: usize) {
        for i in 0..n.min(items.len()) {
            let other = self.between(i, items.len() - 1);
            items.swap(i, other);
        }
    }
}

/// The family of each entity, in random order: ids tell nothing about families.
fn families(draw: &mut Draw) -> Vec<usize> {
    let mut families: Vec<usize> = (0..N_ENTITIES).map(|i| i % N_FAMILIES).collect();
    draw.choose(&mut families, N_ENTITIES);
    families
}

fn fasta(kind: &str, families: &[usize], mut sequence: impl FnMut(usize) -> Vec<char>) -> String {
    let mut text = String::new();
    for (i, &family) in families.iter().enumerate() {
        let sequence: String = sequence(family).into_iter().collect();
        let _ = writeln!(text, ">{}\n{sequence}", id(kind, i));
    }
    text
}

fn id(kind: &str, index: usize) -> String {
    format!("synthetic-{kind}-{:02}", index + 1)
}

fn rna(draw: &mut Draw, family: usize) -> Vec<char> {
    let length = draw.between(80, 200);
    let mut sequence = draw.sequence(NUCLEOTIDES, length);
    let mut slots: Vec<usize> = (0..length / SLOT).collect();
    let copies = draw.between(4, 8);
    draw.choose(&mut slots, copies);
    for slot in &slots[..copies] {
        for (place, &base) in sequence[slot * SLOT..].iter_mut().zip(MOTIFS[family]) {
            if !draw.per_mille(MOTIF_CHANGED_PER_MILLE) {
                *place = char::from(base);
            }
        }
    }
    sequence
}

fn protein(draw: &mut Draw, family: usize) -> Vec<char> {
    let length = draw.between(80, 250);
    let mut sequence = draw.sequence(RESIDUES, length);
    let domain = length * draw.between(350, 500) / 1000;
    let start = draw.between(1, length - domain);
    for (place, class) in sequence[start..].iter_mut().take(domain).zip(DOMAINS[family].iter().cycle()) {
        if !draw.per_mille(DOMAIN_CHANGED_PER_MILLE) {
            *place = draw.letter(class);
        }
    }
    sequence[0] = 'M';
    sequence
}

/// All pairs of an RNA and a protein; the first [`N_PAIRS`] are a random choice in random order.
fn shuffled_grid(draw: &mut Draw) -> Vec<(usize, usize)> {
    let mut grid: Vec<(usize, usize)> = (0..N_ENTITIES).flat_map(|r| (0..N_ENTITIES).map(move |p| (r, p))).collect();
    draw.choose(&mut grid, N_PAIRS);
    grid
}

fn bind(rna_family: usize, protein_family: usize) -> bool {
    (rna_family + protein_family) % N_FAMILIES < N_FAMILIES / 2
}

fn pairs(draw: &mut Draw, grid: &[(usize, usize)], rna_families: &[usize], protein_families: &[usize]) -> String {
    let mut text = String::from("rna_id\tprotein_id\tlabel\n");
    for &(r, p) in grid {
        let binds = bind(rna_families[r], protein_families[p]);
        let label = u8::from(binds != draw.per_mille(FLIPPED_PER_MILLE));
        let _ = writeln!(text, "{}\t{}\t{label}", id("rna", r), id("protein", p));
    }
    text
}

/// The first pair of every RNA in `grid`, in the order of the RNAs.
fn new_pairs(grid: &[(usize, usize)], rna_families: &[usize], protein_families: &[usize]) -> String {
    let mut text = String::from("rna_id\tprotein_id\tbinds\n");
    for rna in 0..N_ENTITIES {
        if let Some(&(r, p)) = grid.iter().find(|pair| pair.0 == rna) {
            let binds = u8::from(bind(rna_families[r], protein_families[p]));
            let _ = writeln!(text, "{}\t{}\t{binds}", id("rna", r), id("protein", p));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn records(fasta: &str) -> Vec<(&str, &str)> {
        let lines: Vec<&str> = fasta.lines().collect();
        lines.chunks(2).map(|record| (record[0].strip_prefix('>').unwrap(), record[1])).collect()
    }

    fn rows(pairs: &str) -> Vec<(&str, &str, bool)> {
        pairs
            .lines()
            .skip(1)
            .map(|line| {
                let cells: Vec<&str> = line.split('\t').collect();
                (cells[0], cells[1], cells[2] == "1")
            })
            .collect()
    }

    #[test]
    fn the_bytes_are_always_the_same() {
        let data = DemoData::generate();
        let digest = |text: &str| blake3::hash(text.as_bytes()).to_hex()[..16].to_owned();
        let digests = [&data.rna_fasta, &data.protein_fasta, &data.pairs_tsv].map(|text| digest(text));
        assert_eq!(digests, ["8904281f64ef6b2d", "0b296ed3e6d7c8b7", "a1a8483beedb4b3d"]);
    }

    #[test]
    fn sequences_have_valid_letters_and_lengths() {
        let data = DemoData::generate();
        for (fasta, letters, lengths) in
            [(&data.rna_fasta, NUCLEOTIDES, 80..=200), (&data.protein_fasta, RESIDUES, 80..=250)]
        {
            let records = records(fasta);
            assert_eq!(records.len(), N_ENTITIES);
            assert_eq!(records.iter().map(|r| r.0).collect::<HashSet<_>>().len(), N_ENTITIES);
            assert_eq!(records.iter().map(|r| r.1).collect::<HashSet<_>>().len(), N_ENTITIES);
            for (id, sequence) in records {
                assert!(sequence.bytes().all(|b| letters.contains(&b)), "{id}");
                assert!(lengths.contains(&sequence.len()), "{id}: {}", sequence.len());
            }
        }
    }

    #[test]
    fn labels_are_balanced_for_every_rna_and_every_protein() {
        let data = DemoData::generate();
        let rows = rows(&data.pairs_tsv);
        assert_eq!(rows.len(), N_PAIRS);
        assert_eq!(rows.iter().map(|r| (r.0, r.1)).collect::<HashSet<_>>().len(), N_PAIRS);
        let share = |rows: &[bool]| rows.iter().filter(|&&l| l).count() as f64 / rows.len() as f64;
        let all: Vec<bool> = rows.iter().map(|r| r.2).collect();
        assert!((share(&all) - 0.5).abs() < 0.03, "{}", share(&all));

        let known: HashSet<&str> =
            [&data.rna_fasta, &data.protein_fasta].into_iter().flat_map(|f| records(f)).map(|r| r.0).collect();
        let mut by_id: HashMap<&str, Vec<bool>> = HashMap::new();
        for (rna, protein, label) in rows {
            by_id.entry(rna).or_default().push(label);
            by_id.entry(protein).or_default().push(label);
        }
        assert_eq!(by_id.keys().copied().collect::<HashSet<_>>(), known);
        for (id, labels) in by_id {
            assert!(labels.len() >= 10, "{id} has {} pairs", labels.len());
            assert!((0.3..=0.7).contains(&share(&labels)), "{id}: {}", share(&labels));
        }
    }

    #[test]
    fn labels_follow_the_rule_but_for_the_flipped_ones() {
        let mut draw = Draw(ChaCha8Rng::seed_from_u64(SEED));
        let (rna_families, protein_families) = (families(&mut draw), families(&mut draw));
        let data = DemoData::generate();
        let index = |id: &str| id.rsplit('-').next().unwrap().parse::<usize>().unwrap() - 1;
        let rows = rows(&data.pairs_tsv);
        let flipped =
            rows.iter().filter(|(r, p, l)| ((rna_families[index(r)] + protein_families[index(p)]) % 4 < 2) != *l);
        let share = flipped.count() as f64 / rows.len() as f64;
        assert!((0.01..0.03).contains(&share), "{share}");
    }

    #[test]
    fn new_pairs_have_one_row_for_every_rna_and_none_that_is_labelled() {
        let data = DemoData::generate();
        let labelled: HashSet<(&str, &str)> = rows(&data.pairs_tsv).iter().map(|r| (r.0, r.1)).collect();
        let new = rows(&data.new_pairs_tsv);
        assert!(new.iter().all(|r| !labelled.contains(&(r.0, r.1))));
        assert_eq!(new.iter().map(|r| r.0).collect::<HashSet<_>>().len(), N_ENTITIES);
        assert_eq!(new.len(), N_ENTITIES);
    }

    #[test]
    fn the_files_are_written_as_generated() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("demo/data");
        let data = DemoData::generate();
        data.write(&inner).unwrap();
        assert_eq!(fs::read_to_string(inner.join("pairs.tsv")).unwrap(), data.pairs_tsv);
        assert_eq!(fs::read_to_string(inner.join("rna.fasta")).unwrap(), data.rna_fasta);
        assert_eq!(fs::read_to_string(inner.join("protein.fasta")).unwrap(), data.protein_fasta);
    }
}
