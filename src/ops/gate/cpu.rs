//! CPU twin. The static gate's σ is computed once per call, the input-dependent one per element.

use super::{Gate, GateInputs};
use crate::backend::{Cpu, Matrix, MatrixMut, Real};
use crate::error::Result;

/// σ of the gate logits, one row or one per pair.
fn shares<T: Real>(logits: &[T]) -> Vec<T> {
    logits.iter().map(|g| g.sigmoid()).collect()
}

impl Gate for Cpu {
    fn gate_raw<T: Real>(&self, inputs: &GateInputs<'_, Self, T>, x: &mut [T]) -> Result<()> {
        let width = inputs.g.cols.max(1);
        let share = shares(inputs.g.view);
        pulp::Arch::new().dispatch(|| {
            let rows =
                x.chunks_exact_mut(width).zip(inputs.p.view.chunks_exact(width)).zip(inputs.r.view.chunks_exact(width));
            for (((x, p), r), s) in rows.zip(share.chunks_exact(width).cycle()) {
                for (((x, &p), &r), &s) in x.iter_mut().zip(p).zip(r).zip(s) {
                    *x = s * p + (T::ONE - s) * r;
                }
            }
        });
        Ok(())
    }

    fn gate_gradient_raw<T: Real>(
        &self,
        inputs: &GateInputs<'_, Self, T>,
        dx: &[T],
        dg: &mut [T],
        dp: &mut [T],
        dr: &mut [T],
    ) -> Result<()> {
        let width = inputs.g.cols.max(1);
        let share = shares(inputs.g.view);
        dg.fill(T::ZERO);
        pulp::Arch::new().dispatch(|| {
            for row in 0..dx.len() / width {
                let at = row * width..(row + 1) * width;
                let gate_at = if inputs.g.rows == 1 { 0..width } else { at.clone() };
                let operands = inputs.p.view[at.clone()].iter().zip(&inputs.r.view[at.clone()]);
                let gradients = dp[at.clone()].iter_mut().zip(&mut dr[at.clone()]).zip(&mut dg[gate_at.clone()]);
                for ((((&p, &r), ((dp, dr), dg)), &s), &dx) in operands.zip(gradients).zip(&share[gate_at]).zip(&dx[at])
                {
                    *dp = s * dx;
                    *dr = (T::ONE - s) * dx;
                    *dg += s * (T::ONE - s) * (p - r) * dx;
                }
            }
        });
        Ok(())
    }

    fn join_rows_raw<T: Real>(&self, p: Matrix<'_, Self, T>, r: Matrix<'_, Self, T>, joined: &mut [T]) -> Result<()> {
        for (row, joined) in joined.chunks_exact_mut((p.cols + r.cols).max(1)).enumerate() {
            let (left, right) = joined.split_at_mut(p.cols);
            left.copy_from_slice(&p.view[row * p.cols..][..p.cols]);
            right.copy_from_slice(&r.view[row * r.cols..][..r.cols]);
        }
        Ok(())
    }

    fn split_rows_raw<T: Real>(
        &self,
        joined: &[T],
        accumulate: bool,
        p: MatrixMut<'_, Self, T>,
        r: MatrixMut<'_, Self, T>,
    ) -> Result<()> {
        let put = |to: &mut [T], from: &[T]| {
            for (to, &from) in to.iter_mut().zip(from) {
                *to = if accumulate { *to + from } else { from };
            }
        };
        let (p_cols, r_cols) = (p.cols, r.cols);
        for (row, joined) in joined.chunks_exact((p_cols + r_cols).max(1)).enumerate() {
            let (left, right) = joined.split_at(p_cols);
            put(&mut p.view[row * p_cols..][..p_cols], left);
            put(&mut r.view[row * r_cols..][..r_cols], right);
        }
        Ok(())
    }
}
