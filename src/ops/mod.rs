//! The ops, one folder each: the contract and its checked door, tests written over any backend, and the CPU twin.

pub mod adam;
pub mod attention;
pub mod batch_norm;
pub mod bias_activation;
pub(crate) mod elementwise;
pub mod embed_tokens;
pub mod gate;
pub mod gemm;
pub mod gin_aggregate;
pub mod layer_norm;
pub mod linear;
pub mod pair_loss;
pub mod rope;
pub mod segment_mean;

use crate::backend::Memory;

macro_rules! backend {
    ($($op:path),+ $(,)?) => {
        /// All ops of one device: what models are written over.
        pub trait Backend: Memory $(+ $op)+ {}
        impl<B: Memory $(+ $op)+> Backend for B {}
    };
}
backend!(
    adam::Adam,
    attention::Attention,
    batch_norm::BatchNorm,
    bias_activation::BiasActivation,
    embed_tokens::EmbedTokens,
    gate::Gate,
    gemm::Gemm,
    gin_aggregate::GinAggregate,
    layer_norm::LayerNorm,
    linear::Linear,
    pair_loss::PairLoss,
    rope::Rope,
    segment_mean::SegmentMean,
);
