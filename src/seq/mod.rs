//! Sequences and molecules as text: FASTA, SMILES files, alphabets, normalisation, digests.

mod alphabet;
pub mod fasta;
mod record;
pub mod smi;

pub use alphabet::Alphabet;
pub(crate) use record::id_of;
pub use record::{MAX_ID, RecordFault, SequenceRecord};

/// Bytes of a sequence digest.
pub const DIGEST_BYTES: usize = 16;

/// The first 16 bytes of the BLAKE3 hash of a normalised sequence: sequences are the same exactly when these are.
#[must_use]
pub fn digest(sequence: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut out = [0; DIGEST_BYTES];
    out.copy_from_slice(&blake3::hash(sequence).as_bytes()[..DIGEST_BYTES]);
    out
}

/// The same in hexadecimal, 32 letters.
#[must_use]
pub fn digest_hex(sequence: &[u8]) -> String {
    blake3::hash(sequence).to_hex()[..2 * DIGEST_BYTES].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_the_head_of_blake3() {
        // BLAKE3 of nothing begins so.
        assert_eq!(digest_hex(b""), "af1349b9f5f9a1a6a0404dea36dcc949");
        assert_eq!(digest(b"")[..4], [0xaf, 0x13, 0x49, 0xb9]);
        assert_ne!(digest(b"ACGT"), digest(b"ACGA"));
    }
}
