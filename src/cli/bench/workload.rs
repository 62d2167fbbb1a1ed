//! What an encoder is measured on: batches of sequences of given lengths.

use std::fs;
use std::ops::Range;
use std::path::Path;

use biollmnet::error::{Error, Result};
use biollmnet::seq::Alphabet;
use biollmnet::tokens::{SPECIAL_TOKENS, TokenBatch, Vocabulary, pack};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Batches that are run one after the other, under a name.
pub struct Workload {
    /// `8x128`, or `mixed`.
    pub name: String,
    /// Random sequences.
    pub batches: Vec<TokenBatch>,
}

impl Workload {
    /// One batch of `n` sequences for each `NxL` of `shapes`, `L` letters each.
    pub fn uniform(shapes: &str, vocabulary: &Vocabulary) -> Result<Vec<Self>> {
        let of = |shape: &str| {
            let numbers = shape.split_once('x').and_then(|(n, l)| Some((n.parse().ok()?, l.parse().ok()?)));
            let (n, residues): (usize, usize) = numbers.filter(|&(n, l)| n > 0 && l > 0).ok_or_else(|| {
                Error::usage(format!("'{shape}' is no shape"), "write sequences x letters, as in --shape 8x128,2x512")
            })?;
            let random = &mut ChaCha8Rng::seed_from_u64(0);
            Ok(Self { name: shape.to_owned(), batches: vec![batch(&vec![residues; n], vocabulary, random)] })
        };
        shapes.split(',').filter(|shape| !shape.is_empty()).map(of).collect()
    }

    /// Sequences of these lengths, of like length together, at most `max_tokens` a batch.
    pub fn mixed(lengths: &[usize], max_tokens: usize, vocabulary: &Vocabulary) -> Self {
        let tokens: Vec<usize> = lengths.iter().map(|n| n + SPECIAL_TOKENS).collect();
        let random = &mut ChaCha8Rng::seed_from_u64(0);
        let part =
            |part: Vec<usize>| batch(&part.into_iter().map(|i| lengths[i]).collect::<Vec<_>>(), vocabulary, random);
        Self { name: "mixed".to_owned(), batches: pack(&tokens, max_tokens).into_iter().map(part).collect() }
    }

    /// Sequences of all batches.
    pub fn n_sequences(&self) -> usize {
        self.batches.iter().map(TokenBatch::n_sequences).sum()
    }

    /// Tokens of all batches, special ones included.
    pub fn n_tokens(&self) -> usize {
        self.batches.iter().map(TokenBatch::n_tokens).sum()
    }
}

/// A random sequence, all letters equally often.
pub fn sequence(length: usize, vocabulary: &Vocabulary, random: &mut ChaCha8Rng) -> Vec<u8> {
    let letters: &[u8] = match vocabulary.alphabet() {
        Alphabet::Rna => b"ACGT",
        Alphabet::Protein => b"ACDEFGHIKLMNPQRSTVWY",
    };
    (0..length).map(|_| letters[random.random_range(0..letters.len())]).collect()
}

fn batch(lengths: &[usize], vocabulary: &Vocabulary, random: &mut ChaCha8Rng) -> TokenBatch {
    let mut batch = TokenBatch::default();
    for &n in lengths {
        batch.push(&vocabulary.encode(&sequence(n, vocabulary, random)));
    }
    batch
}

/// Rows of the letters of each sequence.
pub fn letters(batch: &TokenBatch) -> Vec<Range<usize>> {
    batch.sequences().map(|rows| rows.start + 1..rows.end - 1).collect()
}

/// Lengths in letters, one a line; lines that begin with # are comments.
pub fn read_lengths(path: &Path) -> Result<Vec<usize>> {
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let mut lengths = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let length = line.parse().ok().filter(|&n: &usize| n > 0 && n <= LONGEST);
        lengths.push(length.ok_or_else(|| {
            Error::record(path, number, "", format!("'{line}' is no length"), "write one number of letters a line")
        })?);
    }
    if lengths.is_empty() {
        return Err(Error::format(path, "it has no lengths", "write one number of letters a line"));
    }
    Ok(lengths)
}

/// Letters beyond which a length is surely a mistake.
const LONGEST: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_sequences_by_letters() {
        let vocabulary = Vocabulary::by_name("esm2").unwrap();
        let made = Workload::uniform("8x128,2x5", &vocabulary).unwrap();
        assert_eq!((made[0].n_sequences(), made[0].n_tokens()), (8, 8 * 130));
        assert_eq!(made[1].name, "2x5");
        let ids = made[1].batches[0].ids();
        assert_eq!((ids[0], ids[6], ids[7]), (0, 2, 0));
        assert!(ids[1..6].iter().all(|id| (4..24).contains(id)));
        for wrong in ["8", "x", "0x5", "3x0", "axb"] {
            assert!(Workload::uniform(wrong, &vocabulary).is_err(), "{wrong}");
        }
    }

    #[test]
    fn mixed_lengths_keep_every_sequence() {
        let made = Workload::mixed(&[3, 10, 1], 9, &Vocabulary::by_name("rinalmo").unwrap());
        assert_eq!((made.n_sequences(), made.n_tokens()), (3, 12 + 5 + 3));
        assert_eq!(made.batches.len(), 2);
    }

    #[test]
    fn the_committed_lengths_are_as_stated() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/lengths/mixed.txt");
        let mut lengths = read_lengths(&path).unwrap();
        lengths.sort_unstable();
        let rule = |i: usize| (30.0 * (1022.0f64 / 30.0).powf((i as f64 + 0.5) / 48.0)).round() as usize;
        assert_eq!(lengths, (0..48).map(rule).collect::<Vec<_>>());
    }

    #[test]
    fn a_word_among_the_lengths_is_refused_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lengths.txt");
        fs::write(&path, "# letters\n12\n\ntwelve\n").unwrap();
        assert!(read_lengths(&path).unwrap_err().to_string().contains(":4: 'twelve' is no length"));
        fs::write(&path, "# none\n").unwrap();
        assert!(read_lengths(&path).is_err());
    }
}
