//! CPU twin: products of columns of `dy` with rows of `x`. The bias is one more output whose weight of every row is 1. Work
//! is split into blocks of outputs of fixed size, so that the number of threads changes no bit.

use rayon::prelude::*;

use super::plain::{gradient_rows, plain_step};
use super::tile::AdamTiles;
use super::{AdamConfig, AdamStep, LayerGradient, Rule, WeightUpdate};
use crate::backend::{Cpu, Real};
use crate::error::Result;
use crate::ops::clock::{Clock, Tick};

/// Outputs of one task.
const BLOCK: usize = 16;
/// Below this many parameters a second thread costs more than it brings.
const SERIAL_WORK: usize = 1 << 14;

impl<T: Real> WeightUpdate<T> for Cpu {
    fn weight_update_raw(
        &self,
        clock: Clock<'_, Self>,
        layer: &LayerGradient<'_, Self, T>,
        mut rule: Rule<'_, Self, T>,
    ) -> Result<()> {
        let (outputs, ones) = (layer.dy.cols, vec![T::ONE; layer.dy.rows]);
        for run in 0..layer.dy.runs {
            let tick = Tick::of(clock, run);
            if tick.step == 0 || outputs == 0 {
                continue;
            }
            let dy = layer.dy.matrix(run);
            let bias = Outer { a: &ones, outputs: 1, x: dy, width: outputs };
            let weight = layer.x.map(|x| Outer { a: dy, outputs, x: x.matrix(run), width: x.cols });
            let n_weights = layer.n_parameters() - outputs;
            match &mut rule {
                Rule::Gradient(gradient) => {
                    let (weights, biases) = gradient.matrix(run).split_at_mut(n_weights);
                    gradient_rows(&bias, biases);
                    if let Some(weight) = weight {
                        gradient_rows(&weight, weights);
                    }
                }
                Rule::Adam(AdamStep { config, parameters, first, second }) => {
                    let constants = Constants::new(config, tick);
                    let targets = Targets { p: parameters.matrix(run), m: first.matrix(run), v: second.matrix(run) };
                    let (weights, biases) = targets.split_at(n_weights);
                    self.adam(&bias, constants, biases);
                    if let Some(weight) = weight.filter(|weight| weight.width > 0) {
                        self.adam(&weight, constants, weights);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Cpu {
    fn adam<T: Real>(&self, outer: &Outer<'_, T>, constants: Constants<T>, targets: Targets<'_, T>) {
        let block = |(i, targets): (usize, Targets<'_, T>)| {
            let first = i * BLOCK;
            if T::NAME == "f32" {
                let outer = Outer {
                    a: bytemuck::cast_slice(outer.a),
                    outputs: outer.outputs,
                    x: bytemuck::cast_slice(outer.x),
                    width: outer.width,
                };
                let targets = Targets {
                    p: bytemuck::cast_slice_mut(targets.p),
                    m: bytemuck::cast_slice_mut(targets.m),
                    v: bytemuck::cast_slice_mut(targets.v),
                };
                self.isa.dispatch(AdamTiles { outer, first, constants: constants.narrowed(), targets });
            } else {
                plain_step(outer, first, constants, targets);
            }
        };
        let (len, n) = (BLOCK * outer.width, targets.p.len());
        let Targets { p, m, v } = targets;
        if self.threads > 1 && n > SERIAL_WORK {
            let blocks = p.par_chunks_mut(len).zip(m.par_chunks_mut(len)).zip(v.par_chunks_mut(len));
            blocks.map(|((p, m), v)| Targets { p, m, v }).enumerate().for_each(block);
        } else {
            let blocks = p.chunks_mut(len).zip(m.chunks_mut(len)).zip(v.chunks_mut(len));
            blocks.map(|((p, m), v)| Targets { p, m, v }).enumerate().for_each(block);
        }
    }
}

/// `G = aᵀ·x`, the gradient: `a [rows, outputs]`, `x [rows, width]`, `G [outputs, width]`.
#[derive(Clone, Copy)]
pub(super) struct Outer<'a, T> {
    pub a: &'a [T],
    pub outputs: usize,
    pub x: &'a [T],
    pub width: usize,
}

/// Parameters and moments of some outputs, each `[outputs, width]`.
pub(super) struct Targets<'a, T> {
    pub p: &'a mut [T],
    pub m: &'a mut [T],
    pub v: &'a mut [T],
}

impl<T> Targets<'_, T> {
    fn split_at(self, at: usize) -> (Self, Self) {
        let ((p, p_rest), (m, m_rest), (v, v_rest)) =
            (self.p.split_at_mut(at), self.m.split_at_mut(at), self.v.split_at_mut(at));
        (Self { p, m, v }, Self { p: p_rest, m: m_rest, v: v_rest })
    }
}

/// Numbers of a step.
#[derive(Clone, Copy)]
pub(super) struct Constants<T> {
    /// β₁ and 1 − β₁.
    pub first: [T; 2],
    /// β₂ and 1 − β₂.
    pub second: [T; 2],
    pub rate: T,
    pub root: T,
    pub epsilon: T,
}

impl<T: Real> Constants<T> {
    fn new(config: &AdamConfig, tick: Tick) -> Self {
        let of = |decay: f64| [decay, 1.0 - decay].map(T::from_f64);
        let [rate, root, epsilon] = [tick.rate, tick.root, config.epsilon].map(T::from_f64);
        Self { first: of(config.beta1), second: of(config.beta2), rate, root, epsilon }
    }

    fn narrowed(self) -> Constants<f32> {
        let narrow = |x: T| x.to_f64() as f32;
        Constants {
            first: self.first.map(narrow),
            second: self.second.map(narrow),
            rate: narrow(self.rate),
            root: narrow(self.root),
            epsilon: narrow(self.epsilon),
        }
    }
}
