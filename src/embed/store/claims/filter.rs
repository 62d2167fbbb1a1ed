//! A Bloom filter of fixed size over 16-byte hashes.

/// Bits of a block: those of a key lie in one line of the cache.
const BLOCK: usize = 512;
/// Blocks: 16 MiB in all. Of 10^7 keys the filter passes one stranger in 150; beyond 10^8 most, and only time is lost.
const BLOCKS: usize = 1 << 18;
/// Bits of a key.
const BITS: usize = 4;

/// Which keys may have been added.
pub(super) struct Filter(Vec<[u64; BLOCK / 64]>);

impl Default for Filter {
    fn default() -> Self {
        Self(vec![[0; BLOCK / 64]; BLOCKS])
    }
}

impl Filter {
    /// Adds a key.
    pub fn add(&mut self, key: [u8; 16]) {
        let (block, bits) = place(key);
        for bit in bits {
            self.0[block][bit / 64] |= 1 << (bit % 64);
        }
    }

    /// False only for keys that were not added.
    pub fn may_hold(&self, key: [u8; 16]) -> bool {
        let (block, bits) = place(key);
        bits.into_iter().all(|bit| self.0[block][bit / 64] >> (bit % 64) & 1 == 1)
    }
}

/// Block and bits of a key. Its first half is what hash tables use.
fn place(key: [u8; 16]) -> (usize, [usize; BITS]) {
    let [.., a, b, c, d, e, f, g, h] = key;
    let number = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let width = BLOCK.trailing_zeros();
    let bits = std::array::from_fn(|i| (number >> (i as u32 * width)) as usize % BLOCK);
    ((number >> (BITS as u32 * width)) as usize % BLOCKS, bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_passes_and_few_others_do() {
        let key = |i: u32| *blake3::hash(&i.to_le_bytes()).as_bytes().first_chunk().unwrap();
        let mut filter = Filter::default();
        assert!(!filter.may_hold(key(0)));
        let n = 1_000_000;
        (0..n).for_each(|i| filter.add(key(i)));
        assert!((0..n).all(|i| filter.may_hold(key(i))));
        let strangers = (n..n + 100_000).filter(|&i| filter.may_hold(key(i))).count();
        // 15 bits are set in a block on average, and (15/512)^4 is one in 1.4 million; more where blocks are crowded.
        assert!(strangers < 20, "{strangers}");
    }
}
