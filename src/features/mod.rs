//! Encoders without weights: RNA k-mers, the protein conjoint triad, and the fingerprint of molecules.

mod ecfp;
mod kmer;
mod triad;

pub use ecfp::Ecfp;
pub use kmer::Kmer;
pub use triad::Triad;

use crate::data::EncoderIdentity;
use crate::seq::Alphabet;

/// Turns one sequence into one vector.
pub trait SequenceEncoder: Send + Sync {
    /// What made the vectors: name, digest of the definition, pooling.
    fn identity(&self) -> EncoderIdentity;
    /// The sequences that it takes.
    fn alphabet(&self) -> Alphabet;
    /// Width of the vector.
    fn dim(&self) -> usize;
    /// Writes the vector of a normalised `sequence` into `out` (`[dim()]`).
    fn encode(&self, sequence: &[u8], out: &mut [f32]);
}

/// Names of encoders of sequences, which [`by_name`] knows.
pub const NAMES: [&str; 2] = ["kmer", "triad"];

/// Name of [`Ecfp`], which takes molecules.
pub const ECFP: &str = "ecfp";

/// The weight-free encoder of sequences of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<Box<dyn SequenceEncoder>> {
    match name {
        "kmer" => Some(Box::new(Kmer)),
        "triad" => Some(Box::new(Triad)),
        _ => None,
    }
}

/// Identity of an encoder that is fixed by the words that define it.
fn defined_by(name: &str, definition: &str) -> EncoderIdentity {
    let digest = blake3::hash(definition.as_bytes()).to_hex().to_string();
    EncoderIdentity { name: name.to_owned(), digest, pooling: "mean".to_owned() }
}

/// `count / n_windows` in f64, then f32; zeros where there is no window.
fn write_frequencies(counts: impl Iterator<Item = u32>, n_windows: u32, out: &mut [f32]) {
    let scale = f64::from(n_windows.max(1));
    for (value, count) in out.iter_mut().zip(counts) {
        // Signed, since that conversion has an instruction of its own; records stay far below 2³¹ letters.
        *value = (f64::from(count.cast_signed()) / scale) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_encoders_of_that_name() {
        for name in NAMES {
            let encoder = by_name(name).unwrap();
            let identity = encoder.identity();
            assert_eq!((identity.name.as_str(), identity.pooling.as_str(), identity.digest.len()), (name, "mean", 64));
        }
        assert_ne!(Kmer.identity().digest, Triad.identity().digest);
        assert!(by_name("esm2").is_none());
    }
}
