//! Prediction of RNA–protein, RNA–RNA and RNA–small-molecule interactions after BioLLMNet
//! (Briefings in Bioinformatics 2025, doi 10.1093/bib/bbaf549).
//!
//! Data flows one way: sequences → vectors ([`features`]) → store ([`embed`]) → pairs ([`data`]) →
//! gated fusion network ([`models`], [`train`]) → scores ([`eval`], [`screen`]) → [`report`].

#![deny(unsafe_code)]

pub mod backend;
pub mod data;
pub mod embed;
pub mod error;
pub mod eval;
pub mod features;
pub mod files;
pub mod metrics;
pub mod models;
pub mod mol;
pub mod ops;
pub mod progress;
pub mod report;
pub mod scale;
pub mod screen;
pub mod selftest;
pub mod seq;
pub mod tokens;
pub mod train;
pub mod weights;
