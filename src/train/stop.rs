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
    /// All epochs are run and the number of epochs is chosen by the inner skill (MCC, Pearson or macro AUROC), averaged
    /// over ten epochs; then the network is fitted again on the whole training part for that many epochs. In a
    /// regression the bias of the last layer starts at the mean training label.
    ///
    /// Loss-based stopping ends while the ranking still improves: the loss grows with the confidence of a few wrong
    /// pairs. A last bias that is drawn leaves a regression on a hundred pairs further off than the training mean.
    /// `docs/DESIGN.md` has the comparisons that chose this rule, made without a test fold.
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
    /// MCC, Pearson correlation or macro AUROC, as the task is; larger is better.
    Skill,
}

impl Criterion {
    /// The watched value, larger = better; `None` = undefined for these labels.
    ///
    /// `logits` and `labels` are `[n, n_labels]`, `loss` is their mean loss.
    #[must_use]
    pub fn value(self, task: Task, loss: f64, logits: &[f32], labels: &[f32], n_labels: usize) -> Option<f64> {
        if self == Self::Loss {
            return Some(-loss);
        }
        let logits: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
        match task {
            Task::Binary => {
                let labels: Vec<bool> = labels.iter().map(|&y| y > 0.5).collect();
                metrics::Confusion::at(&labels, &logits, 0.0).mcc()
            }
            Task::Regression => {
                let labels: Vec<f64> = labels.iter().map(|&y| f64::from(y)).collect();
                metrics::regression_metrics(&labels, &logits).get("Pearson").copied().flatten()
            }
            Task::MultiLabel => {
                metrics::multi_label_metrics(labels, &logits, n_labels).get("AUROC_macro").copied().flatten()
            }
        }
    }
}
