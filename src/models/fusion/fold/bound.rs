//! How far a device's logit of a pair can be from the exact one: a proven bound, so that what it rules out is out.
//!
//! Folded rows are computed in f64 and rounded once, and what that moved them by is measured. From there on errors are
//! bounded in the Euclidean norm: a sum of d products in f32, in any order and with or without fused multiply-adds, is
//! within `γ(d)·Σ|w·x|` of the exact one, `γ(n) = n·u/(1 − n·u)`, `u = 2⁻²⁴` (Higham, Accuracy and Stability of Numerical
//! Algorithms, 2002, section 3.1); over the outputs of a layer that is `γ(d)·‖W‖_F·‖x‖`. An error that comes in grows by
//! ‖W‖₂ at most, and ReLU lets none grow. The bias and the rounding of a weight count as two more terms.

use serde::{Deserialize, Serialize};

use super::Fold;
use super::dense::Magnitude;
use crate::ops::pair_score::PairForm;

/// Largest relative error of a rounding to f32.
const U: f64 = 1.0 / (1 << 24) as f64;
/// Largest error of a device's σ.
const LOGISTIC: f64 = 1.0 / (1 << 20) as f64;
/// Beyond this a half overflows.
const LARGEST_HALF: f64 = 60_000.0;
/// Half the distance of the smallest halves.
const HALF_STEP: f64 = 1.0 / (1 << 25) as f64;
/// What a row below the normal halves loses at most, for a million columns.
const TINY: f64 = 1000.0 * HALF_STEP;

fn gamma(terms: usize) -> f64 {
    let nu = terms as f64 * U;
    nu / (1.0 - nu)
}

/// Size and error of a folded row, or more than those of each of some rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// Euclidean norm.
    pub norm: f64,
    /// Norm of the difference from the exact row.
    pub error: f64,
}

impl Size {
    /// Of a row that was rounded. Infinite where a number was lost to the range of its type.
    #[must_use]
    pub fn of(exact: &[f64], rounded: impl Iterator<Item = f32>) -> Self {
        let square = |x: f64| x * x;
        let (mut norm, mut error) = (0.0, 0.0);
        for (x, y) in exact.iter().zip(rounded) {
            norm += square(*x);
            error += square(x - f64::from(y));
        }
        // What f64 rounds in folding is far below what f32 rounds.
        let size = Self { norm: norm.sqrt(), error: error.sqrt() + 1e-12 * norm.sqrt() };
        if size.error.is_finite() { size } else { Self { error: f64::INFINITY, ..size } }
    }

    /// The larger of both.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { norm: self.norm.max(other.norm), error: self.error.max(other.error) }
    }

    /// Once it was rounded by this much.
    fn rounded(self, roundoff: f64) -> Self {
        let tiny = if roundoff > 2.0 * U { TINY } else { 0.0 };
        Self { error: self.error + roundoff * (self.norm + self.error) + tiny, ..self }
    }

    /// Behind a layer whose weights were rounded by `roundoff` beside the sums in f32.
    fn through(self, layer: &Magnitude, roundoff: f64) -> Self {
        let mut terms = gamma(layer.d_in + 2) + roundoff;
        if roundoff > 2.0 * U {
            // Weights below the normal halves lose up to 2⁻²⁵ each, whatever their size.
            terms += HALF_STEP * layer.root_size / layer.frobenius.max(f64::MIN_POSITIVE);
        }
        Self {
            norm: layer.spectral * self.norm + layer.bias,
            error: layer.spectral * self.error + terms * (layer.frobenius * (self.norm + self.error) + layer.bias),
        }
    }
}

/// Sizes of the folded rows of entities, one for each table of the form.
pub type Reach = [Size; 2];

/// The bound of one folded network on one device.
pub struct Bound {
    form: PairForm,
    head: Vec<Magnitude>,
    constant: f64,
    width: f64,
    roundoff: f64,
}

impl Bound {
    /// For a device that rounds what the head reads, and its weights, by `roundoff`.
    #[must_use]
    pub fn new(fold: &Fold, roundoff: f64) -> Self {
        Self {
            form: fold.form,
            head: fold.head.iter().map(super::Dense::magnitude).collect(),
            constant: fold.constant.abs(),
            width: fold.width as f64,
            roundoff,
        }
    }

    /// The device's logit of a pair: how large it can be, and how far from the exact one; infinite where nothing is known.
    #[must_use]
    pub fn logit(&self, entry: &Reach, target: &Reach) -> LogitBound {
        let ([a, a2], [b, b2]) = (*entry, *target);
        let (norm, error) = (a.norm + b.norm, a.error + b.error);
        match self.form {
            PairForm::SignedL1 => {
                let root = self.width.sqrt();
                let terms = self.constant + root * (a.norm + a.error + 2.0 * (b.norm + b.error));
                let error = root * error + (gamma(self.width as usize + 2) + U) * terms;
                LogitBound { largest: self.constant + root * norm, error }
            }
            PairForm::Relu => self.rest(Size { norm, error }.rounded(U)),
            PairForm::Gate => {
                let (gate, gate_error) = (a2.norm + b2.norm, a2.error + b2.error);
                let share = (gate_error + U * (gate + gate_error)) / 4.0 + LOGISTIC;
                // The mixture is one difference, one product and one sum.
                self.rest(Size { norm, error: error + share * (norm + error) }.rounded(4.0 * U))
            }
        }
    }

    fn rest(&self, x: Size) -> LogitBound {
        let mut x = x.rounded(self.roundoff);
        for layer in &self.head {
            if self.roundoff > 2.0 * U && x.norm + x.error > LARGEST_HALF {
                x.error = f64::INFINITY;
            }
            x = x.through(layer, self.roundoff).rounded(self.roundoff);
        }
        LogitBound { largest: x.norm, error: x.error }
    }
}

/// What is known of a logit.
#[derive(Debug, Clone, Copy)]
pub struct LogitBound {
    /// Its largest magnitude, without the error.
    pub largest: f64,
    /// Its largest error.
    pub error: f64,
}

impl LogitBound {
    /// The largest error of `φ(z)·w`, φ the logistic function or the identity, in a sum of `n` such terms.
    #[must_use]
    pub fn in_sum(self, weight: f64, logistic: bool, n: usize) -> f64 {
        let (largest, error) = if logistic {
            // σ is 1/4-Lipschitz and lies between 0 and 1.
            (1.0, (self.error / 4.0).min(1.0) + LOGISTIC)
        } else {
            (self.largest, self.error)
        };
        weight.abs() * (error + gamma(n + 2) * (largest + error))
    }
}
