//! What the lengths of the two sequences alone tell.

use super::design::{Design, Features};
use super::linear::{Loss, fit};
use super::{BOTH_SIDES, Baseline, Rows, targets};
use crate::data::Task;
use crate::error::Result;

/// Logistic or ridge regression (λ = 1) on both standardised log-lengths. An unknown length counts as 1.
#[derive(Debug, Clone, Copy)]
pub struct LengthOnly;

impl Baseline for LengthOnly {
    fn name(&self) -> &'static str {
        "length-only"
    }

    fn label(&self) -> &'static str {
        "Both lengths only"
    }

    fn predict(&self, (train, train_rows): Rows<'_>, (test, test_rows): Rows<'_>) -> Result<Vec<f64>> {
        let (fitted, tested) =
            Design::standardised(Features::LogLength, &BOTH_SIDES, (train, train_rows), (test, test_rows))?;
        let loss = if train.task == Task::Regression { Loss::Squared } else { Loss::Logistic };
        Ok(tested.times(&fit(&fitted, &targets(train, train_rows), loss, 1.0)?))
    }
}
