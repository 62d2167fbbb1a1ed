//! Sequences packed end to end.

use std::ops::Range;

/// Token ids of several sequences, one after the other, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    ids: Vec<u32>,
    cu_seqlens: Vec<u32>,
}

impl Default for TokenBatch {
    fn default() -> Self {
        Self { ids: Vec::new(), cu_seqlens: vec![0] }
    }
}

impl TokenBatch {
    /// Adds one sequence of token ids, special tokens included.
    pub fn push(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.cu_seqlens.push(self.ids.len() as u32);
    }
    /// Forgets the sequences and keeps the memory.
    pub fn clear(&mut self) {
        self.ids.clear();
        self.cu_seqlens.truncate(1);
    }
    /// All ids, `[n_tokens]`.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }
    /// Where each sequence begins, and after the last one the number of tokens: `[n_sequences + 1]`.
    #[must_use]
    pub fn cu_seqlens(&self) -> &[u32] {
        &self.cu_seqlens
    }
    /// Number of tokens.
    #[must_use]
    pub fn n_tokens(&self) -> usize {
        self.ids.len()
    }
    /// Number of sequences.
    #[must_use]
    pub fn n_sequences(&self) -> usize {
        self.cu_seqlens.len() - 1
    }
    /// Tokens of sequence `i`, as a range of rows.
    #[must_use]
    pub fn rows(&self, i: usize) -> Range<usize> {
        self.cu_seqlens[i] as usize..self.cu_seqlens[i + 1] as usize
    }
    /// Token ranges of all sequences, in order.
    pub fn sequences(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        (0..self.n_sequences()).map(|i| self.rows(i))
    }
    /// Tokens of the longest sequence; 0 of an empty batch.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.sequences().map(|rows| rows.len()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_lie_end_to_end() {
        let mut batch = TokenBatch::default();
        assert_eq!((batch.n_sequences(), batch.longest()), (0, 0));
        batch.push(&[0, 5, 2]);
        batch.push(&[0, 2]);
        assert_eq!((batch.ids(), batch.cu_seqlens()), (&[0, 5, 2, 0, 2][..], &[0, 3, 5][..]));
        assert_eq!((batch.rows(1), batch.longest(), batch.n_tokens()), (3..5, 3, 5));
        batch.clear();
        assert_eq!(batch, TokenBatch::default());
    }
}
