//! Training the fusion network: trainer, stopping rules, calibration, checkpoint.

mod calibration;
mod checkpoint;
mod cohort;
mod config;
mod fit;
mod model;
mod notes;
mod predict;
mod published;
mod resident;
mod run;
mod score;
mod similarity;
mod standardise;
mod stop;
#[cfg(test)]
mod tests;
mod trainer;

pub use calibration::Platt;
pub use cohort::{Cohort, OutputStart, Run, Trained, Watch, bytes_of_run, in_cohorts};
pub use config::{NetworkConfig, Preset, TrainConfig};
pub use fit::{FitPlan, FitRun, Fitted, fit};
pub use model::{Model, ModelConfig};
pub use notes::TrainingNotes;
pub use predict::{Prediction, Scoring};
pub use resident::ResidentData;
pub use run::train;
pub use similarity::TrainIndex;
pub use standardise::{SideScale, Standardiser};
pub use stop::{Criterion, Stop};
pub use trainer::Trainer;
