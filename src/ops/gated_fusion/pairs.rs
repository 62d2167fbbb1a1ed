//! Pairs of rows of two tables.

use crate::backend::Memory;
use crate::error::{Error, Result};

/// Pairs `[row of the partners, row of the RNAs]` in memory of a device.
pub struct Pairs<B: Memory> {
    n: usize,
    n_partners: usize,
    n_rnas: usize,
    buffer: B::Buffer<u32>,
}

impl<B: Memory> Pairs<B> {
    /// Checks that every row is among those of its table, and takes the pairs to the device.
    ///
    /// # Errors
    /// [`Error::Shape`] when a row is not there; when the device has no memory left.
    pub fn new(backend: &B, pairs: &[[u32; 2]], n_partners: usize, n_rnas: usize) -> Result<Self> {
        let inside = |&[partner, rna]: &[u32; 2]| (partner as usize) < n_partners && (rna as usize) < n_rnas;
        let bad = pairs.iter().find(|pair| !inside(pair)).map(|pair| format!("the pair {pair:?}"));
        let many = (u32::try_from(pairs.len()).is_err()).then(|| format!("{} pairs", pairs.len()));
        if let Some(found) = bad.or(many) {
            let expected = format!("32 bits of pairs among {n_partners} partners and {n_rnas} RNAs");
            return Err(Error::Shape { op: "gated_fusion", expected, found });
        }
        Ok(Self { n: pairs.len(), n_partners, n_rnas, buffer: backend.uploaded(pairs.as_flattened())? })
    }

    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n
    }
    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }
    /// Rows of the tables of partners and of RNAs.
    #[must_use]
    pub fn n_rows(&self) -> [usize; 2] {
        [self.n_partners, self.n_rnas]
    }
    /// The pairs for an op, `[n, 2]`.
    pub fn view<'a>(&'a self, backend: &B) -> B::View<'a, u32> {
        backend.view(&self.buffer, 0..2 * self.n)
    }
}
