//! The protein conjoint triad.

use super::{SequenceEncoder, defined_by, write_frequencies};
use crate::data::EncoderIdentity;
use crate::seq::Alphabet;

const DEFINITION: &str = "protein conjoint triad, 343 values: classes AGV=0 ILFP=1 YMTS=2 HNQW=3 RK=4 DE=5 C=6; \
    windows of 3 letters that all have a class; index 49a+7b+c; count / number of such windows; zeros without one";
/// Amino acids of like dipole and side-chain volume.
const CLASSES: [&[u8]; 7] = [b"AGV", b"ILFP", b"YMTS", b"HNQW", b"RK", b"DE", b"C"];
const DIM: usize = 343;

/// Relative frequencies of the 343 conjoint triads: amino acids fall into seven classes (AGV, ILFP, YMTS, HNQW, RK,
/// DE, C), and `count(abc) / n_windows` stands at index `49a + 7b + c`, over the windows whose three letters all have
/// a class. No such window: zeros.
#[derive(Debug, Clone, Copy, Default)]
pub struct Triad;

/// Of each letter the class `0..7`, and [`OTHER`] for what has none.
static CODES: [u16; 256] = codes();
/// The eighth class, and with it the base of the index while counting, so that shifts suffice.
const OTHER: u16 = 7;

const fn codes() -> [u16; 256] {
    let mut codes = [OTHER; 256];
    let mut class = 0;
    while class < CLASSES.len() {
        let mut i = 0;
        while i < CLASSES[class].len() {
            let letter = CLASSES[class][i];
            codes[letter as usize] = class as u16;
            codes[letter.to_ascii_lowercase() as usize] = class as u16;
            i += 1;
        }
        class += 1;
    }
    codes
}

impl SequenceEncoder for Triad {
    fn identity(&self) -> EncoderIdentity {
        defined_by("triad", DEFINITION)
    }

    fn alphabet(&self) -> Alphabet {
        Alphabet::Protein
    }

    fn dim(&self) -> usize {
        DIM
    }

    fn encode(&self, sequence: &[u8], out: &mut [f32]) {
        // Counted in base 8, where windows with a letter of no class have places of their own that nobody reads.
        // Two histograms, taken in turn, since a repeated window would otherwise wait for its own last store.
        let mut counts = [[0u32; 512]; 2];
        for (turn, window) in sequence.windows(3).enumerate() {
            let code = |i: usize| CODES[usize::from(window[i])];
            counts[turn & 1][usize::from(code(0) << 6 | code(1) << 3 | code(2)) & 511] += 1;
        }
        let [even, odd] = &counts;
        let total = |index: usize| even[index] + odd[index];
        let totals =
            || (0..7).flat_map(move |a| (0..7).flat_map(move |b| (0..7).map(move |c| total(64 * a + 8 * b + c))));
        write_frequencies(totals(), totals().sum(), out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(sequence: &[u8]) -> Vec<f32> {
        let mut out = vec![f32::NAN; Triad.dim()];
        Triad.encode(sequence, &mut out);
        out
    }

    #[test]
    fn by_hand() {
        // MKRAC: M=2 K=4 R=4 A=0 C=6: MKR = 98+28+4 = 130, KRA = 196+28+0 = 224, RAC = 196+0+6 = 202.
        let vector = encode(b"MKRAC");
        for (index, &value) in vector.iter().enumerate() {
            let expected = if [130, 224, 202].contains(&index) { (1.0f64 / 3.0) as f32 } else { 0.0 };
            assert_eq!(value, expected, "{index}");
        }
        // CCCCXDDD: CCC twice at 342, nothing over X, DDD once at 5·57 = 285.
        let vector = encode(b"CCCCXDDD");
        assert_eq!((vector[342], vector[285]), ((2.0f64 / 3.0) as f32, (1.0f64 / 3.0) as f32));
    }

    #[test]
    fn the_twenty_amino_acids_have_a_class_and_no_other_letter() {
        for byte in 0..=255u8 {
            let amino_acid = b"ACDEFGHIKLMNPQRSTVWY".contains(&byte.to_ascii_uppercase());
            assert_eq!(CODES[usize::from(byte)] < OTHER, amino_acid, "{byte}");
        }
    }

    #[test]
    fn no_window_gives_zeros() {
        for sequence in [&b""[..], b"M", b"MK", b"MKXMK", b"XXXX", b"MK-RA*C"] {
            assert!(encode(sequence).iter().all(|&v| v == 0.0));
        }
    }

    proptest! {
        #[test]
        fn as_the_plain_definition(sequence in "[ACDEFGHIKLMNPQRSTVWYXBUZO-]{0,200}") {
            let class = |b: u8| CLASSES.iter().position(|letters| letters.contains(&b));
            let letters: Vec<Option<usize>> = sequence.bytes().map(class).collect();
            let mut counts = vec![0.0f64; 343];
            for window in letters.windows(3) {
                if let [Some(a), Some(b), Some(c)] = *window {
                    counts[49 * a + 7 * b + c] += 1.0;
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
