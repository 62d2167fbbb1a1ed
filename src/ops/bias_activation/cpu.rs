//! CPU twin, vectorised by the compiler for the instruction set found at run time.

use super::philox::{WORDS, words};
use super::{BiasActivation, Dropout, keep_scale};
use crate::backend::{Cpu, Real};
use crate::error::Result;

impl BiasActivation for Cpu {
    fn bias_activation_raw<T: Real>(
        &self,
        cols: usize,
        y: &mut [T],
        bias: &[T],
        relu: bool,
        dropout: Option<Dropout>,
    ) -> Result<()> {
        pulp::Arch::new().dispatch(|| {
            for row in y.chunks_exact_mut(cols.max(1)) {
                for (value, &bias) in row.iter_mut().zip(bias) {
                    let sum = *value + bias;
                    *value = if relu && sum < T::ZERO { T::ZERO } else { sum };
                }
            }
            if let Some(d) = dropout {
                let threshold = (f64::from(d.rate) * 2f64.powi(32)) as u32;
                let scale = keep_scale::<T>(d.rate);
                for (group, values) in y.chunks_mut(WORDS).enumerate() {
                    let random = words(d.seed, d.layer, d.step, group as u32);
                    for (value, word) in values.iter_mut().zip(random) {
                        *value = if word < threshold { T::ZERO } else { *value * scale };
                    }
                }
            }
        });
        Ok(())
    }

    fn bias_activation_gradient_raw<T: Real>(
        &self,
        cols: usize,
        relu_scale: Option<T>,
        y: &[T],
        dy: &mut [T],
        dbias: &mut [T],
    ) -> Result<()> {
        pulp::Arch::new().dispatch(|| {
            dbias.fill(T::ZERO);
            for (dy, y) in dy.chunks_exact_mut(cols.max(1)).zip(y.chunks_exact(cols.max(1))) {
                for ((d, &y), sum) in dy.iter_mut().zip(y).zip(dbias.iter_mut()) {
                    if let Some(scale) = relu_scale {
                        *d = if y > T::ZERO { *d * scale } else { T::ZERO };
                    }
                    *sum += *d;
                }
            }
        });
        Ok(())
    }
}
