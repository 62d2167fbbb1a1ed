//! `demo`: the whole job on a small synthetic data set, without a download.

mod data;

pub use data::DemoData;
