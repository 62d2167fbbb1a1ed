//! The same answer for every pair.

use super::{Baseline, Rows, log_odds, targets};
use crate::data::Task;
use crate::error::Result;

/// The log-odds of the training labels (½ added to both counts), or their mean.
#[derive(Debug, Clone, Copy)]
pub struct Majority;

impl Baseline for Majority {
    fn name(&self) -> &'static str {
        "majority"
    }

    fn label(&self) -> &'static str {
        "Majority class or training mean"
    }

    fn predict(&self, (train, train_rows): Rows<'_>, (_test, test_rows): Rows<'_>) -> Result<Vec<f64>> {
        let targets = targets(train, train_rows);
        let (sum, n) = (targets.iter().sum::<f64>(), targets.len() as f64);
        let answer = match train.task {
            Task::Regression => sum / n.max(1.0),
            Task::Binary | Task::MultiLabel => log_odds(sum, n - sum, 0.5),
        };
        Ok(vec![answer; test_rows.len()])
    }
}
