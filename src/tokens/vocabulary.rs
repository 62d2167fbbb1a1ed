//! Letters and their token ids: a byte table, so that the hot path is one look-up a letter.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::error::{Error, Result};
use crate::seq::Alphabet;

/// ESM-2's tokens in order of their ids.
const ESM2: [&str; 33] = [
    "<cls>", "<pad>", "<eos>", "<unk>", "L", "A", "G", "V", "S", "E", "R", "T", "I", "D", "P", "K", "Q", "N", "F", "Y",
    "M", "H", "W", "C", "X", "B", "U", "Z", "O", ".", "-", "<null_1>", "<mask>",
];
/// Those of the published `RiNALMo` checkpoints.
const RINALMO: [&str; 22] = [
    "<cls>", "<pad>", "<eos>", "<unk>", "<mask>", "A", "C", "G", "T", "I", "R", "Y", "K", "M", "S", "W", "B", "D", "H",
    "V", "N", "-",
];
/// Those of `RiNALMo` as the package multimolecule writes it.
const MULTIMOLECULE: [&str; 28] = [
    "<pad>", "<cls>", "<eos>", "<unk>", "<mask>", "<null>", "A", "C", "G", "U", "N", "R", "Y", "S", "W", "K", "M", "B",
    "D", "H", "V", "I", "X", "|", ".", "*", "-", "?",
];
/// RNA letters whose rows the published checkpoints trained; multimolecule's others were filled in at conversion.
const TRAINED_RNA: &[u8] = b"ACGTUIRYKMSWBDHVN-";

/// Names that [`Vocabulary::by_name`] knows.
pub const NAMES: [&str; 3] = ["esm2", "rinalmo", "multimolecule"];

/// The tokens of an encoder whose letters are one token each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    alphabet: Alphabet,
    size: usize,
    /// Id of each letter; `unk` of what is none.
    table: [u32; 256],
    cls: u32,
    eos: u32,
    unk: u32,
    mask: u32,
}

impl Vocabulary {
    /// The vocabulary of this name: `esm2`, `rinalmo` (as published), `multimolecule`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        let (alphabet, tokens) = match name {
            "esm2" => (Alphabet::Protein, &ESM2[..]),
            "rinalmo" => (Alphabet::Rna, &RINALMO[..]),
            "multimolecule" => (Alphabet::Rna, &MULTIMOLECULE[..]),
            _ => return None,
        };
        Self::new(alphabet, tokens.iter().copied().zip(0..)).ok()
    }

    /// The vocabulary of these tokens and ids. Tokens of one ASCII character are letters. In RNA, `U` and `T` are the
    /// same letter: whichever of the two has a row serves both, and `U`'s where both have one.
    ///
    /// # Errors
    /// [`Error::Data`] without `<cls>`, `<eos>`, `<unk>` or `<mask>`, for an id or a token given twice, an id left
    /// out, a word of several letters, and without any letter.
    pub fn new<'a>(alphabet: Alphabet, tokens: impl IntoIterator<Item = (&'a str, u32)>) -> Result<Self> {
        let wrong = |what: String| Error::data(what, "take the tokenizer file that belongs to these weights");
        let tokens: Vec<(&str, u32)> = tokens.into_iter().collect();
        let mut by_id: FxHashMap<u32, &str> = FxHashMap::default();
        for &(token, id) in &tokens {
            if let Some(other) = by_id.insert(id, token) {
                return Err(wrong(format!("tokens '{other}' and '{token}' have the same id {id}")));
            }
        }
        let mut seen = FxHashSet::default();
        if let Some((token, _)) = tokens.iter().find(|(token, _)| !seen.insert(*token)) {
            return Err(wrong(format!("token '{token}' occurs twice")));
        }
        if let Some(id) = (0..tokens.len() as u32).find(|id| !by_id.contains_key(id)) {
            return Err(wrong(format!("{} tokens, but none of them has id {id}", tokens.len())));
        }
        let special = |name: &str| {
            let found = tokens.iter().find(|(token, _)| *token == name);
            found.map(|&(_, id)| id).ok_or_else(|| wrong(format!("there is no token '{name}'")))
        };
        let (cls, eos) = (special("<cls>")?, special("<eos>")?);
        let (unk, mask) = (special("<unk>")?, special("<mask>")?);
        let mut table = [unk; 256];
        let mut n_letters = 0;
        for &(token, id) in &tokens {
            match token.as_bytes() {
                [letter] => {
                    table[usize::from(*letter)] = id;
                    n_letters += 1;
                }
                [] | [b'<', .., b'>'] => {}
                _ => return Err(wrong(format!("token '{token}' is a word of several letters, not one letter"))),
            }
        }
        if n_letters == 0 {
            return Err(wrong("there is no token of one letter".into()));
        }
        if alphabet == Alphabet::Rna {
            let [u, t] = [b'U', b'T'].map(|letter| table[usize::from(letter)]);
            let both = if u == unk { t } else { u };
            table[usize::from(b'U')] = both;
            table[usize::from(b'T')] = both;
        }
        Ok(Self { alphabet, size: tokens.len(), table, cls, eos, unk, mask })
    }

    /// The same with every letter as unknown whose row `RiNALMo` was never trained with (multimolecule's
    /// `X . * | ?`), as the published alphabet has it. A protein vocabulary stays as it is.
    #[must_use]
    pub fn with_trained_letters_only(mut self) -> Self {
        if self.alphabet == Alphabet::Rna {
            for (id, letter) in self.table.iter_mut().zip(0u8..=255) {
                if !TRAINED_RNA.contains(&letter) {
                    *id = self.unk;
                }
            }
        }
        self
    }

    /// The kind of sequence.
    #[must_use]
    pub fn alphabet(&self) -> Alphabet {
        self.alphabet
    }
    /// Number of tokens: the rows of the embedding table.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }
    /// Id of `<mask>`, which no text leads to: sequences are letters only.
    #[must_use]
    pub fn mask(&self) -> u32 {
        self.mask
    }
    /// Letters of a normalised `sequence` that become `<unk>`.
    #[must_use]
    pub fn count_unknown(&self, sequence: &[u8]) -> u32 {
        // Counted in bytes first, which the compiler makes wide; 255 of them cannot overflow.
        sequence
            .chunks(255)
            .map(|chunk| u32::from(chunk.iter().map(|&b| u8::from(self.id(b) == self.unk)).sum::<u8>()))
            .sum()
    }
    /// Appends `<cls>`, the id of each letter of a normalised `sequence`, `<eos>` to `ids`.
    pub fn encode_into(&self, sequence: &[u8], ids: &mut Vec<u32>) {
        ids.reserve(sequence.len() + SPECIAL_TOKENS);
        ids.push(self.cls);
        ids.extend(sequence.iter().map(|&letter| self.id(letter)));
        ids.push(self.eos);
    }
    /// The same as a vector of its own.
    #[must_use]
    pub fn encode(&self, sequence: &[u8]) -> Vec<u32> {
        let mut ids = Vec::new();
        self.encode_into(sequence, &mut ids);
        ids
    }
    /// Hexadecimal digest of all that fixes the ids.
    #[must_use]
    pub fn digest(&self) -> String {
        let ids: Vec<u8> = self.table.iter().chain([&self.cls, &self.eos]).flat_map(|id| id.to_le_bytes()).collect();
        blake3::hash(&ids).to_hex().to_string()
    }

    /// Checks that the embedding table has a row for each token and that the network's mask is this one's.
    ///
    /// # Errors
    /// [`Error::Data`].
    pub fn check(&self, rows: usize, mask: u32) -> Result<()> {
        let help = "take the tokenizer file that belongs to these weights";
        if rows != self.size {
            return Err(Error::data(
                format!("the vocabulary has {} tokens, the embedding table {rows} rows", self.size),
                help,
            ));
        }
        if mask != self.mask {
            return Err(Error::data(
                format!("the vocabulary has '<mask>' as {}, the configuration as {mask}", self.mask),
                help,
            ));
        }
        Ok(())
    }

    fn id(&self, letter: u8) -> u32 {
        self.table[usize::from(letter)]
    }
}

/// Tokens of a sequence beside its letters: `<cls>` and `<eos>`.
pub const SPECIAL_TOKENS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_by_hand() {
        let [esm2, rinalmo, multimolecule] = NAMES.map(|name| Vocabulary::by_name(name).unwrap());
        assert_eq!([esm2.size(), rinalmo.size(), multimolecule.size()], [33, 22, 28]);
        assert_eq!([esm2.mask(), rinalmo.mask(), multimolecule.mask()], [32, 4, 4]);
        assert_eq!(esm2.encode(b"LKX.-"), [0, 4, 15, 24, 29, 30, 2]);
        // J, * and what stands for a character outside ASCII: one unknown each, also in a run.
        assert_eq!(esm2.encode(b"MJJ*~K"), [0, 20, 3, 3, 3, 3, 15, 2]);
        assert_eq!(rinalmo.encode(b"ACGTU-X"), [0, 5, 6, 7, 8, 8, 21, 3, 2]);
        assert_eq!(multimolecule.encode(b"ACGTU-X|.*?~"), [1, 6, 7, 8, 9, 9, 26, 22, 23, 24, 25, 27, 3, 2]);
        assert_eq!(esm2.encode(b""), [0, 2]);
        assert!(Vocabulary::by_name("bert").is_none());
    }

    #[test]
    fn unknown_letters_are_those_of_the_vocabulary_not_of_the_alphabet() {
        let [esm2, rinalmo, multimolecule] = NAMES.map(|name| Vocabulary::by_name(name).unwrap());
        let odd = b"X.*|?-ACGJ";
        let counts = [&esm2, &rinalmo, &multimolecule].map(|vocabulary| vocabulary.count_unknown(odd));
        assert_eq!(counts, [4, 6, 1]);
        assert_eq!(rinalmo.count_unknown(&[b'E'; 1000]), 1000);
        let trained = multimolecule.clone().with_trained_letters_only();
        assert_eq!(trained.count_unknown(odd), 6);
        assert_eq!(trained.encode(b"ACGTUIRYKMSWBDHVN-"), multimolecule.encode(b"ACGTUIRYKMSWBDHVN-"));
        assert_ne!(trained.digest(), multimolecule.digest());
        assert_eq!(esm2.clone().with_trained_letters_only(), esm2);
    }

    #[test]
    fn what_is_no_letter_vocabulary_is_refused() {
        let with = |extra: &[&'static str]| {
            let tokens = ["<cls>", "<eos>", "<unk>", "<mask>"].iter().chain(extra).copied().zip(0..);
            Vocabulary::new(Alphabet::Rna, tokens)
        };
        let u_only = with(&["A", "U"]).unwrap();
        assert_eq!(u_only.encode(b"AUT"), [0, 4, 5, 5, 1]);
        assert!(u_only.check(6, 3).is_ok());
        assert!(u_only.check(7, 3).unwrap_err().to_string().contains("6 tokens, the embedding table 7 rows"));
        assert!(u_only.check(6, 2).unwrap_err().to_string().contains("'<mask>' as 3"));
        assert!(with(&["A", "AU"]).unwrap_err().to_string().contains("'AU'"));
        assert!(with(&[]).unwrap_err().to_string().contains("one letter"));
        let missing = Vocabulary::new(Alphabet::Rna, [("<cls>", 0), ("<eos>", 1), ("A", 2), ("<mask>", 3)]);
        assert!(missing.unwrap_err().to_string().contains("<unk>"));
        let gap = Vocabulary::new(Alphabet::Rna, [("<cls>", 0), ("<eos>", 1), ("<unk>", 2), ("<mask>", 4)]);
        assert!(gap.unwrap_err().to_string().contains("id 3"));
        let twice = Vocabulary::new(Alphabet::Rna, [("<cls>", 0), ("A", 0)]);
        assert!(twice.unwrap_err().to_string().contains("same id 0"));
        assert!(with(&["A", "C", "A"]).unwrap_err().to_string().contains("'A' occurs twice"));
    }
}
