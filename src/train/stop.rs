//! When to stop, and which epoch's weights to keep.

use serde::{Deserialize, Serialize};

use crate::data::Task;
use crate::metrics;

/// The stopping rule of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Stop {
    /// All epochs, last weights; the inner part is trained on too.
    Fixed,
    /// Stop after N epochs without a smaller inner loss; weights of the best epoch.
    Patience(usize),
    /// See [`Criterion`] and `docs/DESIGN.md`: the rule that loses nothing to early stopping.
    Default,
}

impl std::str::FromStr for Stop {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fixed" => Ok(Self::Fixed),
            "default" => Ok(Self::Default),
            other => other
                .strip_prefix("patience:")
                .and_then(|n| n.parse().ok())
                .filter(|&n| n > 0)
                .map(Self::Patience)
                .ok_or_else(|| format!("'{other}' is not one of fixed, patience:N, default")),
        }
    }
}

impl TryFrom<String> for Stop {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Stop> for String {
    fn from(stop: Stop) -> Self {
        stop.to_string()
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed => f.write_str("fixed"),
            Self::Patience(n) => write!(f, "patience:{n}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What is watched after each epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// Mean loss; smaller is better.
    Loss,
    /// Ranking on the watched rows: AUROC, macro AUROC or Pearson; larger is better.
    Ranking,
    /// What the published code picks on: MCC or Pearson; larger is better.
    Published,
}

impl Criterion {
    /// The watched value, larger = better; `None` = undefined for these labels.
    ///
    /// `logits` and `labels` are `[n, n_labels]`, `loss` is their mean loss.
    #[must_use]
    pub fn value(self, task: Task, loss: f64, logits: &[f32], labels: &[f32], n_labels: usize) -> Option<f64> {
        let logits = || logits.iter().map(|&z| f64::from(z)).collect::<Vec<_>>();
        match (self, task) {
            (Self::Loss, _) => Some(-loss),
            (_, Task::Binary) => {
                let labels: Vec<bool> = labels.iter().map(|&y| y > 0.5).collect();
                let name = if self == Self::Ranking { "AUROC" } else { "MCC" };
                metrics::binary_metrics(&labels, &logits(), 0.0).get(name).copied().flatten()
            }
            (_, Task::Regression) => {
                let labels: Vec<f64> = labels.iter().map(|&y| f64::from(y)).collect();
                metrics::regression_metrics(&labels, &logits()).get("Pearson").copied().flatten()
            }
            (_, Task::MultiLabel) => {
                metrics::multi_label_metrics(labels, &logits(), n_labels).get("AUROC_macro").copied().flatten()
            }
        }
    }
}
