//! Alphabets, and what normalisation makes of each byte of a sequence line.

use std::fmt;

/// The letters of a kind of sequence.
///
/// Normalisation is the same for both: letters are upper-cased, blanks dropped. A letter outside the alphabet stays
/// one letter of its own (a character outside ASCII becomes `~`, which no vocabulary has) and is counted. The gaps `-`
/// and `.` are letters of language models' vocabularies, so they stay and are not counted as unknown; to the encoders
/// of `features` they end a window, as every letter does that is not a base or an amino acid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alphabet {
    /// `ACGT`, `U` (the same letter as `T`, held as `T`), the IUPAC codes `RYSWKMBDHVN`, `I` (inosine), gaps.
    Rna,
    /// The twenty amino acids, `X B Z U O`, gaps. One final `*` is dropped; any other is unknown.
    Protein,
}

/// Marks in a table of [`Alphabet::codes`]: values from 128 on ask for a closer look. An unknown letter is
/// `UNKNOWN | letter`; the three others take codes of letters that cannot occur, since they are control characters.
pub(super) const UNKNOWN: u8 = 0x80;
/// A byte that has no place in a text file.
pub(super) const CONTROL: u8 = 0x80;
/// A byte to drop: a blank, or the rest of a character outside ASCII.
pub(super) const BLANK: u8 = 0x81;
/// `>`, which only a header may hold.
pub(super) const HEADER: u8 = 0x82;

static RNA: [u8; 256] = table(b"ACGTRYSWKMBDHVNI-.");
static PROTEIN: [u8; 256] = table(b"ACDEFGHIKLMNPQRSTVWYXBZUO-.");

const fn table(letters: &[u8]) -> [u8; 256] {
    let mut codes = [CONTROL; 256];
    let mut byte = 0;
    while byte < 256 {
        codes[byte] = match byte as u8 {
            b'>' => HEADER,
            // Blanks; and of a character of several bytes the first stands for all.
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0x80..=0xbf => BLANK,
            printable @ 0x21..=0x7e => UNKNOWN | printable.to_ascii_uppercase(),
            0xc0..=0xff => UNKNOWN | b'~',
            _ => CONTROL,
        };
        byte += 1;
    }
    let mut i = 0;
    while i < letters.len() {
        codes[letters[i] as usize] = letters[i];
        codes[letters[i].to_ascii_lowercase() as usize] = letters[i];
        i += 1;
    }
    // RNA alone knows U as another spelling of T; proteins know U as selenocysteine.
    if codes[b'U' as usize] != b'U' {
        codes[b'U' as usize] = b'T';
        codes[b'u' as usize] = b'T';
    }
    codes
}

impl Alphabet {
    /// What each byte becomes: the normalised letter, or a mark.
    pub(super) fn codes(self) -> &'static [u8; 256] {
        match self {
            Self::Rna => &RNA,
            Self::Protein => &PROTEIN,
        }
    }

    /// Name for messages and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rna => "rna",
            Self::Protein => "protein",
        }
    }
}

impl fmt::Display for Alphabet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_settled() {
        for alphabet in [Alphabet::Rna, Alphabet::Protein] {
            for byte in 0..=255u8 {
                let code = alphabet.codes()[byte as usize];
                match code {
                    CONTROL => assert!(byte.is_ascii_control()),
                    BLANK => assert!(byte.is_ascii_whitespace() || byte == 0x0b || (0x80..0xc0).contains(&byte)),
                    HEADER => assert_eq!(byte, b'>'),
                    _ if code & UNKNOWN == 0 => assert!(code.is_ascii_uppercase() || code == b'-' || code == b'.'),
                    _ => assert!((code & 0x7f).is_ascii_graphic()),
                }
            }
        }
    }

    #[test]
    fn u_is_t_in_rna_only() {
        let (rna, protein) = (Alphabet::Rna.codes(), Alphabet::Protein.codes());
        for byte in *b"UuTt" {
            assert_eq!(rna[byte as usize], b'T');
        }
        assert_eq!((protein[usize::from(b'u')], protein[usize::from(b'T')]), (b'U', b'T'));
        assert_eq!(rna[usize::from(b'X')], UNKNOWN | b'X');
        assert_eq!(protein[usize::from(b'J')], UNKNOWN | b'J');
        assert_eq!(protein[usize::from(b'*')], UNKNOWN | b'*');
    }
}
