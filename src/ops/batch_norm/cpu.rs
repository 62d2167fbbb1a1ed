//! CPU twin, vectorised by the compiler for the instruction set found at run time.

use super::BatchNorm;
use crate::backend::{Cpu, Real};
use crate::error::Result;

impl BatchNorm for Cpu {
    fn batch_norm_raw<T: Real>(&self, cols: usize, y: &mut [T], statistics: &[T], relu: bool) -> Result<()> {
        let (mean, rest) = statistics.split_at(cols);
        let (scale, shift) = rest.split_at(cols);
        self.isa.dispatch(|| {
            for row in y.chunks_exact_mut(cols.max(1)) {
                for (((y, &mean), &scale), &shift) in row.iter_mut().zip(mean).zip(scale).zip(shift) {
                    let z = (*y - mean) * scale + shift;
                    *y = if relu && z < T::ZERO { T::ZERO } else { z };
                }
            }
        });
        Ok(())
    }
}
