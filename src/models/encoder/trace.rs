//! Looking at what lies between the ops.

use std::fmt;

use crate::backend::Matrix;
use crate::error::Result;

/// Which of the intermediate results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stage {
    /// The block, where it belongs to one.
    pub layer: Option<usize>,
    /// `embedding`, `final_norm`; of a block `attention_norm`, `qkv` (after rotation, queries scaled), `attention`
    /// (before its output projection), `attention_residual`, `ffn_norm`, `inner` (after the activation), `output`.
    pub name: &'static str,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            Some(layer) => write!(f, "layers.{layer}.{}", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// Is shown every intermediate result, `[n_tokens, width]`; on some devices rows of no meaning follow.
pub type Trace<'t, B, A = f32> = dyn FnMut(Stage, Matrix<'_, B, A>) -> Result<()> + 't;
