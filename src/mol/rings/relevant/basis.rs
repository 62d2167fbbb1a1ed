//! Sets of bonds under symmetric difference: which are sums of others.

/// Independent sets of bonds in echelon form over GF(2): row, place of its leading bit.
pub(super) struct Basis {
    rows: Vec<(Vec<u64>, usize)>,
}

impl Basis {
    pub(super) fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// Number of independent sets.
    pub(super) fn rank(&self) -> usize {
        self.rows.len()
    }

    /// The part of `bits` that the rows do not span, and its leading bit; `None` when nothing is left.
    fn reduced(&self, mut bits: Vec<u64>) -> Option<(Vec<u64>, usize)> {
        for (row, lead) in &self.rows {
            if bits[lead / 64] >> (lead % 64) & 1 == 1 {
                bits.iter_mut().zip(row).for_each(|(b, r)| *b ^= r);
            }
        }
        let word = bits.iter().position(|&word| word != 0)?;
        let lead = 64 * word + bits[word].trailing_zeros() as usize;
        Some((bits, lead))
    }

    /// Whether `bits` is a sum of the sets.
    pub(super) fn spans(&self, bits: Vec<u64>) -> bool {
        self.reduced(bits).is_none()
    }

    /// Adds `bits` if it is independent.
    pub(super) fn add(&mut self, bits: Vec<u64>) {
        self.rows.extend(self.reduced(bits));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_spanned() {
        let mut basis = Basis::new();
        basis.add(vec![0b0110, 1]);
        basis.add(vec![0b1100, 0]);
        basis.add(vec![0b1010, 1]);
        assert_eq!(basis.rank(), 2);
        assert!(basis.spans(vec![0b1010, 1]) && basis.spans(vec![0, 0]));
        assert!(!basis.spans(vec![0b1010, 0]) && !basis.spans(vec![0b0001, 0]));
    }
}
