//! Instruction sets that the kernels are compiled for, chosen at run time.

use std::fmt;
use std::str::FromStr;

use pulp::{Simd, WithSimd};

use crate::error::{Error, Result};

/// An instruction set, from the widest to the narrowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// x86-64-v4 and the byte products of VNNI.
    Avx512Vnni,
    /// x86-64-v4: AVX-512 F, BW, CD, DQ, VL.
    Avx512,
    /// x86-64-v3 with F16C: AVX2, FMA.
    Avx2,
    /// The vectors of every 64-bit ARM.
    Neon,
    /// What the compiler takes for granted on this architecture.
    Portable,
}

impl Isa {
    /// All instruction sets, the fastest first.
    pub const ALL: [Self; 5] = [Self::Avx512Vnni, Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// The fastest instruction set of this machine.
    #[must_use]
    pub fn detect() -> Self {
        Self::available().next().unwrap_or(Self::Portable)
    }

    /// The instruction sets of this machine, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// Name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512Vnni => "avx512-vnni",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// Whether this machine has it.
    #[must_use]
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return match self {
            Self::Avx512Vnni => Self::Avx512.is_available() && is_x86_feature_detected!("avx512vnni"),
            Self::Avx512 => pulp::x86::V4::is_available(),
            Self::Avx2 => pulp::x86::V3::is_available() && is_x86_feature_detected!("f16c"),
            Self::Neon => false,
            Self::Portable => true,
        };
        #[cfg(target_arch = "aarch64")]
        return match self {
            Self::Neon => pulp::aarch64::Neon::is_available(),
            Self::Avx512Vnni | Self::Avx512 | Self::Avx2 => false,
            Self::Portable => true,
        };
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        return self == Self::Portable;
    }

    /// Runs `op` compiled for this instruction set; for the portable one where this machine lacks it.
    pub(crate) fn dispatch<Op: WithSimd>(self, op: Op) -> Op::Output {
        #[cfg(target_arch = "x86_64")]
        {
            let wide = matches!(self, Self::Avx512Vnni | Self::Avx512);
            if let Some(simd) = pulp::x86::V4::try_new().filter(|_| wide) {
                return Simd::vectorize(simd, op);
            }
            if let Some(simd) = pulp::x86::V3::try_new().filter(|_| self == Self::Avx2) {
                return Simd::vectorize(simd, op);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(simd) = pulp::aarch64::Neon::try_new().filter(|_| self == Self::Neon) {
            return Simd::vectorize(simd, op);
        }
        Simd::vectorize(pulp::Scalar, op)
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Isa {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = || Self::available().map(Self::name).collect::<Vec<_>>().join(", ");
        let isa = Self::ALL.into_iter().find(|isa| isa.name() == name);
        isa.filter(|isa| isa.is_available()).ok_or_else(|| {
            let what = if isa.is_some() { "this machine has no instruction set" } else { "unknown instruction set" };
            Error::usage(format!("{what} '{name}'"), format!("choose one of {}", known()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_refused() {
        for isa in Isa::available() {
            assert_eq!(isa.name().parse::<Isa>().unwrap(), isa);
        }
        assert!("mmx".parse::<Isa>().unwrap_err().to_string().contains("unknown instruction set 'mmx'"));
        let other = if cfg!(target_arch = "x86_64") { "neon" } else { "avx2" };
        assert!(other.parse::<Isa>().unwrap_err().to_string().contains("has no instruction set"));
    }

    #[test]
    fn portable_is_always_there_and_last() {
        assert_eq!(Isa::available().last(), Some(Isa::Portable));
    }

    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }

    #[test]
    fn each_set_has_its_own_width() {
        for isa in Isa::available() {
            let lanes = match isa {
                Isa::Avx512Vnni | Isa::Avx512 => 16,
                Isa::Avx2 => 8,
                Isa::Neon => 4,
                Isa::Portable => 1,
            };
            assert_eq!(isa.dispatch(Lanes), lanes, "{isa}");
        }
    }
}
