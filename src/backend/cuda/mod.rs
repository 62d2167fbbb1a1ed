//! The NVIDIA GPU.

pub mod images;
