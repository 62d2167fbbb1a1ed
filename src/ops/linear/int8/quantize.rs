//! Rows of numbers in 8 bits.

use pulp::{Simd, WithSimd};

/// A row whose largest magnitude is below this counts as zeros: its reciprocal would overflow.
const LEAST: f32 = 1e-30;
/// 1.5·2²³: a sum with it leaves the nearest integer, ties to even, in the low bits.
const ROUND: f32 = 12_582_912.0;

/// Writes `q = round(x/scale)`, −127 to 127, and returns `scale = max|x|/127`; NaN, with zeros for `q`, where the row
/// holds a number that is not finite.
pub(super) struct QuantizeRow<'a> {
    pub row: &'a [f32],
    pub q: &'a mut [i8],
}

impl WithSimd for QuantizeRow<'_> {
    type Output = f32;
    // The compiler vectorises both loops for the instruction set they are inlined into.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        // As bits, magnitudes are in order, and infinity and NaN stand above all of them.
        let most = self.row.iter().map(|x| x.abs().to_bits()).fold(0, u32::max);
        let most = f32::from_bits(most);
        if !most.is_finite() || most < LEAST {
            self.q.fill(0);
            return if most.is_finite() { 0.0 } else { f32::NAN };
        }
        let inverse = 127.0 / most;
        for (x, q) in self.row.iter().zip(self.q) {
            *q = (x * inverse + ROUND).to_bits() as i8;
        }
        most / 127.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Isa;

    fn quantize(isa: Isa, row: &[f32]) -> (f32, Vec<i8>) {
        let mut q = vec![99; row.len()];
        let scale = isa.dispatch(QuantizeRow { row, q: &mut q });
        (scale, q)
    }

    #[test]
    fn numbers_are_rounded_to_the_nearest_step() {
        let row: Vec<f32> = (-300..=300).map(|i| i as f32 / 7.0).collect();
        for isa in Isa::available() {
            let (scale, q) = quantize(isa, &row);
            assert_eq!(scale, 300.0 / 7.0 / 127.0);
            for (x, q) in row.iter().zip(q) {
                assert!((f64::from(*x) / f64::from(scale) - f64::from(q)).abs() < 0.500_01, "{isa}: {x} became {q}");
            }
        }
    }

    #[test]
    fn rows_without_a_scale_are_zeros_and_rows_with_nan_say_so() {
        for isa in Isa::available() {
            for row in [&[][..], &[0.0; 40], &[-0.0, 1e-38], &[1e-45; 3]] {
                assert_eq!(quantize(isa, row), (0.0, vec![0; row.len()]));
            }
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let (scale, q) = quantize(isa, &[1.0, bad, 2.0]);
                assert!(scale.is_nan() && q == [0; 3]);
            }
            assert_eq!(quantize(isa, &[f32::MAX, f32::MIN, 0.0]), (f32::MAX / 127.0, vec![127, -127, 0]));
            assert_eq!(quantize(isa, &[-2.5; 20]).1, [-127; 20]);
        }
    }
}
