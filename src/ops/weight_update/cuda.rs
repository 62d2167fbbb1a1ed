//! Launches `kernels/weight_update.cu`: a block for each tile of a layer's weights.

use super::{AdamStep, LayerGradient, Rule, WeightUpdate};
use crate::backend::Cuda;
use crate::backend::cuda::{Argument, CudaView, Grid};
use crate::error::{Error, Result};
use crate::ops::clock::Clock;

/// Outputs and inputs of a tile.
const OUTPUTS: usize = 32;
const INPUTS: usize = 128;
/// Rows of a batch that a block has in shared memory at a time.
const ROWS: usize = 32;

impl WeightUpdate<f32> for Cuda {
    fn weight_update_raw(
        &self,
        clock: Clock<'_, Self>,
        layer: &LayerGradient<'_, Self, f32>,
        rule: Rule<'_, Self, f32>,
    ) -> Result<()> {
        let LayerGradient { x, dy } = layer;
        let inputs = x.map_or(0, |x| x.cols);
        let blocks = [dy.cols.div_ceil(OUTPUTS) * inputs.div_ceil(INPUTS).max(1), dy.runs];
        let grid = Grid { blocks, threads: 256, shared: size_of::<f32>() * ROWS * (OUTPUTS + INPUTS) };
        let x_view = x.map_or(CudaView::null(), |x| x.view);
        let sizes = [dy.rows, dy.cols, inputs].map(|size| size as i32);
        let strides = [dy.stride, x.map_or(0, |x| x.stride)].map(|stride| stride as u32);
        let operands: [&dyn Argument; 8] =
            [&clock.view, &dy.view, &x_view, &sizes[0], &sizes[1], &sizes[2], &strides[0], &strides[1]];
        let launch = |kernel, places: &[&dyn Argument]| {
            self.launch("weight_update", kernel, grid, &[&operands, places].concat())
        };
        match rule {
            Rule::Gradient(gradient) => launch("weight_update_gradient", &[&gradient.view, &(gradient.stride as u32)]),
            Rule::Adam(AdamStep { config, parameters, first, second }) => {
                let stride = parameters.stride;
                if [first.stride, second.stride] != [stride; 2] {
                    return Err(Error::Shape {
                        op: "weight_update",
                        expected: format!("moments of every {stride} numbers, as the parameters"),
                        found: format!("{} and {}", first.stride, second.stride),
                    });
                }
                let constants = [config.beta1, 1.0 - config.beta1, config.beta2, 1.0 - config.beta2, config.epsilon];
                let [beta1, rest1, beta2, rest2, epsilon] = constants.map(|x| x as f32);
                launch(
                    "weight_update_adam",
                    &[
                        &parameters.view,
                        &(stride as u32),
                        &first.view,
                        &second.view,
                        &beta1,
                        &rest1,
                        &beta2,
                        &rest2,
                        &epsilon,
                    ],
                )
            }
        }
    }
}
