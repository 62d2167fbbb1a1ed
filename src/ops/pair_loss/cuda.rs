//! Launches `kernels/pair_loss.cu`: a block for each run.

use super::{Loss, PairLoss};
use crate::backend::cuda::{Argument, Grid};
use crate::backend::{Cuda, Stack, StackMut};
use crate::error::Result;

impl PairLoss<f32> for Cuda {
    fn pair_loss_raw(
        &self,
        loss: Loss,
        logits: Stack<'_, Self, f32>,
        labels: Stack<'_, Self, f32>,
        gradient: StackMut<'_, Self, f32>,
        totals: StackMut<'_, Self, f64>,
    ) -> Result<()> {
        let grid = Grid { blocks: [1, logits.runs], threads: 256, shared: 2 * 256 * size_of::<f64>() };
        let strides = [logits.stride, labels.stride, gradient.stride, totals.stride].map(|stride| stride as u32);
        let (n, squared) = ((logits.rows * logits.cols) as u32, u32::from(loss == Loss::SquaredError));
        let arguments: [&dyn Argument; 10] = [
            &logits.view,
            &labels.view,
            &gradient.view,
            &totals.view,
            &n,
            &strides[0],
            &strides[1],
            &strides[2],
            &strides[3],
            &squared,
        ];
        self.launch("pair_loss", "pair_loss", grid, &arguments)
    }
}
