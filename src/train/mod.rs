//! Training the fusion network: trainer, stopping rules, calibration, checkpoint.

mod batch;
mod calibration;
mod checkpoint;
mod config;
mod fit;
mod model;
mod predict;
mod published;
mod similarity;
mod standardise;
mod stop;
mod trainer;

pub use batch::{gate_shares, score};
pub use calibration::Platt;
pub use config::{NetworkConfig, Preset, TrainConfig};
pub use fit::{FitPlan, Fitted, fit};
pub use model::{Model, ModelConfig};
pub use predict::{Prediction, Scoring};
pub use similarity::TrainIndex;
pub use standardise::{SideScale, Standardiser};
pub use stop::{Criterion, Stop};
pub use trainer::{OutputStart, Trained, Trainer, Training, Watch, train};
