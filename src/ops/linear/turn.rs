//! Rows of stored numbers become columns of f32.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

#[cfg(target_arch = "x86_64")]
use std::any::Any;

use half::f16;
use pulp::Simd;

use super::prefetch::prefetch_line;
use crate::weights::Values;

/// Asks for the `len` numbers of `row` from `start` on.
#[inline(always)]
pub(super) fn prefetch<S: Simd>(simd: S, row: &Values<'_>, start: usize, len: usize) {
    let (bytes, size): (&[u8], usize) = match row {
        Values::F16(values) => (bytemuck::cast_slice(values), 2),
        Values::Bf16(values) => (bytemuck::cast_slice(values), 2),
        Values::F32(values) => (bytemuck::cast_slice(values), 4),
    };
    for line in bytes.get(start * size..).unwrap_or_default().chunks(64).take(len * size / 64) {
        prefetch_line(simd, line.as_ptr());
    }
}

/// The numbers of `row` from `start` on in f32, exact; 0 where the row has none.
#[inline(always)]
pub(super) fn widen<S: Simd>(simd: S, row: &Values<'_>, start: usize, to: &mut [f32]) {
    let range = start..start + to.len();
    match row {
        Values::F16(values) if values.len() >= range.end => widen_f16(simd, &values[range], to),
        Values::Bf16(values) if values.len() >= range.end => {
            for (value, to) in values[range].iter().zip(to) {
                *to = f32::from_bits(u32::from(value.to_bits()) << 16);
            }
        }
        Values::F32(values) if values.len() >= range.end => to.copy_from_slice(&values[range]),
        _ => to.fill(0.0),
    }
}

#[inline(always)]
#[allow(unsafe_code)]
fn widen_f16<S: Simd>(simd: S, values: &[f16], to: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        let simd: &dyn Any = &simd;
        if let Some(simd) = simd.downcast_ref::<pulp::x86::V4>() {
            let (values, values_rest) = values.as_chunks::<16>();
            let (to, to_rest) = to.as_chunks_mut::<16>();
            for (values, to) in values.iter().zip(to) {
                *to = bytemuck::cast(simd.avx512f._mm512_cvtph_ps(bytemuck::cast(*values)));
            }
            return widen_one_by_one(values_rest, to_rest);
        }
        if is_x86_feature_detected!("f16c") && is_x86_feature_detected!("avx") {
            // SAFETY: the processor has the two features.
            return unsafe { widen_f16c(values, to) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = simd;
    widen_one_by_one(values, to);
}

#[inline(always)]
fn widen_one_by_one(values: &[f16], to: &mut [f32]) {
    for (value, to) in values.iter().zip(to) {
        *to = value.to_f32();
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx,f16c")]
fn widen_f16c(values: &[f16], to: &mut [f32]) {
    use std::arch::x86_64::_mm256_cvtph_ps;
    let (values, values_rest) = values.as_chunks::<8>();
    let (to, to_rest) = to.as_chunks_mut::<8>();
    for (values, to) in values.iter().zip(to) {
        *to = bytemuck::cast(_mm256_cvtph_ps(bytemuck::cast(*values)));
    }
    widen_one_by_one(values_rest, to_rest);
}

/// Rows that become columns.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Rows<'a> {
    /// The numbers, row after row.
    pub values: &'a [f32],
    /// From the start of a row to that of the next.
    pub pitch: usize,
    /// Number of rows.
    pub n: usize,
    /// Numbers of a row that are turned.
    pub len: usize,
}

/// Writes `out[k · step + i] = rows[i][k]`. Columns are written from the first to the last and in whole vectors where
/// there is room, so what stands between two columns is lost when `n` is less than a vector.
#[inline(always)]
pub(in crate::ops) fn turn<S: Simd>(simd: S, rows: Rows<'_>, step: usize, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        let simd: &dyn Any = &simd;
        if let Some(&simd) = simd.downcast_ref::<pulp::x86::V4>() {
            return turn_blocks(simd, rows, step, out);
        }
        if let Some(&simd) = simd.downcast_ref::<pulp::x86::V3>() {
            return turn_blocks(simd, rows, step, out);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = simd;
    turn_one_by_one(rows, 0, step, out);
}

/// The columns from `first` on.
#[inline(always)]
fn turn_one_by_one(rows: Rows<'_>, first: usize, step: usize, out: &mut [f32]) {
    for k in first..rows.len {
        for (i, out) in out[k * step..].iter_mut().take(rows.n).enumerate() {
            *out = rows.values[i * rows.pitch + k];
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn turn_blocks<const L: usize>(simd: impl TurnBlock<L>, rows: Rows<'_>, step: usize, out: &mut [f32]) {
    // A number of rows that is known when this is compiled keeps the block in registers.
    if rows.n == L {
        turn_rows(simd, rows, L, step, out);
    } else {
        turn_rows(simd, rows, rows.n, step, out);
    }
    turn_one_by_one(rows, rows.len / L * L, step, out);
}

/// Whole blocks of columns of `n` rows.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn turn_rows<const L: usize>(simd: impl TurnBlock<L>, rows: Rows<'_>, n: usize, step: usize, out: &mut [f32]) {
    for k in (0..rows.len / L * L).step_by(L) {
        let mut block = [[0.0; L]; L];
        for (i, block) in block.iter_mut().enumerate().take(n) {
            block.copy_from_slice(&rows.values[i * rows.pitch + k..][..L]);
        }
        for (column, k) in simd.turned(block).iter().zip(k..) {
            match out.get_mut(k * step..k * step + L) {
                Some(out) => out.copy_from_slice(column),
                None => out[k * step..k * step + n].copy_from_slice(&column[..n]),
            }
        }
    }
}

/// An instruction set that turns blocks of `L × L` numbers.
#[cfg(target_arch = "x86_64")]
trait TurnBlock<const L: usize>: Copy {
    fn turned(self, block: [[f32; L]; L]) -> [[f32; L]; L];
}

#[cfg(target_arch = "x86_64")]
impl TurnBlock<16> for pulp::x86::V4 {
    #[inline(always)]
    fn turned(self, block: [[f32; 16]; 16]) -> [[f32; 16]; 16] {
        use std::arch::x86_64::__m512;
        let x: [__m512; 16] = bytemuck::cast(block);
        let avx = self.avx512f;
        let pd = |x| avx._mm512_castps_pd(x);
        let ps = |x| avx._mm512_castpd_ps(x);
        // Pairs of rows, then fours: within each quarter of a vector, four rows of one column stand together.
        let mut pairs = x;
        for i in 0..8 {
            pairs[2 * i] = avx._mm512_unpacklo_ps(x[2 * i], x[2 * i + 1]);
            pairs[2 * i + 1] = avx._mm512_unpackhi_ps(x[2 * i], x[2 * i + 1]);
        }
        let mut fours = x;
        for i in 0..4 {
            for j in 0..2 {
                let (a, b) = (pd(pairs[4 * i + j]), pd(pairs[4 * i + j + 2]));
                fours[4 * i + 2 * j] = ps(avx._mm512_unpacklo_pd(a, b));
                fours[4 * i + 2 * j + 1] = ps(avx._mm512_unpackhi_pd(a, b));
            }
        }
        // The quarters are a 4 × 4 matrix of their own.
        let mut out = x;
        for j in 0..4 {
            let low = avx._mm512_shuffle_f32x4::<0x88>(fours[j], fours[4 + j]);
            let high = avx._mm512_shuffle_f32x4::<0xdd>(fours[j], fours[4 + j]);
            let low_2 = avx._mm512_shuffle_f32x4::<0x88>(fours[8 + j], fours[12 + j]);
            let high_2 = avx._mm512_shuffle_f32x4::<0xdd>(fours[8 + j], fours[12 + j]);
            out[j] = avx._mm512_shuffle_f32x4::<0x88>(low, low_2);
            out[4 + j] = avx._mm512_shuffle_f32x4::<0x88>(high, high_2);
            out[8 + j] = avx._mm512_shuffle_f32x4::<0xdd>(low, low_2);
            out[12 + j] = avx._mm512_shuffle_f32x4::<0xdd>(high, high_2);
        }
        bytemuck::cast(out)
    }
}

#[cfg(target_arch = "x86_64")]
impl TurnBlock<8> for pulp::x86::V3 {
    #[inline(always)]
    fn turned(self, block: [[f32; 8]; 8]) -> [[f32; 8]; 8] {
        use std::arch::x86_64::__m256;
        let x: [__m256; 8] = bytemuck::cast(block);
        let avx = self.avx;
        let pd = |x| avx._mm256_castps_pd(x);
        let ps = |x| avx._mm256_castpd_ps(x);
        let mut pairs = x;
        for i in 0..4 {
            pairs[2 * i] = avx._mm256_unpacklo_ps(x[2 * i], x[2 * i + 1]);
            pairs[2 * i + 1] = avx._mm256_unpackhi_ps(x[2 * i], x[2 * i + 1]);
        }
        let mut fours = x;
        for i in 0..2 {
            for j in 0..2 {
                let (a, b) = (pd(pairs[4 * i + j]), pd(pairs[4 * i + j + 2]));
                fours[4 * i + 2 * j] = ps(avx._mm256_unpacklo_pd(a, b));
                fours[4 * i + 2 * j + 1] = ps(avx._mm256_unpackhi_pd(a, b));
            }
        }
        let mut out = x;
        for j in 0..4 {
            out[j] = avx._mm256_permute2f128_ps::<0x20>(fours[j], fours[4 + j]);
            out[4 + j] = avx._mm256_permute2f128_ps::<0x31>(fours[j], fours[4 + j]);
        }
        bytemuck::cast(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Isa;
    use pulp::WithSimd;

    struct Turn {
        n: usize,
        len: usize,
        step: usize,
    }
    impl WithSimd for Turn {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Self { n, len, step } = self;
            let pitch = len + 3;
            let values: Vec<f32> = (0..n * pitch).map(|i| i as f32).collect();
            let mut out = vec![-1.0; (len - 1) * step + n];
            turn(simd, Rows { values: &values, pitch, n, len }, step, &mut out);
            for k in 0..len {
                for i in 0..n {
                    assert_eq!(out[k * step + i], (i * pitch + k) as f32, "{n} rows of {len}, step {step}: {i}, {k}");
                }
            }
        }
    }

    #[test]
    fn rows_of_any_number_and_length_are_turned() {
        for isa in Isa::available() {
            for n in 1..=16 {
                let lanes = if isa == Isa::Avx2 { 8 } else { 16 };
                for len in [1, 7, 8, 15, 16, 17, 33, 48] {
                    for step in [n, n + 5] {
                        isa.dispatch(Turn { n: n.min(lanes), len, step });
                    }
                }
            }
        }
    }

    struct Widen<'a>(&'a Values<'a>, usize, &'a mut [f32]);
    impl WithSimd for Widen<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            widen(simd, self.0, self.1, self.2);
        }
    }

    #[test]
    fn every_half_number_is_widened_exactly() {
        let values: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
        let mut to = vec![0.0; values.len() - 3];
        for isa in Isa::available() {
            isa.dispatch(Widen(&Values::F16(&values), 3, &mut to));
            for (value, to) in values[3..].iter().zip(&to) {
                assert!(value.to_f32().to_bits() == to.to_bits() || value.is_nan() && to.is_nan(), "{isa}");
            }
        }
    }
}
