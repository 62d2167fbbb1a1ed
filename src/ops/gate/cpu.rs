//! CPU twin. The static gate's σ is computed once per call, the input-dependent one per element.

use super::{Gate, GateInputs};
use crate::backend::{Cpu, Real, Stack, StackMut};
use crate::error::Result;

/// σ of the gate logits of a run, one row or one per pair.
fn shares<T: Real>(logits: &[T]) -> Vec<T> {
    logits.iter().map(|g| g.sigmoid()).collect()
}

impl<T: Real> Gate<T> for Cpu {
    fn gate_raw(&self, inputs: &GateInputs<'_, Self, T>, mut x: StackMut<'_, Self, T>) -> Result<()> {
        let width = x.cols.max(1);
        for run in 0..x.runs {
            let share = shares(inputs.g.matrix(run));
            let (p, r, x) = (inputs.p.matrix(run), inputs.r.matrix(run), x.matrix(run));
            pulp::Arch::new().dispatch(|| {
                let rows = x.chunks_exact_mut(width).zip(p.chunks_exact(width)).zip(r.chunks_exact(width));
                for (((x, p), r), s) in rows.zip(share.chunks_exact(width).cycle()) {
                    for (((x, &p), &r), &s) in x.iter_mut().zip(p).zip(r).zip(s) {
                        *x = s * p + (T::ONE - s) * r;
                    }
                }
            });
        }
        Ok(())
    }

    fn gate_gradient_raw(
        &self,
        inputs: &GateInputs<'_, Self, T>,
        dx: Stack<'_, Self, T>,
        mut dg: Option<StackMut<'_, Self, T>>,
        mut dp: StackMut<'_, Self, T>,
        mut dr: StackMut<'_, Self, T>,
    ) -> Result<()> {
        let width = dx.cols.max(1);
        for run in 0..dx.runs {
            let share = shares(inputs.g.matrix(run));
            let (p, r, dx) = (inputs.p.matrix(run), inputs.r.matrix(run), dx.matrix(run));
            let (dp, dr) = (dp.matrix(run), dr.matrix(run));
            pulp::Arch::new().dispatch(|| {
                let rows = dp.chunks_exact_mut(width).zip(dr.chunks_exact_mut(width)).zip(dx.chunks_exact(width));
                for (((dp, dr), dx), s) in rows.zip(share.chunks_exact(width).cycle()) {
                    for (((dp, dr), &dx), &s) in dp.iter_mut().zip(dr).zip(dx).zip(s) {
                        *dp = s * dx;
                        *dr = (T::ONE - s) * dx;
                    }
                }
                let Some(dg) = &mut dg else { return };
                let operands = p.chunks_exact(width).zip(r.chunks_exact(width)).zip(dx.chunks_exact(width));
                let rows = dg.matrix(run).chunks_exact_mut(width).zip(operands);
                for ((dg, ((p, r), dx)), s) in rows.zip(share.chunks_exact(width).cycle()) {
                    for ((((dg, &p), &r), &dx), &s) in dg.iter_mut().zip(p).zip(r).zip(dx).zip(s) {
                        *dg = s * (T::ONE - s) * (p - r) * dx;
                    }
                }
            });
        }
        Ok(())
    }

    fn join_rows_raw(
        &self,
        p: Stack<'_, Self, T>,
        r: Stack<'_, Self, T>,
        mut joined: StackMut<'_, Self, T>,
    ) -> Result<()> {
        for run in 0..joined.runs {
            let (p_run, r_run) = (p.matrix(run), r.matrix(run));
            for (row, joined) in joined.matrix(run).chunks_exact_mut((p.cols + r.cols).max(1)).enumerate() {
                let (left, right) = joined.split_at_mut(p.cols);
                left.copy_from_slice(&p_run[row * p.cols..][..p.cols]);
                right.copy_from_slice(&r_run[row * r.cols..][..r.cols]);
            }
        }
        Ok(())
    }

    fn split_rows_raw(
        &self,
        joined: Stack<'_, Self, T>,
        accumulate: bool,
        mut p: StackMut<'_, Self, T>,
        mut r: StackMut<'_, Self, T>,
    ) -> Result<()> {
        let put = |to: &mut [T], from: &[T]| {
            for (to, &from) in to.iter_mut().zip(from) {
                *to = if accumulate { *to + from } else { from };
            }
        };
        let (p_cols, r_cols) = (p.cols, r.cols);
        for run in 0..joined.runs {
            let (p, r) = (p.matrix(run), r.matrix(run));
            for (row, joined) in joined.matrix(run).chunks_exact((p_cols + r_cols).max(1)).enumerate() {
                let (left, right) = joined.split_at(p_cols);
                put(&mut p[row * p_cols..][..p_cols], left);
                put(&mut r[row * r_cols..][..r_cols], right);
            }
        }
        Ok(())
    }
}
