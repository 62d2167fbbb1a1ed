//! Values that reach their target's least value are written down.

use std::ops::Range;

use pulp::Simd;

use crate::backend::Cpu;
use crate::ops::pair_score::Found;

/// Who reads values.
pub(super) trait Reader {
    /// The least values of the targets.
    fn least(&self) -> &[f32];

    /// Whether the targets that are left need not be computed, once `pairs` of a panel have been.
    fn is_done(&mut self, _pairs: usize) -> bool {
        false
    }

    /// The values of a target with the first of a panel of `entries`, of which one or more may not be below the least.
    fn target(&mut self, values: &[f32], target: usize, entries: &Range<usize>);

    /// `values [targets, N vectors]` of the targets from `first_target` on with a panel of `entries`; what stands beyond
    /// the entries is nobody's.
    #[inline(always)]
    fn tile<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        values: &[[S::f32s; N]],
        first_target: usize,
        entries: &Range<usize>,
    ) {
        let zero = simd.splat_f32s(0.0);
        // Nothing is kept of most tiles: one question for all of it.
        let mut any = simd.less_than_f32s(zero, zero);
        for (values, &least) in values.iter().zip(&self.least()[first_target..]) {
            let least = simd.splat_f32s(least);
            for &values in values {
                // A comparison with NaN is false, so NaN is kept.
                any = simd.or_m32s(any, simd.not_m32s(simd.less_than_f32s(values, least)));
            }
        }
        if simd.first_true_m32s(any) < S::F32_LANES {
            for (values, target) in values.iter().zip(first_target..) {
                self.target(bytemuck::cast_slice(values), target, entries);
            }
        }
    }
}

/// The least values and the survivors so far.
pub(super) struct Report<'a> {
    least: &'a [f32],
    count: &'a mut u32,
    kept: &'a mut [[u32; 3]],
}

impl<'a> Report<'a> {
    /// No survivor yet.
    pub fn new(least: &'a [f32], found: &'a mut Found<Cpu>) -> Self {
        let count = &mut found.count[0];
        *count = 0;
        Self { least, count, kept: &mut found.survivors.as_chunks_mut::<3>().0[..found.capacity] }
    }
}

impl Reader for Report<'_> {
    fn least(&self) -> &[f32] {
        self.least
    }

    #[cold]
    #[inline(never)]
    fn target(&mut self, values: &[f32], target: usize, entries: &Range<usize>) {
        let least = self.least[target];
        for (&value, entry) in values.iter().zip(entries.clone()) {
            if value < least {
                continue;
            }
            if let Some(place) = self.kept.get_mut(*self.count as usize) {
                *place = [target as u32, entry as u32, value.to_bits()];
            }
            *self.count = self.count.saturating_add(1);
        }
    }
}
