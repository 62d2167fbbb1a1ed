//! What a model must beat before it has learned anything about interactions.
//!
//! Every baseline is fitted on the whole outer training part. Vectors are standardised on the distinct training
//! entities, as for the network.

mod dense;
mod design;
mod identity;
mod length;
mod length_threshold;
mod linear;
mod majority;
mod nearest;
mod vectors;

pub use identity::{IdOnly, SequenceGroupOnly};
pub use length::LengthOnly;
pub use length_threshold::LengthThreshold;
pub use majority::Majority;
pub use nearest::Nearest;
pub use vectors::VectorsOnly;

use crate::data::{Dataset, Side, Task};
use crate::error::Result;

/// Rows of a data set.
pub type Rows<'a> = (&'a Dataset, &'a [u32]);

/// A predictor that is fitted and applied in one go.
pub trait Baseline: Sync + Send {
    /// Short stable name.
    fn name(&self) -> &'static str;
    /// Name for people.
    fn label(&self) -> &'static str;
    /// Fits on the rows `train` and predicts the rows `test`, by the first label column.
    ///
    /// Logits in classification (class threshold 0), values in regression. The two data sets may be different ones;
    /// their entities are matched by id or by sequence digest. Labels of `test` are not read; those of `train_rows`
    /// must be known.
    ///
    /// # Errors
    /// The vectors of the two sets differ in width.
    fn predict(&self, train: Rows<'_>, test: Rows<'_>) -> Result<Vec<f64>>;
}

/// Every baseline of a task, in table order.
#[must_use]
pub fn all(task: Task) -> Vec<Box<dyn Baseline>> {
    let mut baselines: Vec<Box<dyn Baseline>> = vec![
        Box::new(Majority),
        Box::new(IdOnly),
        Box::new(SequenceGroupOnly),
        Box::new(VectorsOnly::PARTNER),
        Box::new(VectorsOnly::RNA),
        Box::new(LengthOnly),
    ];
    if task != Task::Regression {
        baselines.push(Box::new(LengthThreshold));
    }
    baselines.push(Box::new(Nearest));
    baselines.push(Box::new(VectorsOnly::BOTH));
    baselines
}

const BOTH_SIDES: [Side; 2] = [Side::Partner, Side::Rna];

/// First labels of `rows`: 0 or 1 in classification.
fn targets(data: &Dataset, rows: &[u32]) -> Vec<f64> {
    rows.iter()
        .map(|&row| data.label(row as usize))
        .map(|label| if data.task == Task::Regression { f64::from(label) } else { f64::from(u8::from(label >= 0.5)) })
        .collect()
}

/// `ln((positive + prior) / (negative + prior))`.
fn log_odds(positive: f64, negative: f64, prior: f64) -> f64 {
    ((positive + prior) / (negative + prior)).ln()
}

#[cfg(test)]
mod tests;
