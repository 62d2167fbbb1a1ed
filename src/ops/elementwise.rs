//! Functions of single numbers, a vector at a time.
//!
//! Each is a reduction of the argument and a polynomial, fitted on Chebyshev nodes with weights for the least largest
//! relative error. No branch and no table, so they run in the epilogue of a product while the tile is in registers.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::Simd;

/// 1.5·2²³: a sum with it leaves the nearest integer in the low bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts; the products of the upper one (9 bits) with the integers here are exact.
const LN2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
/// (eʳ − 1 − r)/r² on |r| ≤ ½·ln 2; error of eʳ below 4e-9.
const EXP: [f32; 5] = [0.499_999_93, 0.166_665_2, 0.041_668_4, 0.008_368_852, 0.001_381_432];
/// With s = 1/(1 + c·t): erfc(t) = e^(−t²)·s·P(s) on 0 ≤ t ≤ 10.3, relative error below 5e-9.
const ERFC: [f32; 10] = [
    0.184_781_62,
    0.185_747_34,
    0.166_005_34,
    0.204_310_8,
    -0.045_837_305,
    0.493_218_96,
    -0.550_567,
    0.620_442_5,
    -0.314_262_44,
    0.056_160_19,
];
/// The c of [`ERFC`].
const ERFC_SCALE: f32 = 0.327_591_1;

#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::f32s, coefficients: [f32; N]) -> S::f32s {
    let mut sum = simd.splat_f32s(coefficients[N - 1]);
    for &c in coefficients.iter().rev().skip(1) {
        sum = simd.mul_add_e_f32s(sum, x, simd.splat_f32s(c));
    }
    sum
}

/// eˣ within 2 units in the last place, denormal results included; infinite from 88.73 on, 0 below −103.98, NaN of NaN.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |value: f32| simd.splat_f32s(value);
    let (least, most) = (splat(-104.0), splat(89.0));
    // A comparison with NaN is false, so NaN passes.
    let x = simd.select_f32s(simd.less_than_f32s(x, least), least, x);
    let x = simd.select_f32s(simd.greater_than_f32s(x, most), most, x);
    let shifted = simd.mul_add_e_f32s(x, splat(std::f32::consts::LOG2_E), splat(ROUND));
    let n = simd.sub_f32s(shifted, splat(ROUND));
    let r = simd.mul_add_e_f32s(n, splat(-LN2[0]), x);
    let r = simd.mul_add_e_f32s(n, splat(-LN2[1]), r);
    let p = simd.mul_add_e_f32s(simd.mul_f32s(r, r), polynomial(simd, r, EXP), simd.add_f32s(r, splat(1.0)));
    // 2ⁿ in two factors, n = a + b, so that each is a normal number: exponent fields a + 127 and b + 127.
    let add = |a, b: u32| simd.add_u32s(a, simd.splat_u32s(b));
    let shift = |a, by: u32| simd.wrapping_dyn_shl_u32s(a, simd.splat_u32s(by));
    let fields = add(simd.transmute_u32s_f32s(shifted), 254u32.wrapping_sub(ROUND.to_bits()));
    let a = simd.wrapping_dyn_shr_u32s(fields, simd.splat_u32s(1));
    let b = simd.sub_u32s(fields, a);
    let power = |field| simd.transmute_f32s_u32s(shift(field, 23));
    simd.mul_f32s(simd.mul_f32s(p, power(a)), power(b))
}

/// `x·Φ(x)`, Φ(x) = ½·(1 + erf(x/√2)) the normal distribution: the GELU of ESM-2, accurate in the left tail too.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |value: f32| simd.splat_f32s(value);
    let magnitude = simd.abs_f32s(x);
    let scaled = simd.mul_add_e_f32s(magnitude, splat(ERFC_SCALE * std::f32::consts::FRAC_1_SQRT_2), splat(1.0));
    let s = simd.div_f32s(splat(1.0), scaled);
    // −x²/2 to twice the precision: its rounding error is a relative error of the exponential.
    let half = simd.mul_f32s(x, splat(-0.5));
    let square = simd.mul_f32s(half, x);
    let rest = simd.mul_add_e_f32s(half, x, simd.neg_f32s(square));
    let tail = simd.mul_f32s(s, polynomial(simd, s, ERFC));
    let tail = simd.mul_f32s(simd.mul_f32s(tail, splat(0.5)), exp(simd, square));
    let negative = simd.less_than_f32s(x, splat(0.0));
    // Beyond |x| = 14.5 the tail is 0 and the rest of an infinite square is NaN.
    let far = simd.less_than_f32s(splat(14.5), magnitude);
    let tail = simd.select_f32s(far, splat(0.0), simd.mul_add_e_f32s(tail, rest, tail));
    let phi = simd.select_f32s(negative, tail, simd.sub_f32s(splat(1.0), tail));
    // −∞·0 is NaN; the limit is −0.
    let bounded = simd.select_f32s(simd.less_than_f32s(x, splat(-1e30)), splat(-1e30), x);
    simd.mul_f32s(bounded, phi)
}

/// 1/x within a relative error of 2⁻²², of a normal number whose reciprocal is one.
#[inline(always)]
pub(crate) fn reciprocal<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    #[cfg(target_arch = "x86_64")]
    {
        // Half of the bits from a table, and one step to all of them: sooner there than a division.
        let set: &dyn std::any::Any = &simd;
        if let Some(set) = set.downcast_ref::<pulp::x86::V4>() {
            return refined(simd, x, bytemuck::cast(set.avx512f._mm512_rcp14_ps(bytemuck::cast(x))));
        }
        if let Some(set) = set.downcast_ref::<pulp::x86::V3>() {
            return refined(simd, x, bytemuck::cast(set.avx._mm256_rcp_ps(bytemuck::cast(x))));
        }
    }
    simd.div_f32s(simd.splat_f32s(1.0), x)
}

/// One step of Newton's from a `near` reciprocal of x.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn refined<S: Simd>(simd: S, x: S::f32s, near: S::f32s) -> S::f32s {
    let rest = simd.mul_add_e_f32s(simd.neg_f32s(x), near, simd.splat_f32s(1.0));
    simd.mul_add_e_f32s(near, rest, near)
}

/// σ(x) = 1/(1 + e⁻ˣ) within 2⁻²².
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let power = exp(simd, simd.neg_f32s(x));
    simd.div_f32s(simd.splat_f32s(1.0), simd.add_f32s(power, simd.splat_f32s(1.0)))
}

/// `x·σ(β·x)`, the activation of a `SwiGLU`.
#[inline(always)]
pub(crate) fn swish<S: Simd>(simd: S, beta: f32, x: S::f32s) -> S::f32s {
    let power = exp(simd, simd.mul_f32s(x, simd.splat_f32s(-beta)));
    simd.div_f32s(x, simd.add_f32s(power, simd.splat_f32s(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Isa;
    use pulp::WithSimd;

    #[derive(Clone, Copy)]
    enum Function {
        Exp,
        Gelu,
        Reciprocal,
        Sigmoid,
        Swish,
    }
    struct Map<'a>(Function, &'a [f32]);
    impl WithSimd for Map<'_> {
        type Output = Vec<f32>;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
            let mut out = vec![0.0; self.1.len()];
            for (x, y) in self.1.chunks(S::F32_LANES).zip(out.chunks_mut(S::F32_LANES)) {
                let x = simd.partial_load_f32s(x);
                let y_vector = match self.0 {
                    Function::Exp => exp(simd, x),
                    Function::Gelu => gelu(simd, x),
                    Function::Reciprocal => reciprocal(simd, x),
                    Function::Sigmoid => sigmoid(simd, x),
                    Function::Swish => swish(simd, 1.25, x),
                };
                simd.partial_store_f32s(y, y_vector);
            }
            out
        }
    }

    /// About a million numbers in `range`, every 5th near 0.
    fn arguments(range: f32) -> Vec<f32> {
        let n = 1 << 20;
        let at = |i: i32| range * (2.0 * (i as f32) / (n as f32) - 1.0);
        (0..=n).map(|i| if i % 5 == 0 { at(i).powi(3) / (range * range) } else { at(i) }).collect()
    }

    /// Distance in units of the last place of `want`, those of the smallest normal number below it.
    fn ulps(got: f32, want: f64) -> f64 {
        let unit = f64::from(f32::EPSILON) * want.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor().exp2();
        (f64::from(got) - want).abs() / unit
    }

    fn worst(isa: Isa, function: Function, range: f32, f: impl Fn(f64) -> f64) -> f64 {
        let x = arguments(range);
        let y = isa.dispatch(Map(function, &x));
        let distances = x.iter().zip(y).filter(|(_, y)| y.is_finite()).map(|(&x, y)| ulps(y, f(f64::from(x))));
        distances.fold(0.0, f64::max)
    }

    #[test]
    fn exp_is_within_two_units() {
        for isa in Isa::available() {
            let worst = worst(isa, Function::Exp, 110.0, f64::exp);
            assert!(worst < 2.0, "{isa}: {worst}");
            let edge = [0.0, -0.0, f32::NEG_INFINITY, f32::INFINITY, f32::NAN, 88.7, 88.8, -200.0, -103.0];
            let y = isa.dispatch(Map(Function::Exp, &edge));
            assert_eq!(y[..4], [1.0, 1.0, 0.0, f32::INFINITY], "{isa}");
            assert!(y[4].is_nan() && y[5].is_finite() && y[6] == f32::INFINITY, "{isa}: {y:?}");
            assert_eq!(y[7..], [0.0, (-103f32).exp()], "{isa}");
        }
    }

    #[test]
    fn gelu_follows_the_error_function_into_the_tail() {
        let exact = |x: f64| 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
        for isa in Isa::available() {
            // Without a fused product the square of the argument keeps 24 bits: up to 72·2⁻²⁴ at x = −12.
            let bound = if isa == Isa::Portable { 75.0 } else { 8.0 };
            let worst = worst(isa, Function::Gelu, 12.0, exact);
            assert!(worst < bound, "{isa}: {worst}");
            let edge = [0.0, f32::NEG_INFINITY, f32::INFINITY, f32::NAN, 100.0, -100.0, 1e30];
            let y = isa.dispatch(Map(Function::Gelu, &edge));
            assert!(y[3].is_nan(), "{isa}");
            assert_eq!((y[..3].to_vec(), &y[4..]), (vec![0.0, 0.0, f32::INFINITY], &[100.0, 0.0, 1e30][..]), "{isa}");
        }
    }

    #[test]
    fn gelu_agrees_with_the_error_function_in_single_precision() {
        let x = arguments(8.0);
        for (x, y) in x.iter().zip(Isa::detect().dispatch(Map(Function::Gelu, &x))) {
            let single = 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2));
            assert!((y - single).abs() <= 3e-7 * x.abs(), "x = {x}: {y} for {single}");
        }
    }

    #[test]
    fn reciprocal_is_within_its_bound() {
        for isa in Isa::available() {
            let x: Vec<f32> = arguments(3e4).iter().chain(&[1.0, 5e34, 3e-38, 2e37, -1e-20]).copied().collect();
            for (&x, y) in x.iter().zip(isa.dispatch(Map(Function::Reciprocal, &x))).filter(|(x, _)| x.is_normal()) {
                let error = (f64::from(y) * f64::from(x) - 1.0).abs();
                assert!(error <= (-22f64).exp2(), "{isa}, x = {x}: {y}, {error} away");
            }
        }
    }

    #[test]
    fn sigmoid_is_within_its_bound() {
        let x = arguments(110.0);
        for isa in Isa::available() {
            for (&x, y) in x.iter().zip(isa.dispatch(Map(Function::Sigmoid, &x))) {
                let error = (f64::from(y) - 1.0 / (1.0 + (-f64::from(x)).exp())).abs();
                assert!(error <= (-22f64).exp2(), "{isa}, x = {x}: {y}, {error} away");
            }
            let y = isa.dispatch(Map(Function::Sigmoid, &[0.0, f32::INFINITY, f32::NEG_INFINITY, -1e30, f32::NAN]));
            assert!(y[..4] == [0.5, 1.0, 0.0, 0.0] && y[4].is_nan(), "{isa}: {y:?}");
        }
    }

    #[test]
    fn swish_is_close_to_its_definition() {
        for isa in Isa::available() {
            // The product β·x is rounded: 60·2⁻²⁴ in the exponent.
            let worst = worst(isa, Function::Swish, 60.0, |x| x / (1.0 + (-1.25 * x).exp()));
            assert!(worst < 80.0, "{isa}: {worst}");
            let y = isa.dispatch(Map(Function::Swish, &[0.0, f32::INFINITY, f32::NAN, -1e30]));
            assert!(y[0] == 0.0 && y[1] == f32::INFINITY && y[2].is_nan() && y[3] == 0.0, "{isa}: {y:?}");
        }
    }
}
