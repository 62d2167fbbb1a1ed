//! Which instructions multiply halves on a device.

use std::env;
use std::fmt;

use serde::Serialize;

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
        let asked = env::var("BIOLLMNET_TENSOR_CORES");
        if capability == Self::WGMMA_CAPABILITY && asked.as_deref() != Ok("mma") { Self::Wgmma } else { Self::Mma }
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
