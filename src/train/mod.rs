//! Training the fusion network: trainer, stopping rules, calibration, checkpoint.

mod batch;
mod calibration;
mod config;
mod standardise;
mod stop;
mod trainer;

pub use batch::score;
pub use calibration::Platt;
pub use config::{NetworkConfig, Preset, TrainConfig};
pub use standardise::{SideScale, Standardiser};
pub use stop::{Criterion, Stop};
pub use trainer::{Trained, Training, Watch, train};
