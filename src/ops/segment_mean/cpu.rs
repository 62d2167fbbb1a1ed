//! CPU twin.

use super::SegmentMean;
use crate::backend::{Activation, Cpu, MatrixMut};
use crate::error::Result;

impl SegmentMean for Cpu {
    fn segment_mean_raw<A: Activation>(
        &self,
        x: &[A],
        segments: &[u32],
        means: MatrixMut<'_, Self, f32>,
    ) -> Result<()> {
        let d = means.cols.max(1);
        for (segment, mean) in segments.as_chunks::<2>().0.iter().zip(means.view.chunks_exact_mut(d)) {
            let rows = &x[segment[0] as usize * d..segment[1] as usize * d];
            mean.fill(0.0);
            for row in A::widened(rows).chunks_exact(d) {
                for (mean, x) in mean.iter_mut().zip(row) {
                    *mean += x;
                }
            }
            let scale = 1.0 / (rows.len() / d).max(1) as f32;
            for mean in mean.iter_mut() {
                *mean *= scale;
            }
        }
        Ok(())
    }
}
