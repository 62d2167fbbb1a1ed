//! The definition in any element type, for what no training waits for: gradients that are looked at, steps in f64.

use super::cpu::{Constants, Outer, Targets};
use crate::backend::Real;

/// The rows of the gradient, all of them.
pub(super) fn gradient_rows<T: Real>(outer: &Outer<'_, T>, rows: &mut [T]) {
    for (output, row) in rows.chunks_exact_mut(outer.width.max(1)).enumerate() {
        gradient_row(outer, output, row);
    }
}

fn gradient_row<T: Real>(outer: &Outer<'_, T>, output: usize, row: &mut [T]) {
    row.fill(T::ZERO);
    for (a, x) in outer.a.chunks_exact(outer.outputs).zip(outer.x.chunks_exact(outer.width)) {
        for (sum, &x) in row.iter_mut().zip(x) {
            *sum += a[output] * x;
        }
    }
}

/// A step of Adam for the outputs from `first` on.
pub(super) fn plain_step<T: Real>(outer: &Outer<'_, T>, first: usize, c: Constants<T>, targets: Targets<'_, T>) {
    let width = outer.width;
    let mut gradient = vec![T::ZERO; width];
    let Targets { p, m, v } = targets;
    let rows = p.chunks_exact_mut(width).zip(m.chunks_exact_mut(width)).zip(v.chunks_exact_mut(width));
    for (output, ((p, m), v)) in rows.enumerate() {
        gradient_row(outer, first + output, &mut gradient);
        for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(&gradient) {
            *m = c.first[0] * *m + c.first[1] * g;
            *v = c.second[0] * *v + c.second[1] * g * g;
            *p += -(c.rate * *m / (v.sqrt() * c.root + c.epsilon));
        }
    }
}
