//! From the states of its atoms to the vector of a molecule.

/// How the states of a molecule's atoms become one vector. The dot-separated parts of a salt are one molecule here: their
/// atoms count alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Readout {
    /// The mean.
    #[default]
    Mean,
    /// The sum.
    Sum,
    /// The largest value of each column.
    Max,
}

impl Readout {
    /// Writes the vector of the molecule with the atoms `states [n_atoms, width]`, at least one, into `out [width]`.
    /// Sums run in f64 in the order of the atoms.
    pub fn write(self, states: &[f32], out: &mut [f32]) {
        let width = out.len().max(1);
        if self == Self::Max {
            out.fill(f32::NEG_INFINITY);
            for state in states.chunks_exact(width) {
                for (out, &value) in out.iter_mut().zip(state) {
                    *out = out.max(value);
                }
            }
            return;
        }
        let mut sums = vec![0.0; out.len()];
        for state in states.chunks_exact(width) {
            for (sum, &value) in sums.iter_mut().zip(state) {
                *sum += f64::from(value);
            }
        }
        let n_atoms = if self == Self::Mean { (states.len() / width).max(1) as f64 } else { 1.0 };
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = (sum / n_atoms) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let states = [1.0, -4.0, 2.0, -2.0, 6.0, -3.0];
        for (readout, expected) in
            [(Readout::Mean, [3.0, -3.0]), (Readout::Sum, [9.0, -9.0]), (Readout::Max, [6.0, -2.0])]
        {
            let mut out = [f32::NAN; 2];
            readout.write(&states, &mut out);
            assert_eq!(out, expected, "{readout:?}");
            readout.write(&states[..2], &mut out);
            assert_eq!(out, [1.0, -4.0], "{readout:?}");
        }
    }
}
