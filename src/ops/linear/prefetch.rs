//! Requests for memory before it is needed; nothing where the instruction set has none.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::Simd;

/// Asks for the cache line of `at`, which may lie anywhere.
#[inline(always)]
pub(super) fn prefetch_line<S: Simd, T>(simd: S, at: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        let simd: &dyn std::any::Any = &simd;
        let wide = simd.downcast_ref::<pulp::x86::V4>().map(|simd| simd.sse);
        if let Some(sse) = wide.or_else(|| simd.downcast_ref::<pulp::x86::V3>().map(|simd| simd.sse)) {
            sse._mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (simd, at);
}
