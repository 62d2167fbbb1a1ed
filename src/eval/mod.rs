//! Evaluation that an honest reviewer would accept: metrics, baselines, protocols, intervals and a verdict in words.

pub mod baselines;
pub mod result;
pub mod run;
