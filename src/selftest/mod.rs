//! Every op of a device beside its definition in f64 and beside the CPU, then small networks as a whole: what a user
//! runs on a new machine, and what the tests run on the stand-in for a device.
//!
//! Bounds. f32: a few roundings per number, from the length of the sums; stated at each op. f16: twice the error of the
//! plain implementation in f16, one that rounds every elementary step. Besides, what no number shows: nothing beside a
//! result is written, a row has the same bits in any batch, and a NaN stays in its sequence.

mod arrangement;
mod attention;
mod batch_norm;
mod bench;
mod checkpoint;
mod embed_tokens;
mod encoder;
mod encoder_e4m3;
mod gated_fusion;
mod gin_aggregate;
mod golden;
mod instructions;
mod layer_norm;
mod layer_norm_e4m3;
mod linear;
mod linear_e4m3;
mod linear_rope_e4m3;
mod molecules;
mod numbers;
mod pair_score;
mod reference;
mod rope;
mod segment_mean;
#[cfg(test)]
mod tests;
mod training;

use half::f16;

use self::bench::Bench;
pub use self::bench::Check;
use crate::backend::cuda::TensorCores;
use crate::backend::{Activation, Cpu, Cuda};
use crate::ops::{Backend, TrainingBackend};

/// A device that can be tested.
pub trait Subject: Backend + TrainingBackend {
    /// Multiprocessors: work that fills them is cut in other tiles than less work.
    fn multiprocessors(&self) -> usize;
    /// Whether it multiplies numbers of eight bits.
    fn has_e4m3(&self) -> bool;
    /// The CUDA device that it is, if it is one.
    fn cuda(&self) -> Option<&Cuda> {
        None
    }
}

impl Subject for Cpu {
    fn multiprocessors(&self) -> usize {
        1
    }
    fn has_e4m3(&self) -> bool {
        true
    }
}

impl Subject for Cuda {
    fn multiprocessors(&self) -> usize {
        self.info().multiprocessors
    }
    fn has_e4m3(&self) -> bool {
        self.info().tensor_cores == TensorCores::Wgmma
    }
    fn cuda(&self) -> Option<&Cuda> {
        Some(self)
    }
}

/// Runs every case whose op, type and size hold the text `filter`, and shows each to `seen` when it is done. After a
/// case that the device did not survive there are no others.
pub fn run<B: Subject>(device: &B, filter: &str, seen: &mut dyn FnMut(&Check)) -> Vec<Check> {
    let mut bench = Bench::new(device, filter, seen);
    instructions::check(&mut bench);
    of_type::<B, f32>(&mut bench);
    of_type::<B, f16>(&mut bench);
    if device.has_e4m3() {
        layer_norm_e4m3::check(&mut bench);
        linear_e4m3::check(&mut bench);
        linear_rope_e4m3::check(&mut bench);
        encoder_e4m3::check(&mut bench);
    }
    training::check(&mut bench);
    bench.into_checks()
}

/// Ops in the order in which the networks use them, then the networks. An op joins the self-test here.
fn of_type<B: Subject, A: Activation>(bench: &mut Bench<'_, B>) {
    embed_tokens::check::<B, A>(bench);
    layer_norm::check::<B, A>(bench);
    linear::check::<B, A>(bench);
    rope::check::<B, A>(bench);
    attention::check::<B, A>(bench);
    segment_mean::check::<B, A>(bench);
    gin_aggregate::check::<B, A>(bench);
    batch_norm::check::<B, A>(bench);
    gated_fusion::check::<B, A>(bench);
    pair_score::check::<B, A>(bench);
    encoder::check::<B, A>(bench);
    molecules::check::<B, A>(bench);
    golden::check::<B, A>(bench);
}
