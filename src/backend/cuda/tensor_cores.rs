//! Which instructions multiply halves on a device.

use std::env;
use std::fmt;

use serde::Serialize;

use crate::error::{Error, Result};

const VARIABLE: &str = "BIOLLMNET_TENSOR_CORES";

/// The path of `attention` and `linear` in half precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TensorCores {
    /// Products of a warp, `mma.sync`, operands by `cp.async`: compute capability 8.0 and later.
    Mma,
    /// Products of a warpgroup, `wgmma`, operands by the copying unit: compute capability 9.0 alone.
    Wgmma,
}

impl TensorCores {
    /// The one compute capability that has `wgmma`.
    pub(super) const WGMMA_CAPABILITY: (i32, i32) = (9, 0);
    /// Widths of heads that the kernels of `wgmma` have instances for, in attention and in the rotation behind a product.
    pub const WGMMA_HEADS: [usize; 2] = [64, 128];

    /// Those that a device of this compute capability works with; `BIOLLMNET_TENSOR_CORES=mma` asks for the older ones.
    #[must_use]
    pub fn of(capability: (i32, i32)) -> Self {
        if capability == Self::WGMMA_CAPABILITY && env::var_os(VARIABLE).is_none_or(|asked| asked != "mma") {
            Self::Wgmma
        } else {
            Self::Mma
        }
    }

    /// # Errors
    /// When `BIOLLMNET_TENSOR_CORES` asks for something else.
    pub(super) fn check_environment() -> Result<()> {
        match env::var_os(VARIABLE).filter(|asked| asked != "mma") {
            None => Ok(()),
            Some(asked) => Err(Error::usage(
                format!("{VARIABLE} is '{}'", asked.to_string_lossy()),
                "set it to mma for products of warps, or leave it unset",
            )),
        }
    }
}

impl fmt::Display for TensorCores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mma => "mma.sync",
            Self::Wgmma => "wgmma",
        })
    }
}
