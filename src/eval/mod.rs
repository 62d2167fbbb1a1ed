//! Evaluation that an honest reviewer would accept: metrics, baselines, protocols, intervals and a verdict in words.

pub mod baselines;
pub mod bootstrap;
mod overview;
pub mod result;
pub mod significance;
