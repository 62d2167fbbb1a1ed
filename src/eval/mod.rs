//! Evaluation that an honest reviewer would accept: metrics, baselines, protocols, intervals and a verdict in words.

pub mod assemble;
pub mod baselines;
pub mod bootstrap;
pub mod figures;
mod networks;
mod overview;
pub mod result;
pub mod run;
pub mod scores;
pub mod significance;
pub mod verdict;
