//! Rows of stored numbers become columns of f32.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use std::any::Any;

use half::f16;
use pulp::Simd;

use crate::weights::Values;

/// The numbers of `row` from `start` on in f32, exact; 0 where the row has none.
#[inline(always)]
pub(super) fn widen(row: &Values<'_>, start: usize, to: &mut [f32]) {
    match row {
        Values::F16(values) => match values.get(start..start + to.len()) {
            Some(values) => widen_f16(values, to),
            None => to.fill(0.0),
        },
        Values::Bf16(values) => match values.get(start..start + to.len()) {
            Some(values) => {
                for (value, to) in values.iter().zip(to) {
                    *to = f32::from_bits(u32::from(value.to_bits()) << 16);
                }
            }
            None => to.fill(0.0),
        },
        Values::F32(values) => match values.get(start..start + to.len()) {
            Some(values) => to.copy_from_slice(values),
            None => to.fill(0.0),
        },
    }
}

#[inline(always)]
#[allow(unsafe_code)]
fn widen_f16(values: &[f16], to: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("f16c") && is_x86_feature_detected!("avx") {
        // SAFETY: the processor has the two features.
        return unsafe { widen_f16c(values, to) };
    }
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
    for (value, to) in values_rest.iter().zip(to_rest) {
        *to = value.to_f32();
    }
}

/// Writes the first `count` columns of `rows` (one row per lane, each `pitch` numbers long) to `out`, a vector every
/// `step` vectors; `rows` holds whole vectors, what they hold beyond `count` does not matter.
#[inline(always)]
pub(super) fn turn<S: Simd>(simd: S, rows: &[f32], pitch: usize, count: usize, step: usize, out: &mut [f32]) {
    let lanes = S::F32_LANES;
    #[cfg(target_arch = "x86_64")]
    {
        let simd: &dyn Any = &simd;
        if let Some(&simd) = simd.downcast_ref::<pulp::x86::V4>() {
            return turn_blocks(rows, pitch, count, step, out, |block| turn_16(simd, block));
        }
        if let Some(&simd) = simd.downcast_ref::<pulp::x86::V3>() {
            return turn_blocks(rows, pitch, count, step, out, |block| turn_8(simd, block));
        }
    }
    for (k, out) in out.chunks_mut(step * lanes).take(count).enumerate() {
        for (lane, out) in out.iter_mut().take(lanes).enumerate() {
            *out = rows[lane * pitch + k];
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn turn_blocks<const L: usize>(
    rows: &[f32],
    pitch: usize,
    count: usize,
    step: usize,
    out: &mut [f32],
    turn: impl Fn([[f32; L]; L]) -> [[f32; L]; L],
) {
    let mut blocks = out.chunks_mut(step * L * L);
    for k in (0..count).step_by(L) {
        let block = std::array::from_fn(|lane| {
            let at = lane * pitch + k;
            *rows[at..at + L].first_chunk().unwrap_or(&[0.0; L])
        });
        let Some(out) = blocks.next() else { return };
        for (column, out) in turn(block).iter().zip(out.chunks_mut(step * L)).take(count - k) {
            out[..L].copy_from_slice(column);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn turn_16(simd: pulp::x86::V4, block: [[f32; 16]; 16]) -> [[f32; 16]; 16] {
    use std::arch::x86_64::__m512;
    let x: [__m512; 16] = block.map(bytemuck::cast);
    let avx = simd.avx512f;
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
    out.map(bytemuck::cast)
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn turn_8(simd: pulp::x86::V3, block: [[f32; 8]; 8]) -> [[f32; 8]; 8] {
    use std::arch::x86_64::__m256;
    let x: [__m256; 8] = block.map(bytemuck::cast);
    let avx = simd.avx;
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
    out.map(bytemuck::cast)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Isa;
    use pulp::WithSimd;

    struct Turn(usize);
    impl WithSimd for Turn {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let (lanes, pitch, step) = (S::F32_LANES, 48, 3);
            let rows: Vec<f32> = (0..lanes * pitch).map(|i| i as f32).collect();
            let mut out = vec![-1.0; self.0 * step * lanes];
            turn(simd, &rows, pitch, self.0, step, &mut out);
            for (i, &value) in out.iter().enumerate() {
                let (k, lane) = (i / (step * lanes), i % (step * lanes));
                let expected = if lane < lanes { (lane * pitch + k) as f32 } else { -1.0 };
                assert_eq!(value, expected, "count {} k {k} lane {lane}", self.0);
            }
        }
    }

    #[test]
    fn columns_of_any_number_are_turned() {
        for isa in Isa::available() {
            for count in [1, 7, 8, 15, 16, 17, 33, 48] {
                isa.dispatch(Turn(count));
            }
        }
    }

    #[test]
    fn every_half_number_is_widened_exactly() {
        let values: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
        let mut to = vec![0.0; values.len() - 3];
        widen(&Values::F16(&values), 3, &mut to);
        for (value, to) in values[3..].iter().zip(to) {
            assert!(value.to_f32().to_bits() == to.to_bits() || value.is_nan() && to.is_nan());
        }
    }
}
