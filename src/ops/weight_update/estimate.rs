//! Square root and reciprocal by the 14-bit estimates of AVX-512 and a step of Newton: the instructions for a division and a
//! root take some 40 cycles together, more than all the rest of a step of Adam. Elsewhere they are used.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use pulp::Simd;

/// √x of 0 ≤ x < ∞ within 2 units in the last place, where x below 1.18e-38, the least normal number, may count as that.
#[inline(always)]
pub(super) fn square_root<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    #[cfg(target_arch = "x86_64")]
    if let Some(v4) = (&simd as &dyn std::any::Any).downcast_ref::<pulp::x86::V4>() {
        // The estimate of a subnormal number is infinite.
        let x = simd.max_f32s(x, simd.splat_f32s(f32::MIN_POSITIVE));
        let y: S::f32s = bytemuck::cast(v4.avx512f._mm512_rsqrt14_ps(bytemuck::cast(x)));
        let root = simd.mul_f32s(x, y);
        let error = simd.negate_mul_add_e_f32s(root, y, simd.splat_f32s(1.0));
        return simd.mul_add_e_f32s(simd.mul_f32s(root, simd.splat_f32s(0.5)), error, root);
    }
    simd.sqrt_f32s(x)
}

/// 1/x of a normal number with a normal reciprocal, within 2 units in the last place.
#[inline(always)]
pub(super) fn reciprocal<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    #[cfg(target_arch = "x86_64")]
    if let Some(v4) = (&simd as &dyn std::any::Any).downcast_ref::<pulp::x86::V4>() {
        let y: S::f32s = bytemuck::cast(v4.avx512f._mm512_rcp14_ps(bytemuck::cast(x)));
        let error = simd.negate_mul_add_e_f32s(x, y, simd.splat_f32s(1.0));
        return simd.mul_add_e_f32s(y, error, y);
    }
    simd.div_f32s(simd.splat_f32s(1.0), x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Isa;
    use pulp::WithSimd;

    /// Roots and reciprocals.
    struct Both<'a>(&'a [f32]);
    impl WithSimd for Both<'_> {
        type Output = [Vec<f32>; 2];
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> [Vec<f32>; 2] {
            let mut out = [vec![0.0; self.0.len()], vec![0.0; self.0.len()]];
            for (i, x) in self.0.chunks(S::F32_LANES).enumerate() {
                let at = i * S::F32_LANES..i * S::F32_LANES + x.len();
                let x = simd.partial_load_f32s(x);
                simd.partial_store_f32s(&mut out[0][at.clone()], square_root(simd, x));
                simd.partial_store_f32s(&mut out[1][at], reciprocal(simd, x));
            }
            out
        }
    }

    #[test]
    fn both_are_within_two_units() {
        // Every exponent whose reciprocal is normal, with 4 099 fractions each.
        let powers = -126..126;
        let x: Vec<f32> =
            powers.flat_map(|power| (0..4099).map(move |i| (1.0 + i as f32 / 4099.0) * 2f32.powi(power))).collect();
        for isa in Isa::available() {
            let [roots, reciprocals] = isa.dispatch(Both(&x));
            for ((&x, root), reciprocal) in x.iter().zip(roots).zip(reciprocals) {
                for (found, exact) in [(root, f64::from(x).sqrt()), (reciprocal, 1.0 / f64::from(x))] {
                    let unit = f64::from(f32::EPSILON) * exact.log2().floor().exp2();
                    assert!((f64::from(found) - exact).abs() < 2.0 * unit, "{isa}: {x} has {found}");
                }
            }
        }
    }

    #[test]
    fn the_root_of_nothing_is_next_to_nothing() {
        for isa in Isa::available() {
            let [roots, _] = isa.dispatch(Both(&[0.0, 1e-40]));
            // √1.18e-38 = 1.08e-19.
            assert!(roots.iter().all(|root| (0.0..1.1e-19).contains(root)), "{isa}: {roots:?}");
        }
    }
}
