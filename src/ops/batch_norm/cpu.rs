//! CPU twin, vectorised by the compiler for the instruction set found at run time.

use super::BatchNorm;
use crate::backend::{Activation, Cpu};
use crate::error::Result;

impl BatchNorm for Cpu {
    fn batch_norm_raw<A: Activation>(&self, cols: usize, y: &mut [A], statistics: &[f32], relu: bool) -> Result<()> {
        let (mean, rest) = statistics.split_at(cols);
        let (scale, shift) = rest.split_at(cols);
        let rows = |y: &mut [f32]| {
            for row in y.chunks_exact_mut(cols.max(1)) {
                for (((y, &mean), &scale), &shift) in row.iter_mut().zip(mean).zip(scale).zip(shift) {
                    let z = (*y - mean) * scale + shift;
                    *y = if relu && z < 0.0 { 0.0 } else { z };
                }
            }
        };
        A::in_f32(y, |y| self.isa.dispatch(|| rows(y)));
        Ok(())
    }
}
