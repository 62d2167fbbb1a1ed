//! RNA 4-mer frequencies.

use super::{SequenceEncoder, defined_by, write_frequencies};
use crate::data::EncoderIdentity;
use crate::seq::Alphabet;

const DEFINITION: &str = "RNA 4-mer frequencies, 256 values: windows of 4 letters that are all in ACGT (U = T); \
    index 64a+16b+4c+d with A=0 C=1 G=2 T=3; count / number of such windows; zeros without one";
const DIM: usize = 256;

/// Frequencies of the 256 RNA 4-mers: `count(abcd) / n_windows` at index `64a + 16b + 4c + d` with
/// A = 0, C = 1, G = 2, T = U = 3, over the windows whose four letters are all bases. No such window: zeros.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kmer;

/// Of each letter the code `0..4`, and [`OTHER`] for what is not a base.
static CODES: [u32; 256] = codes();
/// Marks a letter that is not a base; far enough above the codes for both to be shifted together.
const OTHER: u32 = 1 << 16;
/// Of a shifted state: the codes of the last four letters, and their marks but for the newest.
const LAST_FOUR: u32 = 0xff | OTHER << 2 | OTHER << 4 | OTHER << 6;

const fn codes() -> [u32; 256] {
    let mut codes = [OTHER; 256];
    let bases = [b'A', b'C', b'G', b'T', b'U'];
    let mut i = 0;
    while i < bases.len() {
        let code = if i < 4 { i as u32 } else { 3 };
        codes[bases[i] as usize] = code;
        codes[bases[i].to_ascii_lowercase() as usize] = code;
        i += 1;
    }
    codes
}

/// The last four letters: their codes in bits 0 to 7, their marks in bits 16, 18, 20 and 22.
struct Window(u32);

impl Window {
    /// Before the first letter; no window is whole until four bases have come.
    const EMPTY: Self = Self(OTHER | OTHER << 2 | OTHER << 4 | OTHER << 6);

    /// Takes in the next letter. The index of the 4-mer, or one from `DIM` on, which nobody reads, while one of the
    /// last four letters is not a base.
    fn push(&mut self, letter: u8) -> usize {
        self.0 = (self.0 << 2) & LAST_FOUR | CODES[usize::from(letter)];
        let broken = usize::from(self.0 >= OTHER);
        (self.0 & 0xff) as usize | (broken * DIM)
    }
}

impl SequenceEncoder for Kmer {
    fn identity(&self) -> EncoderIdentity {
        defined_by("kmer", DEFINITION)
    }

    fn alphabet(&self) -> Alphabet {
        Alphabet::Rna
    }

    fn dim(&self) -> usize {
        DIM
    }

    fn encode(&self, sequence: &[u8], out: &mut [f32]) {
        let mut counts = [[0u32; 2 * DIM]; 2];
        let [left_counts, right_counts] = &mut counts;
        // Both halves of the windows at once, each with its own histogram: neither waits for the other's last step.
        let half = sequence.len().saturating_sub(3) / 2;
        let (left, right) = (&sequence[..sequence.len().min(half + 3)], &sequence[half..]);
        let (mut left_window, mut right_window) = (Window::EMPTY, Window::EMPTY);
        for (&l, &r) in left.iter().zip(right) {
            left_counts[left_window.push(l)] += 1;
            right_counts[right_window.push(r)] += 1;
        }
        // An odd number of windows leaves the right half one more.
        for &r in &right[left.len()..] {
            right_counts[right_window.push(r)] += 1;
        }
        let totals = || left_counts[..DIM].iter().zip(&right_counts[..DIM]).map(|(a, b)| a + b);
        write_frequencies(totals(), totals().sum(), out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(sequence: &[u8]) -> Vec<f32> {
        let mut out = vec![f32::NAN; Kmer.dim()];
        Kmer.encode(sequence, &mut out);
        out
    }

    #[test]
    fn by_hand() {
        // ACGTAC: ACGT = 0·64+1·16+2·4+3 = 27, CGTA = 64+32+12+0 = 108, GTAC = 128+48+0+1 = 177.
        let vector = encode(b"ACGTAC");
        for (index, &value) in vector.iter().enumerate() {
            let expected = if [27, 108, 177].contains(&index) { (1.0f64 / 3.0) as f32 } else { 0.0 };
            assert_eq!(value, expected, "{index}");
        }
        // TTTTTANAAAA: TTTT twice, TTTA = 252, the windows over N none, AAAA once.
        let vector = encode(b"TTTTTANAAAA");
        assert_eq!((vector[255], vector[252], vector[0]), (0.5, 0.25, 0.25));
        assert_eq!(vector.iter().sum::<f32>(), 1.0);
    }

    #[test]
    fn no_window_gives_zeros() {
        for sequence in [&b""[..], b"A", b"ACG", b"ACGNACG", b"NNNNNNNN", b"AC-GT.AC"] {
            assert!(encode(sequence).iter().all(|&v| v == 0.0));
        }
    }

    #[test]
    fn u_is_t() {
        assert_eq!(encode(b"ACGUUGCAUU"), encode(b"ACGTTGCATT"));
        assert_eq!(encode(b"acguUGcaTu"), encode(b"ACGTTGCATT"));
    }

    proptest! {
        #[test]
        fn as_the_plain_definition(sequence in "[ACGTUNR-]{0,300}") {
            let letters: Vec<Option<usize>> = sequence.bytes().map(|b| match b {
                b'A' => Some(0), b'C' => Some(1), b'G' => Some(2), b'T' | b'U' => Some(3), _ => None,
            }).collect();
            let mut counts = vec![0.0f64; 256];
            for window in letters.windows(4) {
                if let [Some(a), Some(b), Some(c), Some(d)] = *window {
                    counts[64 * a + 16 * b + 4 * c + d] += 1.0;
                }
            }
            let n: f64 = counts.iter().sum();
            let expected: Vec<f32> = counts.iter().map(|&c| if n > 0.0 { (c / n) as f32 } else { 0.0 }).collect();
            prop_assert_eq!(encode(sequence.as_bytes()), expected);
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let sum: f32 = encode(&bytes).iter().sum();
            prop_assert!(sum == 0.0 || (sum - 1.0).abs() < 1e-5);
        }
    }
}
