//! Philox4x32 with 7 rounds: a counter-based generator (Salmon et al., SC 2011, doi 10.1145/2063384.2063405).
//!
//! Sixteen counters are advanced side by side so that the compiler keeps them in vector registers.

/// Counters that advance together.
const LANES: usize = 16;
/// Random words of one call.
pub const WORDS: usize = 4 * LANES;

/// 64 random words: word `w·16 + lane` is output `w` of counter `(16·group + lane, layer, step, 0)` under key `seed`.
#[inline(always)]
pub fn words(seed: u64, layer: u32, step: u32, group: u32) -> [u32; WORDS] {
    const M0: u64 = 0xD251_1F53;
    const M1: u64 = 0xCD9E_8D57;
    let (mut k0, mut k1) = (seed as u32, (seed >> 32) as u32);
    let mut c0 = [0u32; LANES];
    for (lane, c) in c0.iter_mut().enumerate() {
        *c = group.wrapping_mul(LANES as u32).wrapping_add(lane as u32);
    }
    let (mut c1, mut c2, mut c3) = ([layer; LANES], [step; LANES], [0u32; LANES]);
    for _ in 0..7 {
        for lane in 0..LANES {
            let (p0, p1) = (M0 * u64::from(c0[lane]), M1 * u64::from(c2[lane]));
            c0[lane] = (p1 >> 32) as u32 ^ c1[lane] ^ k0;
            c1[lane] = p1 as u32;
            c2[lane] = (p0 >> 32) as u32 ^ c3[lane] ^ k1;
            c3[lane] = p0 as u32;
        }
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    let mut out = [0u32; WORDS];
    for (w, c) in [c0, c1, c2, c3].iter().enumerate() {
        out[w * LANES..(w + 1) * LANES].copy_from_slice(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::words;

    /// Philox4x32-7 with 7 rounds written out one counter at a time, from the paper's definition.
    fn one(key: [u32; 2], mut c: [u32; 4]) -> [u32; 4] {
        let [mut k0, mut k1] = key;
        for _ in 0..7 {
            let p0 = 0xD251_1F53_u64 * u64::from(c[0]);
            let p1 = 0xCD9E_8D57_u64 * u64::from(c[2]);
            c = [(p1 >> 32) as u32 ^ c[1] ^ k0, p1 as u32, (p0 >> 32) as u32 ^ c[3] ^ k1, p0 as u32];
            (k0, k1) = (k0.wrapping_add(0x9E37_79B9), k1.wrapping_add(0xBB67_AE85));
        }
        c
    }

    #[test]
    fn known_answer() {
        // Published test vector of Random123 for philox4x32 with 7 rounds: key and counter all zero.
        assert_eq!(one([0, 0], [0; 4]), [0x5f6f_b709, 0x0d89_3f64, 0x4f12_1f81, 0x4f73_0a48]);
    }

    #[test]
    fn lanes_are_counters() {
        let got = words(0x0123_4567_89ab_cdef, 5, 9, 3);
        for lane in 0..16 {
            let want = one([0x89ab_cdef, 0x0123_4567], [3 * 16 + lane as u32, 5, 9, 0]);
            for w in 0..4 {
                assert_eq!(got[w * 16 + lane], want[w]);
            }
        }
    }
}
