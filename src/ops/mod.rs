//! The ops, one folder each: the contract and its checked door, tests written over any backend, and the CPU twin.

pub mod attention;
pub mod batch_norm;
pub mod bias_activation;
pub mod clock;
pub(crate) mod elementwise;
pub mod embed_tokens;
pub mod gate;
pub mod gated_fusion;
pub mod gather_pairs;
pub mod gemm;
pub mod gin_aggregate;
pub mod layer_norm;
pub mod linear;
pub mod pair_loss;
pub mod pair_score;
pub mod segment_mean;
pub mod weight_update;

use crate::backend::{Memory, Real};

macro_rules! ops_of_a_device {
    ($(#[$doc:meta])* $name:ident$(<$t:ident: $bound:ident = $default:ty>)?: $($op:path),+ $(,)?) => {
        $(#[$doc])*
        pub trait $name$(<$t: $bound = $default>)?: Memory $(+ $op)+ {}
        impl<$($t: $bound,)? B: Memory $(+ $op)+> $name$(<$t>)? for B {}
    };
}
ops_of_a_device!(
    /// The ops that trained networks run on: encoders of sequences and molecules, the fusion network,
    /// and screening.
    Backend:
    attention::Attention,
    batch_norm::BatchNorm,
    embed_tokens::EmbedTokens,
    gated_fusion::GatedFusion,
    gin_aggregate::GinAggregate,
    layer_norm::e4m3::LayerNormE4m3,
    layer_norm::LayerNorm,
    linear::e4m3::LinearE4m3,
    linear::Linear,
    pair_score::PairScore,
    segment_mean::SegmentMean,
);
ops_of_a_device!(
    /// The ops that the fusion network is trained by, in f32 on every device.
    TrainingBackend<T: Real = f32>:
    bias_activation::BiasActivation<T>,
    gate::Gate<T>,
    gather_pairs::GatherPairs,
    gemm::Gemm<T>,
    pair_loss::PairLoss<T>,
    weight_update::WeightUpdate<T>,
);
