//! The extended-connectivity fingerprint of a molecule.

mod environments;
mod isotope;

use super::defined_by;
use crate::data::EncoderIdentity;
use crate::mol::Molecule;

const DEFINITION: &str = "ECFP4 of 2048 bits, 0 or 1, bit = hash mod 2048, as RDKit's Morgan generator of radius 2 sets \
    them: atoms by atomic number, degree with hydrogens, hydrogens, charge, whole mass difference, ring membership; \
    bonds by order; no chirality; environments of equal bonds once";
const DIM: usize = 2048;

/// ECFP4: which circular environments of up to two bonds around an atom occur in the molecule, hashed to 2 048 bits
/// (Rogers & Hahn 2010, doi 10.1021/ci100050t). The bits are those of RDKit's Morgan generator with radius 2.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ecfp;

impl Ecfp {
    /// What made the vectors.
    #[must_use]
    pub fn identity(self) -> EncoderIdentity {
        defined_by("ecfp", DEFINITION)
    }

    /// Width of the vector.
    #[must_use]
    pub fn dim(self) -> usize {
        DIM
    }

    /// Writes the fingerprint, 0 or 1, into `out` (`[dim()]`).
    pub fn encode(self, molecule: &Molecule, out: &mut [f32]) {
        out.fill(0.0);
        for hash in environments::hashes(molecule) {
            if let Some(bit) = out.get_mut(hash as usize % DIM) {
                *bit = 1.0;
            }
        }
    }
}

#[cfg(test)]
mod tests;
