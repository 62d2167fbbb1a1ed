//! CPU twin: two passes over a row in a fixed number of lanes, so that the sums are the same on every instruction set.

use rayon::prelude::*;

use super::LayerNorm;
use crate::backend::{Activation, Cpu, MatrixMut};
use crate::error::Result;

/// Partial sums of a row.
const LANES: usize = 32;
/// Numbers below which a second thread costs more than it brings.
const SERIAL_NUMBERS: usize = 1 << 14;

impl LayerNorm for Cpu {
    fn layer_norm_raw<A: Activation>(
        &self,
        x: &[A],
        weight: &[f32],
        bias: &[f32],
        eps: f32,
        y: MatrixMut<'_, Self, A>,
    ) -> Result<()> {
        let (d, n_rows) = (y.cols.max(1), y.rows);
        A::in_f32(y.view, |y| self.layer_norm_f32(&A::widened(x), weight, bias, eps, d, n_rows, y));
        Ok(())
    }
}

impl Cpu {
    #[allow(clippy::too_many_arguments)]
    fn layer_norm_f32(self, x: &[f32], weight: &[f32], bias: &[f32], eps: f32, d: usize, n_rows: usize, y: &mut [f32]) {
        let isa = self.isa;
        let rows = |(x, y): (&[f32], &mut [f32])| {
            isa.dispatch(|| {
                for (x, y) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
                    row(x, weight, bias, eps, y);
                }
            });
        };
        if self.threads > 1 && x.len() > SERIAL_NUMBERS {
            let block = d * n_rows.div_ceil(4 * self.threads);
            x.par_chunks(block).zip(y.par_chunks_mut(block)).for_each(rows);
        } else {
            rows((x, y));
        }
    }
}

// Only code that is inlined into a dispatched closure is compiled for its instruction set.
#[allow(clippy::inline_always)]
#[inline(always)]
fn row(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) {
    let d = x.len() as f32;
    let mean = sum(x, |v| v) / d;
    let variance = sum(x, |v| (v - mean) * (v - mean)) / d;
    let scale = 1.0 / (variance + eps).sqrt();
    for (((y, &x), &weight), &bias) in y.iter_mut().zip(x).zip(weight).zip(bias) {
        *y = (x - mean) * scale * weight + bias;
    }
}

/// `Σ f(x)`: lane by lane, then the lanes by halves.
#[allow(clippy::inline_always)]
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += f(x);
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0]
}
