//! Launches `kernels/bias_activation.cu`: a thread for four numbers of a run.

use super::{BiasActivation, Dropout, keep_scale, threshold};
use crate::backend::cuda::{Argument, CudaView, Grid};
use crate::backend::{Cuda, Stack, StackMut};
use crate::error::Result;

impl BiasActivation<f32> for Cuda {
    fn bias_activation_raw(
        &self,
        y: StackMut<'_, Self, f32>,
        bias: Stack<'_, Self, f32>,
        relu: bool,
        dropout: Option<Dropout<'_, Self>>,
    ) -> Result<()> {
        let clock = dropout.as_ref().map_or(CudaView::null(), |d| d.clock.view);
        let (layer, rate) = dropout.map_or((0, 0.0), |d| (d.layer, d.rate));
        let [n, width, stride, bias_stride] = [y.rows * y.cols, y.cols, y.stride, bias.stride].map(|n| n as u32);
        let (relu, threshold, scale) = (u32::from(relu), threshold(rate), keep_scale::<f32>(rate));
        self.launch(
            "bias_activation",
            "bias_activation",
            Grid::by_fours(n as usize, y.runs),
            &[&y.view, &bias.view, &clock, &n, &width, &stride, &bias_stride, &relu, &layer, &threshold, &scale],
        )
    }

    fn bias_activation_gradient_raw(
        &self,
        rate: f32,
        y: Stack<'_, Self, f32>,
        dy: StackMut<'_, Self, f32>,
    ) -> Result<()> {
        let [n, stride, dy_stride] = [y.rows * y.cols, y.stride, dy.stride].map(|n| n as u32);
        let grid = Grid::by_fours(n as usize, y.runs);
        let scale = keep_scale::<f32>(rate);
        let arguments: [&dyn Argument; 6] = [&y.view, &dy.view, &n, &stride, &dy_stride, &scale];
        self.launch("bias_activation", "bias_activation_gradient", grid, &arguments)
    }
}
