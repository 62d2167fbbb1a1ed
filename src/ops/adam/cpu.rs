//! CPU twin: one vectorised pass, split over the threads.

use rayon::prelude::*;

use super::{Adam, AdamConfig, Moments};
use crate::backend::{Cpu, Real};
use crate::error::Result;

/// Parameters of one task; a task's four streams fill about a second-level cache.
const CHUNK: usize = 1 << 16;

impl Adam for Cpu {
    fn adam_raw<T: Real>(
        &self,
        config: &AdamConfig,
        step: u32,
        parameters: &mut Vec<T>,
        moments: &mut Moments<Self, T>,
        gradient: &Vec<T>,
    ) -> Result<()> {
        let t = f64::from(step);
        let (b1, b2) = (T::from_f64(config.beta1), T::from_f64(config.beta2));
        let (c1, c2) = (T::from_f64(1.0 - config.beta1), T::from_f64(1.0 - config.beta2));
        let rate = T::from_f64(config.learning_rate / (1.0 - config.beta1.powf(t)));
        let root = T::from_f64(1.0 / (1.0 - config.beta2.powf(t)).sqrt());
        let epsilon = T::from_f64(config.epsilon);
        let pass = |p: &mut [T], m: &mut [T], v: &mut [T], g: &[T]| {
            pulp::Arch::new().dispatch(|| {
                for (((p, m), v), &g) in p.iter_mut().zip(m.iter_mut()).zip(v.iter_mut()).zip(g) {
                    *m = b1 * *m + c1 * g;
                    *v = b2 * *v + c2 * g * g;
                    *p += -(rate * *m / (v.sqrt() * root + epsilon));
                }
            });
        };
        let (first, second) = (&mut moments.first, &mut moments.second);
        if self.threads > 1 && gradient.len() > CHUNK {
            parameters
                .par_chunks_mut(CHUNK)
                .zip(first.par_chunks_mut(CHUNK))
                .zip(second.par_chunks_mut(CHUNK))
                .zip(gradient.par_chunks(CHUNK))
                .for_each(|(((p, m), v), g)| pass(p, m, v, g));
        } else {
            pass(parameters, first, second, gradient);
        }
        Ok(())
    }
}
