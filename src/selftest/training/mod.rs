//! The ops of a training, for two or three runs at a time. They are in f32 on every device.
//!
//! Matrices lie at distances and offsets at which rows begin at whole pieces of 16 bytes, and at others: kernels read
//! the two in different ways. What lies between the matrices belongs to the result: it must stay as it was.

mod bias_activation;
mod gate;
mod gather_pairs;
mod gemm;
mod pair_loss;
mod weight_update;

use super::Subject;
use super::arrangement::Arrangement;
use super::bench::Bench;

/// What lies between the matrices of a result.
const BETWEEN: f32 = -7.0;

/// Matrices that begin at whole pieces of 16 bytes where their rows are whole pieces, and such that do not.
fn arrangements(shape: [usize; 3]) -> [Arrangement; 2] {
    [(0, 0), (3, 5)].map(|(offset, gap)| Arrangement { shape, offset, gap })
}

fn note(arrangement: Arrangement) -> &'static str {
    if arrangement.gap == 0 { "" } else { ", gaps" }
}

pub(super) fn check<B: Subject>(bench: &mut Bench<'_, B>) {
    gather_pairs::check(bench);
    gemm::check(bench);
    bias_activation::check(bench);
    gate::check(bench);
    pair_loss::check(bench);
    weight_update::check(bench);
}
