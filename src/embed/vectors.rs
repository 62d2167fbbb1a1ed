//! What an encoder makes of several records.

use std::ops::Range;

/// Vectors of several records, end to end: one of each where they are pooled, several where they are not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vectors {
    dim: usize,
    values: Vec<f32>,
    /// Where each record begins, in vectors, and where the last one ends.
    starts: Vec<usize>,
}

impl Vectors {
    /// Zeros for records of so many vectors each, of width `dim`.
    #[must_use]
    pub fn zeros(dim: usize, rows: impl IntoIterator<Item = usize>) -> Self {
        let mut vectors = Self::default();
        vectors.reset(dim, rows);
        vectors
    }

    /// Becomes zeros, in the memory that it has.
    pub fn reset(&mut self, dim: usize, rows: impl IntoIterator<Item = usize>) {
        self.dim = dim;
        self.starts.clear();
        self.starts.push(0);
        let mut end = 0;
        for n in rows {
            end += n;
            self.starts.push(end);
        }
        self.values.clear();
        self.values.resize(end * dim, 0.0);
    }

    /// The numbers of record `i`, `[rows, dim]`.
    #[must_use]
    pub fn get(&self, i: usize) -> &[f32] {
        &self.values[self.range(i)]
    }

    /// The same to be written.
    pub fn get_mut(&mut self, i: usize) -> &mut [f32] {
        let range = self.range(i);
        &mut self.values[range]
    }

    /// The numbers of every record, to be written.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let dim = self.dim;
        let mut rest = self.values.as_mut_slice();
        self.starts.windows(2).map(move |ends| {
            let (record, after) = std::mem::take(&mut rest).split_at_mut((ends[1] - ends[0]) * dim);
            rest = after;
            record
        })
    }

    /// All numbers.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    fn range(&self, i: usize) -> Range<usize> {
        self.starts[i] * self.dim..self.starts[i + 1] * self.dim
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_lie_end_to_end() {
        let mut vectors = Vectors::zeros(2, [1, 3, 0, 1]);
        vectors.get_mut(1).fill(1.0);
        vectors.get_mut(3).fill(2.0);
        for (i, record) in vectors.iter_mut().enumerate() {
            assert_eq!(record.len(), 2 * [1, 3, 0, 1][i]);
        }
        assert_eq!(vectors.get(0), [0.0; 2]);
        assert_eq!(vectors.get(1), [1.0; 6]);
        assert!(vectors.get(2).is_empty());
        assert_eq!(vectors.values_mut(), [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0]);
    }
}
