//! The ops, one folder each: the contract and its checked door, tests written over any backend, and the CPU twin.

pub mod adam;
pub mod batch_norm;
pub mod bias_activation;
pub mod gate;
pub mod gemm;
pub mod gin_aggregate;
pub mod linear;
pub mod pair_loss;

use crate::backend::Memory;

/// All ops of one device: what models are written over.
pub trait Backend:
    Memory
    + gemm::Gemm
    + bias_activation::BiasActivation
    + gate::Gate
    + pair_loss::PairLoss
    + adam::Adam
    + linear::Linear
    + gin_aggregate::GinAggregate
    + batch_norm::BatchNorm
{
}

impl<B> Backend for B where
    B: Memory
        + gemm::Gemm
        + bias_activation::BiasActivation
        + gate::Gate
        + pair_loss::PairLoss
        + adam::Adam
        + linear::Linear
        + gin_aggregate::GinAggregate
        + batch_norm::BatchNorm
{
}
