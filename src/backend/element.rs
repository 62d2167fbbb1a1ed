//! Element types.

use std::borrow::Cow;
use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

use bytemuck::Pod;
use half::f16;
use half::slice::HalfFloatSliceExt;

/// A number that can lie in device memory.
pub trait Element: Pod + Default + Debug + PartialEq + Send + Sync + 'static {
    /// Name as safetensors and messages spell it.
    const NAME: &'static str;
}

impl Element for f16 {
    const NAME: &'static str = "f16";
}
impl Element for f32 {
    const NAME: &'static str = "f32";
}
impl Element for f64 {
    const NAME: &'static str = "f64";
}
impl Element for u32 {
    const NAME: &'static str = "u32";
}

/// A type that the activations of encoders lie in. Ops compute in f32 whatever it is, and round where they write.
pub trait Activation: Element {
    /// The nearest value of this type.
    fn rounded(x: f32) -> Self;
    /// The numbers in f32, without a copy where they are that.
    fn widened(values: &[Self]) -> Cow<'_, [f32]>;
    /// Lets `work` change the numbers in f32, and rounds what it leaves.
    fn in_f32<R>(values: &mut [Self], work: impl FnOnce(&mut [f32]) -> R) -> R;
}

impl Activation for f32 {
    fn rounded(x: f32) -> Self {
        x
    }
    fn widened(values: &[Self]) -> Cow<'_, [f32]> {
        Cow::Borrowed(values)
    }
    fn in_f32<R>(values: &mut [Self], work: impl FnOnce(&mut [f32]) -> R) -> R {
        work(values)
    }
}

impl Activation for f16 {
    fn rounded(x: f32) -> Self {
        Self::from_f32(x)
    }
    fn widened(values: &[Self]) -> Cow<'_, [f32]> {
        let mut wide = vec![0.0; values.len()];
        values.convert_to_f32_slice(&mut wide);
        Cow::Owned(wide)
    }
    fn in_f32<R>(values: &mut [Self], work: impl FnOnce(&mut [f32]) -> R) -> R {
        let mut wide = Self::widened(values).into_owned();
        let result = work(&mut wide);
        values.convert_from_f32_slice(&wide);
        result
    }
}

/// A type that ops compute in: f32, and f64 where a derivation is checked.
pub trait Real:
    Element
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + MulAssign
    + Sum
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// The nearest value of this type.
    fn from_f64(x: f64) -> Self;
    /// The same value in f64.
    fn to_f64(self) -> f64;
    /// eˣ.
    #[must_use]
    fn exp(self) -> Self;
    /// √x.
    #[must_use]
    fn sqrt(self) -> Self;

    /// Logistic function 1 / (1 + e⁻ˣ).
    #[must_use]
    // Only code that is inlined into a dispatched loop is compiled for the instruction set of that loop.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::ONE / (Self::ONE + (-self).exp())
    }
}

macro_rules! real {
    ($t:ty) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                <$t>::exp(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }
        }
    };
}
real!(f32);
real!(f64);
