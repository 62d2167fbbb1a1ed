//! How to train, as `train` and `evaluate` are told it.

use std::path::PathBuf;

use biollmnet::error::Result;
use biollmnet::train::{Preset, Stop, TrainConfig};
use clap::{Args, ValueEnum};

/// Flags that fix a training.
#[derive(Debug, Args)]
pub struct TrainingFlags {
    /// Network, optimiser and batch of the published code: rna-protein, rna-rna or rna-molecule.
    #[arg(long, default_value = "rna-protein", value_name = "PRESET")]
    preset: Preset,
    /// TOML file whose keys are laid over the preset, or the word paper for the network of the paper's text.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Most epochs [default: the preset's, 100].
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Stopping rule: fixed (all epochs), patience:N (N epochs without a better inner loss) or default (number of
    /// epochs by the inner part, then a fit on all; a regression starts at the mean training label) [default: the
    /// preset's].
    #[arg(long, value_name = "RULE")]
    stop: Option<Stop>,
    /// Standardise the inputs on the training entities [default: on].
    #[arg(long, value_enum)]
    standardise: Option<Switch>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl TrainingFlags {
    /// The preset, with the file and then the flags laid over it.
    pub fn config(&self) -> Result<TrainConfig> {
        let mut config = TrainConfig::load(self.preset, self.config.as_deref())?;
        config.epochs = self.epochs.unwrap_or(config.epochs);
        config.stop = self.stop.unwrap_or(config.stop);
        config.standardise = self.standardise.map_or(config.standardise, |switch| switch == Switch::On);
        config.check()?;
        Ok(config)
    }
}
