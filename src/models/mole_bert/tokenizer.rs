//! The tokenizer of atoms: the nearest vector of a codebook, in the part of it that belongs to the element.

use std::ops::Range;

use crate::backend::Isa;
use crate::error::Result;
use crate::mol::Molecule;
use crate::weights::Scope;

/// Vectors of the codebook.
pub const N_CODES: usize = 512;

/// The vectors that stand for atoms in their surroundings. The states that they are compared with come from an encoder of
/// their own, a graph network like Mole-BERT's.
#[derive(Debug, Clone)]
pub struct Codebook {
    d_model: usize,
    /// `[N_CODES, d_model]`.
    vectors: Vec<f32>,
}

impl Codebook {
    /// Takes the tensor `codebook.weight [512, d_model]`.
    ///
    /// # Errors
    /// When it is absent or of another shape.
    pub fn load(d_model: usize, scope: &Scope) -> Result<Self> {
        Ok(Self { d_model, vectors: scope.take("codebook.weight", &[N_CODES, d_model])?.to_f32() })
    }

    /// The code of each atom of `molecule` by its `states [n_atoms, d_model]`: the vector at the smallest distance within
    /// the element's part of the codebook, the first of equally near ones.
    #[must_use]
    pub fn codes(&self, molecule: &Molecule, states: &[f32]) -> Vec<u16> {
        let states = states.chunks_exact(self.d_model);
        molecule.atoms.iter().zip(states).map(|(atom, state)| self.nearest(part(atom.atomic_number), state)).collect()
    }

    fn nearest(&self, part: Range<u16>, state: &[f32]) -> u16 {
        Isa::detect().dispatch(|| {
            let vectors = self.vectors.chunks_exact(self.d_model).skip(usize::from(part.start));
            let (mut nearest, mut least) = (part.start, f32::INFINITY);
            for (code, vector) in part.zip(vectors) {
                let distance = squared_distance(state, vector);
                if distance < least {
                    (nearest, least) = (code, distance);
                }
            }
            nearest
        })
    }

    /// Writes the share of the atoms that each code has into `out [N_CODES]`.
    pub fn shares(codes: &[u16], out: &mut [f32]) {
        let mut counts = [0u32; N_CODES];
        for &code in codes {
            counts[usize::from(code) % N_CODES] += 1;
        }
        let n_atoms = codes.len().max(1) as f64;
        for (out, count) in out.iter_mut().zip(counts) {
            *out = (f64::from(count) / n_atoms) as f32;
        }
    }
}

/// The codes of an element. The published slices leave their last vector out, so 377, 433, 488 and 511 stand for nothing.
fn part(atomic_number: u8) -> Range<u16> {
    match atomic_number {
        6 => 0..377,
        7 => 378..433,
        8 => 434..488,
        _ => 489..511,
    }
}

/// `Σ (a − b)²` in sixteen running sums, so that it vectorises in one order.
// Only code that is inlined into the dispatched closure is compiled for the instruction set found.
#[allow(clippy::inline_always)]
#[inline(always)]
fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0f32; LANES];
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_b, rest_b) = b.as_chunks::<LANES>();
    for (a, b) in whole_a.iter().zip(whole_b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += (a - b) * (a - b);
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(rest_a).zip(rest_b) {
        *sum += (a - b) * (a - b);
    }
    sums.iter().sum()
}

#[cfg(test)]
mod unit {
    use super::*;
    use crate::mol::{Atom, Chirality};

    fn atom(atomic_number: u8) -> Atom {
        Atom {
            atomic_number,
            isotope: 0,
            charge: 0,
            n_hydrogens: 0,
            chirality: Chirality::Unspecified,
            aromatic: false,
            in_ring: false,
        }
    }

    #[test]
    fn the_nearest_of_the_elements_part_and_the_first_of_equals() {
        // Vector i is (i, 0, …) of width 19, but 41 is a copy of 40.
        let mut vectors: Vec<f32> =
            (0..N_CODES * 19).map(|i| if i % 19 == 0 { (i / 19) as f32 } else { 0.0 }).collect();
        vectors[41 * 19] = 40.0;
        let codebook = Codebook { d_model: 19, vectors };
        let at = |elements: &[u8], x: f32| {
            let molecule = Molecule { atoms: elements.iter().map(|&z| atom(z)).collect(), bonds: Vec::new() };
            let mut state = [0.0; 19];
            state[0] = x;
            codebook.codes(&molecule, &state.repeat(elements.len()))
        };
        assert_eq!(at(&[6, 7, 8, 9, 1], 40.4), [40, 378, 434, 489, 489]);
        // The last vector of each published slice is never taken.
        assert_eq!(at(&[6, 7, 8, 9, 118], 600.0), [376, 432, 487, 510, 510]);
        assert_eq!(at(&[6], 377.0), [376]);
    }

    #[test]
    fn shares_of_the_atoms() {
        let mut out = [f32::NAN; N_CODES];
        Codebook::shares(&[3, 3, 510, 3], &mut out);
        assert_eq!((out[3], out[510], out.iter().sum::<f32>()), (0.75, 0.25, 1.0));
    }
}
