//! The gate that fuses two operands: `x = σ(g) ⊙ p + (1 − σ(g)) ⊙ r` (paper, Methods, "gated fusion").
//!
//! `p` is the partner, `r` the RNA. One row of `g` for all pairs is the static gate; one row per pair is the
//! input-dependent gate, whose logits are a linear layer of `[p | r]`; a row of zeros is the element-wise average.

mod cpu;
mod cuda;

use crate::backend::{Memory, Real, Stack, StackMut, expect_shape};
use crate::error::Result;

/// What the gate and its gradient read.
pub struct GateInputs<'a, B: Memory, T: Real> {
    /// Gate logits `[runs, 1, width]` or `[runs, n, width]`.
    pub g: Stack<'a, B, T>,
    /// Partner `[runs, n, width]`.
    pub p: Stack<'a, B, T>,
    /// RNA `[runs, n, width]`.
    pub r: Stack<'a, B, T>,
}

/// The device side of [`gate`] and of the joined row of both operands.
pub trait Gate<T: Real>: Memory {
    /// See [`gate`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn gate_raw(&self, inputs: &GateInputs<'_, Self, T>, x: StackMut<'_, Self, T>) -> Result<()>;

    /// See [`gate_gradient`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn gate_gradient_raw(
        &self,
        inputs: &GateInputs<'_, Self, T>,
        dx: Stack<'_, Self, T>,
        dg: Option<StackMut<'_, Self, T>>,
        dp: StackMut<'_, Self, T>,
        dr: StackMut<'_, Self, T>,
    ) -> Result<()>;

    /// See [`join_rows`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn join_rows_raw(&self, p: Stack<'_, Self, T>, r: Stack<'_, Self, T>, joined: StackMut<'_, Self, T>) -> Result<()>;

    /// See [`split_rows`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn split_rows_raw(
        &self,
        joined: Stack<'_, Self, T>,
        accumulate: bool,
        p: StackMut<'_, Self, T>,
        r: StackMut<'_, Self, T>,
    ) -> Result<()>;
}

fn check<B: Memory, T: Real>(op: &'static str, inputs: &GateInputs<'_, B, T>, x: [usize; 3]) -> Result<()> {
    expect_shape(op, "p", x, inputs.p.shape())?;
    expect_shape(op, "r", x, inputs.r.shape())?;
    let gate_rows = if inputs.g.rows == 1 { 1 } else { x[1] };
    expect_shape(op, "g", [x[0], gate_rows, x[2]], inputs.g.shape())
}

/// `x = σ(g) ⊙ p + (1 − σ(g)) ⊙ r`, `x [runs, n, width]`.
///
/// # Errors
/// When the shapes differ.
pub fn gate<B: Gate<T>, T: Real>(backend: &B, inputs: &GateInputs<'_, B, T>, x: StackMut<'_, B, T>) -> Result<()> {
    check("gate", inputs, x.shape())?;
    backend.gate_raw(inputs, x)
}

/// Gradient of [`gate`]: `dp = σ·dx`, `dr = (1 − σ)·dx`, `dg = σ(1 − σ)(p − r)·dx` if it is asked for.
///
/// All gradients are `[runs, n, width]`: that of a static gate is the sum of the rows of `dg`.
///
/// # Errors
/// When the shapes differ.
pub fn gate_gradient<B: Gate<T>, T: Real>(
    backend: &B,
    inputs: &GateInputs<'_, B, T>,
    dx: Stack<'_, B, T>,
    dg: Option<StackMut<'_, B, T>>,
    dp: StackMut<'_, B, T>,
    dr: StackMut<'_, B, T>,
) -> Result<()> {
    const OP: &str = "gate_gradient";
    check(OP, inputs, dx.shape())?;
    expect_shape(OP, "dg", dx.shape(), dg.as_ref().map_or(dx.shape(), StackMut::shape))?;
    expect_shape(OP, "dp", dx.shape(), dp.shape())?;
    expect_shape(OP, "dr", dx.shape(), dr.shape())?;
    backend.gate_gradient_raw(inputs, dx, dg, dp, dr)
}

/// `joined = [p | r]` row by row, `[runs, n, width_p + width_r]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn join_rows<B: Gate<T>, T: Real>(
    backend: &B,
    p: Stack<'_, B, T>,
    r: Stack<'_, B, T>,
    joined: StackMut<'_, B, T>,
) -> Result<()> {
    expect_shape("join_rows", "r", [p.runs, p.rows, r.cols], r.shape())?;
    expect_shape("join_rows", "joined", [p.runs, p.rows, p.cols + r.cols], joined.shape())?;
    backend.join_rows_raw(p, r, joined)
}

/// The reverse of [`join_rows`]; adds to `p` and `r` with `accumulate`.
///
/// # Errors
/// When the shapes do not fit.
pub fn split_rows<B: Gate<T>, T: Real>(
    backend: &B,
    joined: Stack<'_, B, T>,
    accumulate: bool,
    p: StackMut<'_, B, T>,
    r: StackMut<'_, B, T>,
) -> Result<()> {
    expect_shape("split_rows", "r", [p.runs, p.rows, r.cols], r.shape())?;
    expect_shape("split_rows", "joined", [p.runs, p.rows, p.cols + r.cols], joined.shape())?;
    backend.split_rows_raw(joined, accumulate, p, r)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;

    /// Two runs.
    const RUNS: usize = 2;

    fn stack(values: &Vec<f64>, rows: usize, width: usize) -> Stack<'_, Cpu, f64> {
        Stack::at(&Cpu::single(), values, 0, rows * width, [RUNS, rows, width])
    }

    fn stack_mut(values: &mut Vec<f64>, rows: usize, width: usize) -> StackMut<'_, Cpu, f64> {
        StackMut::at(&Cpu::single(), values, 0, rows * width, [RUNS, rows, width])
    }

    fn fuse(g: &[f64], p: &[f64], r: &[f64], width: usize) -> Vec<f64> {
        let (g, p, r, mut x) = (g.to_vec(), p.to_vec(), r.to_vec(), vec![0.0; p.len()]);
        let rows = |values: &Vec<f64>| values.len() / width / RUNS;
        let n = rows(&p);
        let inputs = GateInputs { g: stack(&g, rows(&g), width), p: stack(&p, n, width), r: stack(&r, n, width) };
        gate(&Cpu::single(), &inputs, stack_mut(&mut x, n, width)).unwrap();
        x
    }

    #[test]
    fn by_hand() {
        let third = (1f64 / 3.0 / (1.0 - 1.0 / 3.0)).ln();
        let (p, r) = ([2.0, 3.0, 4.0, 6.0], [0.0, 0.0, 2.0, 3.0]);
        let x = fuse(&[0.0, third, third, 0.0], &p, &r, 2);
        for (got, want) in x.iter().zip([1.0, 1.0, 8.0 / 3.0, 4.5]) {
            assert!((got - want).abs() < 1e-14);
        }
    }

    #[test]
    fn gradients_by_central_differences_for_both_gates() {
        let backend = Cpu::single();
        let (n, width, h) = (3, 4, 1e-6);
        let wave = |rows: usize, f: f64| -> Vec<f64> {
            (0..RUNS * rows * width).map(|i| ((i + 1) as f64 * f).sin()).collect()
        };
        let (p, r, dx) = (wave(n, 0.7), wave(n, 1.3), wave(n, 2.1));
        for gate_rows in [1, n] {
            let g = wave(gate_rows, 0.9);
            let (mut dg, mut dp, mut dr) = (vec![5.0; p.len()], vec![5.0; p.len()], vec![5.0; r.len()]);
            let inputs = GateInputs { g: stack(&g, gate_rows, width), p: stack(&p, n, width), r: stack(&r, n, width) };
            let [dg_stack, dp_stack, dr_stack] = [&mut dg, &mut dp, &mut dr].map(|values| stack_mut(values, n, width));
            gate_gradient(&backend, &inputs, stack(&dx, n, width), Some(dg_stack), dp_stack, dr_stack).unwrap();
            // A logit that all rows of a run share has the sum of their gradients.
            let dg: Vec<f64> = if gate_rows == n {
                dg
            } else {
                let of_run = |run: usize, d: usize| (0..n).map(|i| dg[(run * n + i) * width + d]).sum();
                (0..RUNS * width).map(|i| of_run(i / width, i % width)).collect()
            };
            let loss = |g: &[f64], p: &[f64], r: &[f64]| -> f64 {
                fuse(g, p, r, width).iter().zip(&dx).map(|(x, d)| x * d).sum()
            };
            let shifted = |v: &[f64], i: usize, d: f64| {
                let mut v = v.to_vec();
                v[i] += d;
                v
            };
            let close = |got: f64, plus: f64, minus: f64| {
                let want = (plus - minus) / (2.0 * h);
                assert!((got - want).abs() < 1e-8, "{got} for {want}");
            };
            for (i, &dg) in dg.iter().enumerate() {
                close(dg, loss(&shifted(&g, i, h), &p, &r), loss(&shifted(&g, i, -h), &p, &r));
            }
            for i in 0..p.len() {
                close(dp[i], loss(&g, &shifted(&p, i, h), &r), loss(&g, &shifted(&p, i, -h), &r));
                close(dr[i], loss(&g, &p, &shifted(&r, i, h)), loss(&g, &p, &shifted(&r, i, -h)));
            }
        }
    }

    #[test]
    fn joined_rows_split_again() {
        let backend = Cpu::single();
        let (p, r) = (vec![1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0]);
        let mut joined = vec![0.0; 6];
        join_rows(&backend, stack(&p, 1, 2), stack(&r, 1, 1), stack_mut(&mut joined, 1, 3)).unwrap();
        assert_eq!(joined, [1.0, 2.0, 5.0, 3.0, 4.0, 6.0]);
        let (mut p2, mut r2) = (p.clone(), r.clone());
        let targets = (stack_mut(&mut p2, 1, 2), stack_mut(&mut r2, 1, 1));
        split_rows(&backend, stack(&joined, 1, 3), true, targets.0, targets.1).unwrap();
        assert_eq!((p2, r2), (vec![2.0, 4.0, 6.0, 8.0], vec![10.0, 12.0]));
    }

    #[test]
    fn a_gate_of_another_width_is_refused() {
        let (g, p, mut x) = (vec![0.0; 6], vec![0.0; 8], vec![0.0; 8]);
        let operand = stack(&p, 2, 2);
        let inputs = GateInputs { g: stack(&g, 1, 3), p: operand, r: operand };
        let error = gate(&Cpu::single(), &inputs, stack_mut(&mut x, 2, 2)).unwrap_err();
        assert!(error.to_string().contains("expected g [2, 1, 2], found [2, 1, 3]"), "{error}");
    }
}
