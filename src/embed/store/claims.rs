//! Which sequences have a vector already, and which ids are taken.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHashMap;

use crate::seq::DIGEST_BYTES;

/// 16 bytes of a hash in a form that is packed to 20 bytes together with a row.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key([u32; 4]);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The key is a hash already: half of it names a bucket well enough.
        state.write_u64(u64::from(self.0[0]) << 32 | u64::from(self.0[1]));
    }
}

impl Key {
    fn new(digest: [u8; DIGEST_BYTES]) -> Self {
        Self(bytemuck::cast(digest))
    }
}

/// A map of keys to rows. Its shards grow one at a time, so that growth never doubles the whole.
struct Rows(Vec<FxHashMap<Key, u32>>);

impl Rows {
    const SHARDS: usize = 64;

    fn shard(key: &Key) -> usize {
        key.0[3] as usize % Self::SHARDS
    }
    fn get(&self, key: &Key) -> Option<u32> {
        self.0[Self::shard(key)].get(key).copied()
    }
    fn insert(&mut self, key: Key, row: u32) {
        self.0[Self::shard(&key)].insert(key, row);
    }
}

impl Default for Rows {
    fn default() -> Self {
        Self(vec![FxHashMap::default(); Self::SHARDS])
    }
}

/// What is known of all records so far: 24 to 48 bytes per distinct sequence, and as much per accepted id.
#[derive(Default)]
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
    /// Row of a sequence.
    pub fn row(&self, digest: [u8; DIGEST_BYTES]) -> Option<u32> {
        self.sequences.get(&Key::new(digest))
    }

    /// What the record would be; nothing is changed.
    pub fn look(&self, id: &str, digest: [u8; DIGEST_BYTES]) -> Claim {
        let row = self.row(digest);
        match (self.ids.get(&id_key(id)), row) {
            (Some(taken), Some(row)) if taken == row => Claim::Duplicate,
            (Some(_), _) => Claim::Conflicting,
            (None, Some(row)) => Claim::Known(row),
            (None, None) => Claim::New,
        }
    }

    /// The record is accepted with this row.
    pub fn take(&mut self, id: &str, digest: [u8; DIGEST_BYTES], row: u32) {
        self.sequences.insert(Key::new(digest), row);
        self.ids.insert(id_key(id), row);
    }
}

fn id_key(id: &str) -> Key {
    Key::new(crate::seq::digest(id.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::digest;

    #[test]
    fn ids_and_sequences_are_claimed_once() {
        let mut claims = Claims::default();
        let (x, y) = (digest(b"ACGT"), digest(b"CCCC"));
        assert_eq!(claims.look("a", x), Claim::New);
        claims.take("a", x, 0);
        assert_eq!(claims.look("a", x), Claim::Duplicate);
        assert_eq!(claims.look("a", y), Claim::Conflicting);
        assert_eq!(claims.look("b", x), Claim::Known(0));
        claims.take("b", x, 0);
        claims.take("c", y, 1);
        assert_eq!(claims.look("a", y), Claim::Conflicting);
        assert_eq!(claims.look("d", y), Claim::Known(1));
        assert_eq!(size_of::<(Key, u32)>(), 20);
    }
}
