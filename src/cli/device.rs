//! The one place where the device that the user asks for becomes a backend.

use std::str::FromStr;

use biollmnet::backend::Cuda;
use biollmnet::error::{Error, Result};
use biollmnet::ops::linear::Precision;

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The best device that this binary can use here.
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA device by ordinal.
    Cuda(usize),
}

impl FromStr for Device {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            other => other
                .strip_prefix("cuda:")
                .and_then(|n| n.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("'{other}' is not one of auto, cpu, cuda, cuda:N")),
        }
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

/// A device that can be computed on.
#[derive(Debug, Clone)]
pub enum Opened {
    /// The CPU.
    Cpu,
    /// A CUDA device.
    Cuda(Cuda),
}

impl std::fmt::Display for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("the CPU"),
            Self::Cuda(cuda) => cuda.info().fmt(f),
        }
    }
}

impl Opened {
    /// Tokens that are computed together where nothing else is asked for: what the last cache of a CPU holds, or whole
    /// waves of tiles on a CUDA device.
    pub fn tokens_together(&self) -> usize {
        match self {
            Self::Cpu => 2048,
            Self::Cuda(cuda) => cuda.whole_wave_tokens(),
        }
    }

    /// Refuses a precision that users have on other devices only.
    pub fn check_precision(&self, precision: Precision) -> Result<()> {
        match (self, precision) {
            (Self::Cpu, Precision::Fp8) => Err(Error::data(
                "--precision fp8 is computed on CUDA devices of compute capability 9.0 only",
                "choose --precision f32, f16 or int8, or --device cuda on a machine that has one",
            )),
            _ => Ok(()),
        }
    }
}

impl Device {
    /// Opens the device; `auto` takes the first CUDA device, else the CPU, and tells `note` which and why. There is no
    /// other fall-back.
    pub fn open(self, note: impl FnOnce(String)) -> Result<Opened> {
        match self {
            Self::Cpu => Ok(Opened::Cpu),
            Self::Cuda(ordinal) => Cuda::open(ordinal).map(Opened::Cuda),
            Self::Auto => Ok(match Cuda::open(0) {
                Ok(cuda) => {
                    note(format!("computing on {}", cuda.info()));
                    Opened::Cuda(cuda)
                }
                Err(reason) => {
                    note(format!("computing on the CPU: {reason}"));
                    Opened::Cpu
                }
            }),
        }
    }

    /// Refuses a CUDA device for `work`, which this version does on the CPU.
    pub fn check_cpu(self, work: &str) -> Result<()> {
        match self {
            Self::Auto | Self::Cpu => Ok(()),
            Self::Cuda(_) => Err(Error::data(
                format!("device {self} was asked for, and {work} is computed on the CPU in this version"),
                "use --device cpu or --device auto; embed, train, evaluate, predict, screen and bench compute on CUDA devices",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_refused() {
        for name in ["auto", "cpu", "cuda:0", "cuda:17"] {
            assert_eq!(name.parse::<Device>().unwrap().to_string(), name);
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for name in ["gpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
            assert!(name.parse::<Device>().is_err(), "{name}");
        }
    }
}
