//! Tiles of a product in f32: all terms of some rows and one panel, in registers.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::Simd;

use super::prefetch::prefetch_line;

/// Terms that are summed in registers before they join the total: the rounding error of a sum grows with the block
/// and with the number of blocks, not with their product. A multiple of nothing: the order of a sum is the same for
/// every tile, thread and instruction set.
pub(super) const BLOCK: usize = 256;
/// Terms whose rows are fetched before they are needed: the packed rows come from the last cache.
const AHEAD: usize = 64;
/// Most rows of a tile.
pub(super) const MOST_ROWS: usize = 14;
/// Most columns of a panel.
pub(super) const MOST_COLUMNS: usize = 32;

/// The sums `z [rows, N vectors]` of `rows` rows `a [d_in, rows]` with the panel `b [d_in, N vectors]`.
#[inline(always)]
pub(in crate::ops) fn sums<S: Simd, const N: usize>(simd: S, rows: usize, a: &[f32], b: &[f32], z: &mut [f32]) {
    z.fill(0.0);
    let wide = S::F32_LANES == 16;
    let six = S::F32_LANES >= 4;
    match rows {
        1 => tile::<S, 1, N>(simd, a, b, z),
        2 => tile::<S, 2, N>(simd, a, b, z),
        3 => tile::<S, 3, N>(simd, a, b, z),
        4 => tile::<S, 4, N>(simd, a, b, z),
        5 if six => tile::<S, 5, N>(simd, a, b, z),
        6 if six => tile::<S, 6, N>(simd, a, b, z),
        7 if wide => tile::<S, 7, N>(simd, a, b, z),
        8 if wide => tile::<S, 8, N>(simd, a, b, z),
        9 if wide => tile::<S, 9, N>(simd, a, b, z),
        10 if wide => tile::<S, 10, N>(simd, a, b, z),
        11 if wide => tile::<S, 11, N>(simd, a, b, z),
        12 if wide => tile::<S, 12, N>(simd, a, b, z),
        13 if wide => tile::<S, 13, N>(simd, a, b, z),
        14 if wide => tile::<S, 14, N>(simd, a, b, z),
        _ => unreachable!("the shape of the tiles"),
    }
}

#[inline(always)]
fn tile<S: Simd, const M: usize, const N: usize>(simd: S, a: &[f32], b: &[f32], z: &mut [f32]) {
    let (a, b) = (a.as_chunks::<M>().0, S::as_simd_f32s(b).0.as_chunks::<N>().0);
    let z = S::as_mut_simd_f32s(z).0.as_chunks_mut::<N>().0;
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        for (a, b) in a.iter().zip(b) {
            prefetch_line(simd, a.as_ptr().wrapping_add(AHEAD * M));
            for (sums, &a) in sums.iter_mut().zip(a) {
                let a = simd.splat_f32s(a);
                for (sum, &b) in sums.iter_mut().zip(b) {
                    *sum = simd.mul_add_e_f32s(a, b, *sum);
                }
            }
        }
        for (totals, sums) in z.iter_mut().zip(sums) {
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total = simd.add_f32s(*total, sum);
            }
        }
    }
}
