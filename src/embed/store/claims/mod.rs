//! Which sequences have a vector already, and which ids are taken.

mod filter;
mod rows;
mod run;

use std::path::Path;

use rows::Rows;

use crate::error::Result;
use crate::seq::DIGEST_BYTES;

/// What is known of all records so far. Memory: at most 50 MB, whatever their number; beyond 200 000 records the rest is in
/// temporary files, 20 bytes per distinct sequence and as much per accepted id.
///
/// Ids and sequences are known by 128 bits of their BLAKE3 digests: two of 10^9 different ones agree with a probability of
/// 1.5 × 10^-21.
pub(super) struct Claims {
    sequences: Rows,
    ids: Rows,
}

/// What a record's id and sequence say about each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// New id; the sequence has this row.
    Known(u32),
    /// New id, new sequence.
    New,
    /// The id was taken with the same sequence.
    Duplicate,
    /// The id was taken with another sequence.
    Conflicting,
}

impl Claims {
    /// Nothing is known; `folder` is where temporary files are made.
    pub fn new(folder: &Path) -> Self {
        Self { sequences: Rows::new(folder), ids: Rows::new(folder) }
    }

    /// Row of a sequence.
    pub fn row(&mut self, digest: [u8; DIGEST_BYTES]) -> Result<Option<u32>> {
        self.sequences.get(digest)
    }

    /// What the record would be; nothing is changed.
    pub fn look(&mut self, id: &str, digest: [u8; DIGEST_BYTES]) -> Result<Claim> {
        let row = self.row(digest)?;
        Ok(match (self.ids.get(id_key(id))?, row) {
            (Some(taken), Some(row)) if taken == row => Claim::Duplicate,
            (Some(_), _) => Claim::Conflicting,
            (None, Some(row)) => Claim::Known(row),
            (None, None) => Claim::New,
        })
    }

    /// The record is accepted with this row.
    pub fn take(&mut self, id: &str, digest: [u8; DIGEST_BYTES], row: u32) -> Result<()> {
        self.sequences.insert(digest, row)?;
        self.ids.insert(id_key(id), row)
    }
}

fn id_key(id: &str) -> [u8; DIGEST_BYTES] {
    crate::seq::digest(id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::digest;

    #[test]
    fn ids_and_sequences_are_claimed_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut claims = Claims::new(folder.path());
        let (x, y) = (digest(b"ACGT"), digest(b"CCCC"));
        let look = |claims: &mut Claims, id, digest| claims.look(id, digest).unwrap();
        assert_eq!(look(&mut claims, "a", x), Claim::New);
        claims.take("a", x, 0).unwrap();
        assert_eq!(look(&mut claims, "a", x), Claim::Duplicate);
        assert_eq!(look(&mut claims, "a", y), Claim::Conflicting);
        assert_eq!(look(&mut claims, "b", x), Claim::Known(0));
        claims.take("b", x, 0).unwrap();
        claims.take("c", y, 1).unwrap();
        assert_eq!(look(&mut claims, "a", y), Claim::Conflicting);
        assert_eq!(look(&mut claims, "d", y), Claim::Known(1));
    }
}
