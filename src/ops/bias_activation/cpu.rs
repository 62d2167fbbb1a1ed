//! CPU twin, vectorised by the compiler for the instruction set found at run time.

use super::philox::{WORDS, words};
use super::{BiasActivation, Dropout, keep_scale, threshold};
use crate::backend::{Cpu, Real, Stack, StackMut};
use crate::error::Result;
use crate::ops::clock::Tick;

impl<T: Real> BiasActivation<T> for Cpu {
    fn bias_activation_raw(
        &self,
        mut y: StackMut<'_, Self, T>,
        bias: Stack<'_, Self, T>,
        relu: bool,
        dropout: Option<Dropout<'_, Self>>,
    ) -> Result<()> {
        for run in 0..y.runs {
            let cols = y.cols.max(1);
            let (y, bias) = (y.matrix(run), bias.matrix(run));
            let masks = dropout.as_ref().map(|d| (d.rate, d.layer, Tick::of(d.clock, run)));
            pulp::Arch::new().dispatch(|| {
                for row in y.chunks_exact_mut(cols) {
                    for (value, &bias) in row.iter_mut().zip(bias) {
                        let sum = *value + bias;
                        *value = if relu && sum < T::ZERO { T::ZERO } else { sum };
                    }
                }
                if let Some((rate, layer, tick)) = masks {
                    let threshold = threshold(rate);
                    let scale = keep_scale::<T>(rate);
                    for (group, values) in y.chunks_mut(WORDS).enumerate() {
                        let random = words(tick.seed, layer, tick.step, group as u32);
                        for (value, word) in values.iter_mut().zip(random) {
                            *value = if word < threshold { T::ZERO } else { *value * scale };
                        }
                    }
                }
            });
        }
        Ok(())
    }

    fn bias_activation_gradient_raw(
        &self,
        rate: f32,
        y: Stack<'_, Self, T>,
        mut dy: StackMut<'_, Self, T>,
    ) -> Result<()> {
        let scale = keep_scale::<T>(rate);
        for run in 0..dy.runs {
            let (dy, y) = (dy.matrix(run), y.matrix(run));
            pulp::Arch::new().dispatch(|| {
                for (d, &y) in dy.iter_mut().zip(y) {
                    *d = if y > T::ZERO { *d * scale } else { T::ZERO };
                }
            });
        }
        Ok(())
    }
}
