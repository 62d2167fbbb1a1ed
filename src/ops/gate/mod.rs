//! The gate that fuses two operands: `x = σ(g) ⊙ p + (1 − σ(g)) ⊙ r` (paper, Methods, "gated fusion").
//!
//! `p` is the partner, `r` the RNA. One row of `g` for all pairs is the static gate; one row per pair is the
//! input-dependent gate, whose logits are a linear layer of `[p | r]`; a row of zeros is the element-wise average.

mod cpu;

use crate::backend::{Matrix, MatrixMut, Memory, Real, expect_shape};
use crate::error::Result;

/// What the gradient of [`gate`] reads.
pub struct GateInputs<'a, B: Memory, T: Real> {
    /// Gate logits `[1, width]` or `[n, width]`.
    pub g: Matrix<'a, B, T>,
    /// Partner `[n, width]`.
    pub p: Matrix<'a, B, T>,
    /// RNA `[n, width]`.
    pub r: Matrix<'a, B, T>,
}

/// The device side of [`gate`] and of the joined row of both operands.
pub trait Gate: Memory {
    /// See [`gate`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn gate_raw<T: Real>(&self, inputs: &GateInputs<'_, Self, T>, x: Self::ViewMut<'_, T>) -> Result<()>;

    /// See [`gate_gradient`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn gate_gradient_raw<T: Real>(
        &self,
        inputs: &GateInputs<'_, Self, T>,
        dx: Self::View<'_, T>,
        dg: Self::ViewMut<'_, T>,
        dp: Self::ViewMut<'_, T>,
        dr: Self::ViewMut<'_, T>,
    ) -> Result<()>;

    /// See [`join_rows`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn join_rows_raw<T: Real>(
        &self,
        p: Matrix<'_, Self, T>,
        r: Matrix<'_, Self, T>,
        joined: Self::ViewMut<'_, T>,
    ) -> Result<()>;

    /// See [`split_rows`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn split_rows_raw<T: Real>(
        &self,
        joined: Self::View<'_, T>,
        accumulate: bool,
        p: MatrixMut<'_, Self, T>,
        r: MatrixMut<'_, Self, T>,
    ) -> Result<()>;
}

fn check<B: Memory, T: Real>(op: &'static str, inputs: &GateInputs<'_, B, T>, x: [usize; 2]) -> Result<()> {
    expect_shape(op, "p", x, inputs.p.shape())?;
    expect_shape(op, "r", x, inputs.r.shape())?;
    let gate_rows = if inputs.g.rows == 1 { 1 } else { x[0] };
    expect_shape(op, "g", [gate_rows, x[1]], inputs.g.shape())
}

/// `x = σ(g) ⊙ p + (1 − σ(g)) ⊙ r`, `x [n, width]`.
///
/// # Errors
/// When the shapes differ.
pub fn gate<B: Gate, T: Real>(backend: &B, inputs: &GateInputs<'_, B, T>, x: MatrixMut<'_, B, T>) -> Result<()> {
    check("gate", inputs, x.shape())?;
    backend.gate_raw(inputs, x.view)
}

/// Gradient of [`gate`]: `dp = σ·dx`, `dr = (1 − σ)·dx`, `dg = σ(1 − σ)(p − r)·dx`, summed over pairs for a static gate.
///
/// # Errors
/// When the shapes differ.
pub fn gate_gradient<B: Gate, T: Real>(
    backend: &B,
    inputs: &GateInputs<'_, B, T>,
    dx: Matrix<'_, B, T>,
    dg: MatrixMut<'_, B, T>,
    dp: MatrixMut<'_, B, T>,
    dr: MatrixMut<'_, B, T>,
) -> Result<()> {
    check("gate_gradient", inputs, dx.shape())?;
    expect_shape("gate_gradient", "dg", inputs.g.shape(), dg.shape())?;
    expect_shape("gate_gradient", "dp", dx.shape(), dp.shape())?;
    expect_shape("gate_gradient", "dr", dx.shape(), dr.shape())?;
    backend.gate_gradient_raw(inputs, dx.view, dg.view, dp.view, dr.view)
}

/// `joined = [p | r]` row by row, `[n, width_p + width_r]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn join_rows<B: Gate, T: Real>(
    backend: &B,
    p: Matrix<'_, B, T>,
    r: Matrix<'_, B, T>,
    joined: MatrixMut<'_, B, T>,
) -> Result<()> {
    expect_shape("join_rows", "r", [p.rows, r.cols], r.shape())?;
    expect_shape("join_rows", "joined", [p.rows, p.cols + r.cols], joined.shape())?;
    backend.join_rows_raw(p, r, joined.view)
}

/// The reverse of [`join_rows`]; adds to `p` and `r` with `accumulate`.
///
/// # Errors
/// When the shapes do not fit.
pub fn split_rows<B: Gate, T: Real>(
    backend: &B,
    joined: Matrix<'_, B, T>,
    accumulate: bool,
    p: MatrixMut<'_, B, T>,
    r: MatrixMut<'_, B, T>,
) -> Result<()> {
    expect_shape("split_rows", "r", [p.rows, r.cols], r.shape())?;
    expect_shape("split_rows", "joined", [p.rows, p.cols + r.cols], joined.shape())?;
    backend.split_rows_raw(joined.view, accumulate, p, r)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;

    fn fuse(g: &[f64], p: &[f64], r: &[f64], width: usize) -> Vec<f64> {
        let backend = Cpu::single();
        let (g, p, r, mut x) = (g.to_vec(), p.to_vec(), r.to_vec(), vec![0.0; p.len()]);
        let n = p.len() / width;
        let inputs = GateInputs {
            g: Matrix::of(&backend, &g, g.len() / width, width),
            p: Matrix::of(&backend, &p, n, width),
            r: Matrix::of(&backend, &r, n, width),
        };
        gate(&backend, &inputs, MatrixMut::of(&backend, &mut x, n, width)).unwrap();
        x
    }

    #[test]
    fn by_hand() {
        let third = (1f64 / 3.0 / (1.0 - 1.0 / 3.0)).ln();
        let x = fuse(&[0.0, third], &[2.0, 3.0, 4.0, 6.0], &[0.0, 0.0, 2.0, 3.0], 2);
        for (got, want) in x.iter().zip([1.0, 1.0, 3.0, 4.0]) {
            assert!((got - want).abs() < 1e-14);
        }
    }

    #[test]
    fn gradients_by_central_differences_for_both_gates() {
        let backend = Cpu::single();
        let (n, width, h) = (3, 4, 1e-6);
        let wave = |k: usize, f: f64| (0..k).map(|i| ((i + 1) as f64 * f).sin()).collect::<Vec<f64>>();
        let (p, r, dx) = (wave(n * width, 0.7), wave(n * width, 1.3), wave(n * width, 2.1));
        for gate_rows in [1, n] {
            let g = wave(gate_rows * width, 0.9);
            let (mut dg, mut dp, mut dr) = (vec![5.0; g.len()], vec![5.0; p.len()], vec![5.0; r.len()]);
            let inputs = GateInputs {
                g: Matrix::of(&backend, &g, gate_rows, width),
                p: Matrix::of(&backend, &p, n, width),
                r: Matrix::of(&backend, &r, n, width),
            };
            gate_gradient(
                &backend,
                &inputs,
                Matrix::of(&backend, &dx, n, width),
                MatrixMut::of(&backend, &mut dg, gate_rows, width),
                MatrixMut::of(&backend, &mut dp, n, width),
                MatrixMut::of(&backend, &mut dr, n, width),
            )
            .unwrap();
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
        let (p, r) = (vec![1f32, 2.0, 3.0, 4.0], vec![5f32, 6.0]);
        let mut joined = vec![0f32; 6];
        let (pm, rm) = (Matrix::of(&backend, &p, 2, 2), Matrix::of(&backend, &r, 2, 1));
        join_rows(&backend, pm, rm, MatrixMut::of(&backend, &mut joined, 2, 3)).unwrap();
        assert_eq!(joined, [1.0, 2.0, 5.0, 3.0, 4.0, 6.0]);
        let (mut p2, mut r2) = (p.clone(), r.clone());
        split_rows(
            &backend,
            Matrix::of(&backend, &joined, 2, 3),
            true,
            MatrixMut::of(&backend, &mut p2, 2, 2),
            MatrixMut::of(&backend, &mut r2, 2, 1),
        )
        .unwrap();
        assert_eq!((p2, r2), (vec![2.0, 4.0, 6.0, 8.0], vec![10.0, 12.0]));
    }

    #[test]
    fn a_gate_of_another_width_is_refused() {
        let backend = Cpu::single();
        let (g, p, mut x) = (vec![0f32; 3], vec![0f32; 4], vec![0f32; 4]);
        let operand = Matrix::of(&backend, &p, 2, 2);
        let inputs = GateInputs { g: Matrix::of(&backend, &g, 1, 3), p: operand, r: operand };
        let error = gate(&backend, &inputs, MatrixMut::of(&backend, &mut x, 2, 2)).unwrap_err();
        assert!(error.to_string().contains("expected g [1, 2], found [1, 3]"), "{error}");
    }
}
