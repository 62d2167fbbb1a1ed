//! What the arithmetic units can do: loops that stay in registers, on all threads at once.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pulp::{Arch, Simd, WithSimd};
use serde::Serialize;

/// Time for each loop.
const SAMPLE: Duration = Duration::from_millis(400);
/// Independent chains: enough to hide the latency of a multiply-add, few enough for 16 registers.
const CHAINS: usize = 12;
/// Steps of each chain between two looks at the clock.
const STEPS: usize = 1 << 18;

/// The best of the repetitions that fit the sample, 10⁹ operations per second, two of a multiply-add.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Peak {
    /// Multiply-adds of f32.
    pub f32_gflops: f64,
    /// Multiply-adds of 8-bit numbers by VNNI; absent where the machine has none.
    pub int8_gops: Option<f64>,
}

impl Peak {
    /// Measures.
    pub fn take() -> Self {
        Self { f32_gflops: best(fma_chains), int8_gops: vnni_chains().map(|_| best(|| vnni_chains().unwrap_or(0.0))) }
    }
}

/// 10⁹ operations per second of all threads together; `work` gives the operations of one call.
fn best(work: impl Fn() -> f64 + Sync) -> f64 {
    let mut best: f64 = 0.0;
    let started = Instant::now();
    while best == 0.0 || started.elapsed() < SAMPLE {
        let call = Instant::now();
        let operations: f64 = rayon::broadcast(|_| work()).iter().sum();
        best = best.max(operations / call.elapsed().as_secs_f64() / 1e9);
    }
    best
}

struct FmaChains;

impl WithSimd for FmaChains {
    type Output = f64;

    // Only code that is inlined into the dispatched closure is compiled for the instruction set found.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let (factor, summand) = (simd.splat_f32s(black_box(0.999)), simd.splat_f32s(black_box(0.001)));
        let mut chains = [simd.splat_f32s(black_box(1.0)); CHAINS];
        for _ in 0..STEPS {
            for chain in &mut chains {
                *chain = simd.mul_add_e_f32s(*chain, factor, summand);
            }
        }
        let sum = chains.into_iter().fold(simd.splat_f32s(0.0), |sum, chain| simd.add_f32s(sum, chain));
        black_box(simd.reduce_sum_f32s(sum));
        (2 * CHAINS * STEPS * S::F32_LANES) as f64
    }
}

fn fma_chains() -> f64 {
    Arch::new().dispatch(FmaChains)
}

#[cfg(target_arch = "x86_64")]
fn vnni_chains() -> Option<f64> {
    use std::arch::x86_64::{_mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_reduce_add_epi32, _mm512_set1_epi8};

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn run() -> f64 {
        let (a, b) = (_mm512_set1_epi8(black_box(3)), _mm512_set1_epi8(black_box(-2)));
        let mut chains = [a; CHAINS];
        for _ in 0..STEPS {
            for chain in &mut chains {
                *chain = _mm512_dpbusd_epi32(*chain, a, b);
            }
        }
        black_box(_mm512_reduce_add_epi32(chains.into_iter().fold(a, |sum, chain| _mm512_add_epi32(sum, chain))));
        (2 * CHAINS * STEPS * 64) as f64
    }

    let found = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni");
    #[allow(unsafe_code)]
    // SAFETY: the features that `run` is compiled for have just been found on this machine.
    found.then(|| unsafe { run() })
}

#[cfg(not(target_arch = "x86_64"))]
fn vnni_chains() -> Option<f64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_finite_and_positive() {
        let peak = Peak::take();
        assert!(peak.f32_gflops.is_finite() && peak.f32_gflops > 0.1, "{peak:?}");
        assert!(peak.int8_gops.is_none_or(|gops| gops.is_finite() && gops > 0.1), "{peak:?}");
    }
}
