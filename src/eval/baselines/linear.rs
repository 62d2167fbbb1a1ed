//! Logistic and ridge regression by Newton's method: one solver, two losses.

use super::dense::{Cholesky, dot};
use super::design::Design;
use crate::error::Result;
use crate::metrics::probability;
use crate::progress::check_interrupt;

/// Gradient norm, relative to that of the start, at which the fit has converged.
const TOLERANCE: f64 = 1e-9;
const MOST_NEWTON_STEPS: usize = 200;
const MOST_CG_STEPS: usize = 2_000;
/// Conjugate-gradient steps from which a new preconditioner is cheaper than the old one.
const STALE: usize = 25;

/// What the margins m = X·w + b are compared with the targets by; `λ/2·‖w‖²` is added, the intercept is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// `Σ ln(1 + e^m) − y·m`.
    Logistic,
    /// `½ Σ (m − y)²`.
    Squared,
}

impl Loss {
    fn value(self, m: f64, y: f64) -> f64 {
        match self {
            Self::Logistic => m.max(0.0) + (-m.abs()).exp().ln_1p() - y * m,
            Self::Squared => 0.5 * (m - y).powi(2),
        }
    }
    fn slope(self, m: f64, y: f64) -> f64 {
        match self {
            Self::Logistic => probability(m) - y,
            Self::Squared => m - y,
        }
    }
    fn curvature(self, m: f64) -> f64 {
        match self {
            Self::Logistic => probability(m) * probability(-m),
            Self::Squared => 1.0,
        }
    }
    /// The best intercept without features.
    fn start(self, targets: &[f64]) -> f64 {
        let (sum, n) = (targets.iter().sum::<f64>(), targets.len() as f64);
        match self {
            Self::Logistic => ((sum + 0.5) / (n - sum + 0.5)).ln(),
            Self::Squared => sum / n.max(1.0),
        }
    }
}

/// Weights of all columns, then the intercept, that minimise `Σ loss + λ/2·‖w‖²`; `lambda > 0`.
///
/// Each Newton step is solved by conjugate gradients, preconditioned by the Cholesky factor of each block's own part
/// of the Hessian: exact for one block, close for two sides that pairs join almost at random.
///
/// # Errors
/// [`Interrupted`](crate::error::Error::Interrupted) after a signal.
pub(super) fn fit(design: &Design, targets: &[f64], loss: Loss, lambda: f64) -> Result<Vec<f64>> {
    let width = design.width();
    let mut w = vec![0.0; width + 1];
    w[width] = loss.start(targets);
    let mut margins = design.times(&w);
    let mut preconditioner: Option<Preconditioner> = None;
    let mut first_norm = None;
    for _ in 0..MOST_NEWTON_STEPS {
        let slopes: Vec<f64> = margins.iter().zip(targets).map(|(&m, &y)| loss.slope(m, y)).collect();
        let mut gradient = design.transposed_times(&slopes);
        penalise(&mut gradient, &w, lambda);
        let norm = norm(&gradient);
        let first = *first_norm.get_or_insert(norm);
        // Below the second bound the gradient is rounding: n slopes of size ≤ 1, each exact to 1e-16.
        if norm <= TOLERANCE * first || norm <= 1e-13 * targets.len() as f64 {
            break;
        }
        let curvatures: Vec<f64> = margins.iter().map(|&m| loss.curvature(m)).collect();
        let fresh = preconditioner.get_or_insert_with(|| Preconditioner::new(design, &curvatures, lambda));
        let precision = (norm / first).sqrt().min(0.1);
        let (step, taken) = newton_step(design, &curvatures, lambda, &gradient, fresh, precision)?;
        if taken > STALE {
            preconditioner = None;
        }
        let along = design.times(&step);
        let Some(length) = step_length(loss, targets, lambda, (&w, &margins), (&step, &along), &gradient) else {
            break;
        };
        for (w, step) in w.iter_mut().zip(&step) {
            *w += length * step;
        }
        // Not updated by `along`: sums of steps would drift from X·w.
        margins = design.times(&w);
    }
    Ok(w)
}

/// Adds λ·w to all but the intercept.
fn penalise(out: &mut [f64], w: &[f64], lambda: f64) {
    let width = out.len() - 1;
    for (out, w) in out[..width].iter_mut().zip(w) {
        *out += lambda * w;
    }
}

fn norm(v: &[f64]) -> f64 {
    dot(v, v).sqrt()
}

/// Solves `H·p = −g` to a relative residual of `precision`; also tells how many products it took.
fn newton_step(
    design: &Design,
    curvatures: &[f64],
    lambda: f64,
    gradient: &[f64],
    preconditioner: &Preconditioner,
    precision: f64,
) -> Result<(Vec<f64>, usize)> {
    let mut p = vec![0.0; gradient.len()];
    let mut residual: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut z = preconditioner.solve(&residual);
    let mut direction = z.clone();
    let mut rz = dot(&residual, &z);
    let enough = precision * norm(&residual);
    for taken in 0..MOST_CG_STEPS {
        if norm(&residual) <= enough || rz <= 0.0 {
            return Ok((p, taken));
        }
        check_interrupt()?;
        let mut along = design.times(&direction);
        along.iter_mut().zip(curvatures).for_each(|(value, curvature)| *value *= curvature);
        let mut product = design.transposed_times(&along);
        penalise(&mut product, &direction, lambda);
        let scale = rz / dot(&direction, &product);
        for i in 0..p.len() {
            p[i] += scale * direction[i];
            residual[i] -= scale * product[i];
        }
        z = preconditioner.solve(&residual);
        let next = dot(&residual, &z);
        for (direction, z) in direction.iter_mut().zip(&z) {
            *direction = z + next / rz * *direction;
        }
        rz = next;
    }
    Ok((p, MOST_CG_STEPS))
}

/// The longest of 1, ½, ¼, … that lowers the objective enough (Armijo); `None` when rounding hides any descent.
fn step_length(
    loss: Loss,
    targets: &[f64],
    lambda: f64,
    (w, margins): (&[f64], &[f64]),
    (step, along): (&[f64], &[f64]),
    gradient: &[f64],
) -> Option<f64> {
    let width = w.len() - 1;
    let objective = |length: f64| {
        let fit: f64 = margins.iter().zip(along).zip(targets).map(|((&m, &a), &y)| loss.value(m + length * a, y)).sum();
        let penalty: f64 = w[..width].iter().zip(step).map(|(&w, &s)| (w + length * s).powi(2)).sum();
        fit + 0.5 * lambda * penalty
    };
    let (now, descent) = (objective(0.0), dot(gradient, step));
    let rounding = 1e-13 * now.abs();
    (0..40).map(|halvings| 0.5f64.powi(halvings)).find(|&length| {
        let expected = 1e-4 * length * descent;
        objective(length) <= now + expected + rounding
    })
}

/// Cholesky factors of the diagonal blocks of the Hessian.
struct Preconditioner {
    blocks: Vec<(usize, Cholesky)>,
    intercept: f64,
}

impl Preconditioner {
    fn new(design: &Design, curvatures: &[f64], lambda: f64) -> Self {
        let blocks = design
            .blocks
            .iter()
            .map(|block| {
                let dim = block.distinct.dim;
                let mut gram = block.distinct.gram(&block.per_entity(curvatures));
                for i in 0..dim {
                    gram[i * dim + i] += lambda;
                }
                (dim, Cholesky::new(gram, dim, lambda * 1e-3))
            })
            .collect();
        Self { blocks, intercept: curvatures.iter().sum::<f64>().max(f64::MIN_POSITIVE) }
    }

    fn solve(&self, residual: &[f64]) -> Vec<f64> {
        let mut z = residual.to_vec();
        let mut rest = z.as_mut_slice();
        for (dim, factor) in &self.blocks {
            let (own, others) = rest.split_at_mut(*dim);
            factor.solve(own);
            rest = others;
        }
        rest[0] /= self.intercept;
        z
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::baselines::dense::Matrix;
    use crate::eval::baselines::design::Block;

    /// 40 pairs of 7 × 5 entities with 3 and 2 features.
    fn design() -> (Design, Vec<f64>) {
        let block = |dim: usize, n: usize, stride: usize| Block {
            distinct: Matrix { dim, values: (0..n * dim).map(|i| ((i * 37 + dim) % 11) as f64 / 5.0 - 1.0).collect() },
            of_pair: (0..40).map(|i| (i * stride % n) as u32).collect(),
        };
        let targets = (0..40).map(|i| f64::from(u8::from(i * i % 7 < 3))).collect();
        (Design { blocks: vec![block(3, 7, 1), block(2, 5, 3)], n_pairs: 40 }, targets)
    }

    fn objective(design: &Design, targets: &[f64], loss: Loss, lambda: f64, w: &[f64]) -> f64 {
        let fit: f64 = design.times(w).iter().zip(targets).map(|(&m, &y)| loss.value(m, y)).sum();
        fit + 0.5 * lambda * w[..w.len() - 1].iter().map(|w| w * w).sum::<f64>()
    }

    #[test]
    fn no_direction_leads_down_from_the_optimum() {
        let (design, targets) = design();
        for loss in [Loss::Logistic, Loss::Squared] {
            for lambda in [1e-6, 1.0, 100.0] {
                let w = fit(&design, &targets, loss, lambda).unwrap();
                let best = objective(&design, &targets, loss, lambda, &w);
                for i in 0..w.len() {
                    for h in [1e-3, -1e-3] {
                        let mut moved = w.clone();
                        moved[i] += h;
                        assert!(objective(&design, &targets, loss, lambda, &moved) >= best - 1e-13, "{loss:?} {i} {h}");
                    }
                }
            }
        }
    }

    #[test]
    fn separable_classes_stay_finite() {
        let design = Design::of_pairs(1, vec![-2.0, -1.0, 1.0, 2.0]);
        let w = fit(&design, &[0.0, 0.0, 1.0, 1.0], Loss::Logistic, 1e-6).unwrap();
        assert!(w[0] > 5.0 && w[0].is_finite() && w[1].abs() < 1e-6, "{w:?}");
        let one_class = fit(&design, &[1.0; 4], Loss::Logistic, 1.0).unwrap();
        assert!(one_class.iter().all(|w| w.is_finite()));
    }

    #[test]
    fn ridge_of_one_feature_is_its_formula() {
        let (x, y) = ([1.0, 2.0, 4.0], [1.0, 3.0, 2.0]);
        let w = fit(&Design::of_pairs(1, x.to_vec()), &y, Loss::Squared, 2.0).unwrap();
        let (mean_x, mean_y) = (7.0 / 3.0, 2.0);
        let covariance: f64 = x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        let variance: f64 = x.iter().map(|x| (x - mean_x).powi(2)).sum();
        assert!((w[0] - covariance / (variance + 2.0)).abs() < 1e-9);
        assert!((w[1] - (mean_y - w[0] * mean_x)).abs() < 1e-9);
    }
}
