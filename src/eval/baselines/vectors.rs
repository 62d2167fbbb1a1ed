//! Linear models of the vectors: what they give without any interaction.

use super::design::{Design, Features};
use super::linear::{Loss, fit};
use super::{BOTH_SIDES, Baseline, Rows, targets};
use crate::data::{Side, Task};
use crate::error::Result;

/// Logistic regression (`½‖w‖² + Σ BCE`) or ridge regression (λ = 100, values unscaled) on standardised vectors of one
/// side or of both, with a free intercept.
#[derive(Debug, Clone, Copy)]
pub struct VectorsOnly {
    name: &'static str,
    label: &'static str,
    sides: &'static [Side],
}

impl VectorsOnly {
    /// The partner alone.
    pub const PARTNER: Self =
        Self { name: "partner-only", label: "Linear, partner vectors only", sides: &[Side::Partner] };
    /// The RNA alone.
    pub const RNA: Self = Self { name: "rna-only", label: "Linear, RNA vectors only", sides: &[Side::Rna] };
    /// Both sides.
    pub const BOTH: Self = Self { name: "linear", label: "Linear, both vectors", sides: &BOTH_SIDES };
}

impl Baseline for VectorsOnly {
    fn name(&self) -> &'static str {
        self.name
    }

    fn label(&self) -> &'static str {
        self.label
    }

    fn predict(&self, (train, train_rows): Rows<'_>, (test, test_rows): Rows<'_>) -> Result<Vec<f64>> {
        let (fitted, tested) =
            Design::standardised(Features::Vector, self.sides, (train, train_rows), (test, test_rows))?;
        let (loss, lambda) =
            if train.task == Task::Regression { (Loss::Squared, 100.0) } else { (Loss::Logistic, 1.0) };
        Ok(tested.times(&fit(&fitted, &targets(train, train_rows), loss, lambda)?))
    }
}
