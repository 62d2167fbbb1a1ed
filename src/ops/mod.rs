//! The ops, one folder each: the contract and its checked door, tests written over any backend, and the CPU twin.

pub mod adam;
pub mod attention;
pub mod batch_norm;
pub mod bias_activation;
pub(crate) mod elementwise;
pub mod embed_tokens;
pub mod gate;
pub mod gated_fusion;
pub mod gemm;
pub mod gin_aggregate;
pub mod layer_norm;
pub mod linear;
pub mod pair_loss;
pub mod pair_score;
pub mod segment_mean;

use crate::backend::Memory;

macro_rules! ops_of_a_device {
    ($(#[$doc:meta])* $name:ident: $($op:path),+ $(,)?) => {
        $(#[$doc])*
        pub trait $name: Memory $(+ $op)+ {}
        impl<B: Memory $(+ $op)+> $name for B {}
    };
}
ops_of_a_device!(
    /// The ops that trained networks run on: encoders of sequences and molecules, and the fusion
    /// network.
    Backend:
    attention::Attention,
    batch_norm::BatchNorm,
    embed_tokens::EmbedTokens,
    gated_fusion::GatedFusion,
    gin_aggregate::GinAggregate,
    layer_norm::LayerNorm,
    linear::Linear,
    pair_score::PairScore,
    segment_mean::SegmentMean,
);
ops_of_a_device!(
    /// The ops that the fusion network is trained by.
    TrainingBackend:
    adam::Adam,
    bias_activation::BiasActivation,
    gate::Gate,
    gemm::Gemm,
    pair_loss::PairLoss,
);
