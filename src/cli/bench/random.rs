//! Random operands: zeros would be multiplied faster than anything real.

use biollmnet::backend::Activation;
use rayon::prelude::*;

/// Numbers uniform in [−√3, √3), of mean 0 and SD 1, times `sd`; the same for the same seed.
pub fn numbers<A: Activation>(n: usize, seed: u64, sd: f32) -> Vec<A> {
    let reach = 3f32.sqrt() * sd;
    let number = |i: usize| (mixed(i as u64 ^ (seed << 48)) >> 40) as f32 / (1 << 23) as f32 - 1.0;
    (0..n).into_par_iter().map(|i| A::rounded(reach * number(i))).collect()
}

/// The finaliser of `splitmix64` (Steele et al. 2014, doi 10.1145/2660193.2660195).
fn mixed(i: u64) -> u64 {
    let mut z = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_as_stated_and_seeds_differ() {
        let found = numbers::<f32>(100_000, 1, 2.0);
        let mean = found.iter().sum::<f32>() / 1e5;
        let variance = found.iter().map(|x| x * x).sum::<f32>() / 1e5;
        // Standard errors are 0.006 and 0.011.
        assert!(mean.abs() < 0.03 && (variance - 4.0).abs() < 0.06, "{mean} {variance}");
        assert_ne!(found[..8], numbers::<f32>(8, 2, 2.0));
        assert_eq!(found[..8], numbers::<f32>(8, 1, 2.0));
    }
}
