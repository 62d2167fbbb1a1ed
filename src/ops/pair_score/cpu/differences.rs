//! Sums of the differences of bytes, on instruction sets that have them: eight in a 64-bit lane, a lane an entry.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

#[cfg(target_arch = "x86_64")]
use std::any::Any;

use pulp::Simd;

/// Vectors of 64-bit lanes that a panel of entries takes.
#[cfg(target_arch = "x86_64")]
const VECTORS: usize = 4;

/// A panel of entries and one of targets.
#[derive(Clone, Copy)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(super) struct Operands<'a> {
    /// Bytes `[groups, columns]`.
    pub entries: &'a [u64],
    /// What each entry's sums begin with, `[columns]`.
    pub bounds: &'a [i64],
    /// Bytes `[groups, columns]`.
    pub targets: &'a [u64],
    /// What a sum with each target must be above, `[columns]`.
    pub thresholds: &'a [i64],
    /// Groups that are added; those after them are subtracted.
    pub plus: usize,
}

/// Whether the instruction set has them.
#[inline(always)]
pub(super) fn of_bytes<S: Simd>(simd: S) -> bool {
    #[cfg(target_arch = "x86_64")]
    return (&simd as &dyn Any).is::<pulp::x86::V4>() || (&simd as &dyn Any).is::<pulp::x86::V3>();
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = simd;
        false
    }
}

/// Appends `[target, vector]` for each of the `n` vectors of f32 of the panel that holds an entry whose sum with a target
/// is above the threshold; targets count from `first` on.
#[inline(always)]
pub(super) fn candidates<S: Simd>(simd: S, operands: Operands<'_>, first: u32, n: usize, found: &mut Vec<[u32; 2]>) {
    #[cfg(target_arch = "x86_64")]
    {
        let simd: &dyn Any = &simd;
        // As many sums as the registers hold beside the entries.
        if let Some(&simd) = simd.downcast_ref::<pulp::x86::V4>() {
            tiles::<_, 4>(simd, operands, first, n, found);
        } else if let Some(&simd) = simd.downcast_ref::<pulp::x86::V3>() {
            tiles::<_, 2>(simd, operands, first, n, found);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (simd, operands, first, n, found);
}

/// An instruction set with sums of differences.
#[cfg(target_arch = "x86_64")]
trait Differences: Simd {
    /// Σ|a − b| over the eight bytes of each lane.
    fn differences(self, a: Self::u64s, b: Self::u64s) -> Self::u64s;
    /// A bit for each lane of the signed numbers where `a > b`.
    fn above(self, a: Self::u64s, b: Self::u64s) -> u32;
}

#[cfg(target_arch = "x86_64")]
impl Differences for pulp::x86::V4 {
    #[inline(always)]
    fn differences(self, a: Self::u64s, b: Self::u64s) -> Self::u64s {
        bytemuck::cast(self.avx512bw._mm512_sad_epu8(bytemuck::cast(a), bytemuck::cast(b)))
    }
    #[inline(always)]
    fn above(self, a: Self::u64s, b: Self::u64s) -> u32 {
        u32::from(self.avx512f._mm512_cmpgt_epi64_mask(bytemuck::cast(a), bytemuck::cast(b)))
    }
}

#[cfg(target_arch = "x86_64")]
impl Differences for pulp::x86::V3 {
    #[inline(always)]
    fn differences(self, a: Self::u64s, b: Self::u64s) -> Self::u64s {
        bytemuck::cast(self.avx2._mm256_sad_epu8(bytemuck::cast(a), bytemuck::cast(b)))
    }
    #[inline(always)]
    fn above(self, a: Self::u64s, b: Self::u64s) -> u32 {
        let above = self.avx2._mm256_cmpgt_epi64(bytemuck::cast(a), bytemuck::cast(b));
        self.avx._mm256_movemask_pd(bytemuck::cast(above)) as u32
    }
}

/// `T` targets at a time.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn tiles<S: Differences, const T: usize>(
    simd: S,
    operands: Operands<'_>,
    first: u32,
    n: usize,
    found: &mut Vec<[u32; 2]>,
) {
    let columns = operands.bounds.len();
    let entries = S::as_simd_u64s(operands.entries).0.as_chunks::<VECTORS>().0;
    let bounds = S::as_simd_u64s(bytemuck::cast_slice(operands.bounds)).0.as_chunks::<VECTORS>().0[0];
    let (thresholds, _) = operands.thresholds.as_chunks::<T>();
    for (tile, thresholds) in thresholds.iter().enumerate() {
        let mut sums = [bounds; T];
        let mut targets = operands.targets[tile * T..].chunks(columns);
        let (plus, minus) = entries.split_at(operands.plus);
        for (entries, targets) in plus.iter().zip(&mut targets) {
            for (sums, &target) in sums.iter_mut().zip(targets) {
                let target = simd.splat_u64s(target);
                for (sum, &entry) in sums.iter_mut().zip(entries) {
                    *sum = simd.add_u64s(*sum, simd.differences(entry, target));
                }
            }
        }
        for (entries, targets) in minus.iter().zip(&mut targets) {
            for (sums, &target) in sums.iter_mut().zip(targets) {
                let target = simd.splat_u64s(target);
                for (sum, &entry) in sums.iter_mut().zip(entries) {
                    *sum = simd.sub_u64s(*sum, simd.differences(entry, target));
                }
            }
        }
        let mut columns_above = [0; T];
        for ((above, sums), &threshold) in columns_above.iter_mut().zip(sums).zip(thresholds) {
            let threshold = simd.splat_u64s(threshold as u64);
            for (sum, vector) in sums.into_iter().zip(0..) {
                *above |= simd.above(sum, threshold) << (vector * S::U64_LANES);
            }
        }
        if columns_above != [0; T] {
            append(&columns_above, first + (tile * T) as u32, columns / n, found);
        }
    }
}

/// The vectors of `lanes` columns that hold a column above.
#[cfg(target_arch = "x86_64")]
#[cold]
#[inline(never)]
fn append(columns_above: &[u32], first: u32, lanes: usize, found: &mut Vec<[u32; 2]>) {
    for (&above, target) in columns_above.iter().zip(first..) {
        let vectors = (0..VECTORS as u32).filter(|vector| {
            above.checked_shr(vector * lanes as u32).is_some_and(|bits| bits & ((1 << lanes) - 1) != 0)
        });
        found.extend(vectors.map(|vector| [target, vector]));
    }
}
