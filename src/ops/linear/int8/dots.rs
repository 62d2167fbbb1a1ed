//! Exact sums of products of bytes: some rows times one panel.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use super::Four;
use crate::backend::Isa;

/// Columns of a panel.
pub(super) const COLUMNS: usize = 32;
/// Most rows of a tile.
pub(super) const MOST_ROWS: usize = 14;
/// Four terms of each column of a panel.
pub(super) type PanelStep = [[i8; 4]; COLUMNS];
/// Sums of one row.
pub(super) type Sums = [i32; COLUMNS];

/// `z[i][j] = Σ a[k][i]·b[k][j]`, `a [steps, rows]` unsigned, `b [steps]`, four terms a step; the same integers on every
/// instruction set.
#[allow(unsafe_code)]
pub(super) fn dots(isa: Isa, a: &[Four], b: &[PanelStep], z: &mut [Sums]) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni if isa.is_available() => {
            // SAFETY: the processor has VNNI and x86-64-v4.
            unsafe { vnni(a, b, z) }
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx2 if isa.is_available() => {
            // SAFETY: the processor has AVX2.
            unsafe { avx2(a, b, z) }
        }
        _ => portable(a, b, z),
    }
}

/// Plain loops over 16-bit numbers and 32-bit sums, which compilers vectorise.
fn portable(a: &[Four], b: &[PanelStep], z: &mut [Sums]) {
    z.fill([0; COLUMNS]);
    for (a, b) in a.chunks_exact(z.len()).zip(b) {
        let term = |t: usize| b.map(|b| i16::from(b[t]));
        let b = [term(0), term(1), term(2), term(3)];
        for (z, a) in z.iter_mut().zip(a) {
            let a = a.map(i16::from);
            for (j, z) in z.iter_mut().enumerate() {
                let product = |t: usize| i32::from(a[t]) * i32::from(b[t][j]);
                *z += product(0) + product(1) + product(2) + product(3);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn vnni(a: &[Four], b: &[PanelStep], z: &mut [Sums]) {
    match z.len() {
        1 => vnni_tile::<1>(a, b, z),
        2 => vnni_tile::<2>(a, b, z),
        3 => vnni_tile::<3>(a, b, z),
        4 => vnni_tile::<4>(a, b, z),
        5 => vnni_tile::<5>(a, b, z),
        6 => vnni_tile::<6>(a, b, z),
        7 => vnni_tile::<7>(a, b, z),
        8 => vnni_tile::<8>(a, b, z),
        9 => vnni_tile::<9>(a, b, z),
        10 => vnni_tile::<10>(a, b, z),
        11 => vnni_tile::<11>(a, b, z),
        12 => vnni_tile::<12>(a, b, z),
        13 => vnni_tile::<13>(a, b, z),
        14 => vnni_tile::<14>(a, b, z),
        _ => unreachable!("tiles have MOST_ROWS at most"),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn vnni_tile<const M: usize>(a: &[Four], b: &[PanelStep], z: &mut [Sums]) {
    use std::arch::x86_64::{__m512i, _mm512_dpbusd_epi32, _mm512_set1_epi32, _mm512_setzero_si512};
    let mut sums = [[_mm512_setzero_si512(); 2]; M];
    for (a, b) in a.as_chunks::<M>().0.iter().zip(b) {
        let b: [__m512i; 2] = bytemuck::cast(*b);
        for (sums, a) in sums.iter_mut().zip(a) {
            let a = _mm512_set1_epi32(i32::from_le_bytes(*a));
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = _mm512_dpbusd_epi32(*sum, a, b);
            }
        }
    }
    for (z, sums) in z.iter_mut().zip(sums) {
        *z = bytemuck::cast(sums);
    }
}

/// Bytes are widened to 16 bits first: the byte products of AVX2 saturate.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(a: &[Four], b: &[PanelStep], z: &mut [Sums]) {
    let rows = z.len();
    for first in (0..rows).step_by(3) {
        let z = &mut z[first..rows.min(first + 3)];
        for half in 0..2 {
            match z.len() {
                1 => avx2_tile::<1>(a, rows, first, b, half, z),
                2 => avx2_tile::<2>(a, rows, first, b, half, z),
                _ => avx2_tile::<3>(a, rows, first, b, half, z),
            }
        }
    }
}

/// `M` rows from `first` on times 16 columns.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2_tile<const M: usize>(a: &[Four], rows: usize, first: usize, b: &[PanelStep], half: usize, z: &mut [Sums]) {
    use std::arch::x86_64::{
        __m128i, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_madd_epi16, _mm256_set1_epi32, _mm256_setzero_si256,
        _mm256_unpacklo_epi8,
    };
    let zero = _mm256_setzero_si256();
    // Each column has two sums, of terms 0 and 1 and of terms 2 and 3.
    let mut sums = [[zero; 4]; M];
    for (a, b) in a.chunks_exact(rows).zip(b) {
        let b: [[__m128i; 4]; 2] = bytemuck::cast(*b);
        let b = b[half].map(|b| _mm256_cvtepi8_epi16(b));
        for (sums, a) in sums.iter_mut().zip(&a[first..]) {
            let a = _mm256_unpacklo_epi8(_mm256_set1_epi32(i32::from_le_bytes(*a)), zero);
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(a, b));
            }
        }
    }
    for (z, sums) in z.iter_mut().zip(sums) {
        let pairs: [[i32; 2]; 16] = bytemuck::cast(sums);
        for (z, pair) in z[half * 16..].iter_mut().zip(pairs) {
            *z = pair[0] + pair[1];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_on_every_instruction_set() {
        let mut state = 1u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        // An interpreter takes minutes for the longest.
        let most = if cfg!(miri) { 5 } else { 64 };
        for steps in [0, 1, 5, most] {
            for rows in 1..=MOST_ROWS {
                let random: Vec<Four> = (0..steps * rows).map(|_| [0; 4].map(|_| byte())).collect();
                let weights: Vec<PanelStep> =
                    (0..steps).map(|_| [[0; 4]; COLUMNS].map(|b| b.map(|_: i32| byte() as i8))).collect();
                let extremes = (vec![[255; 4]; steps * rows], vec![[[-127; 4]; COLUMNS]; steps]);
                for (a, b) in [(random, weights), extremes] {
                    let expected = |i: usize, j: usize| -> i32 {
                        let step = |k: usize| (0..4).map(move |t| (k, t));
                        let terms = (0..steps).flat_map(step);
                        terms.map(|(k, t)| i32::from(a[k * rows + i][t]) * i32::from(b[k][j][t])).sum()
                    };
                    for isa in Isa::available() {
                        let mut z = vec![[-1; COLUMNS]; rows];
                        dots(isa, &a, &b, &mut z);
                        for (i, z) in z.iter().enumerate() {
                            for (j, &z) in z.iter().enumerate() {
                                assert_eq!(z, expected(i, j), "{isa} steps {steps} rows {rows} at {i}, {j}");
                            }
                        }
                    }
                }
            }
        }
    }
}
