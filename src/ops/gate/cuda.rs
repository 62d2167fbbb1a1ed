//! Launches `kernels/gate.cu`: a thread for four numbers of a run.

use super::{Gate, GateInputs};
use crate::backend::cuda::{Argument, CudaView, Grid};
use crate::backend::{Cuda, Stack, StackMut};
use crate::error::Result;

/// Numbers of a run's x, those of a row, and the distances of the inputs: of the runs of g, of its rows, of p and r.
fn sizes(inputs: &GateInputs<'_, Cuda, f32>) -> [u32; 6] {
    let GateInputs { g, p, r } = inputs;
    let g_row = if g.rows == 1 { 0 } else { g.cols };
    [p.rows * p.cols, p.cols, g.stride, g_row, p.stride, r.stride].map(|n| n as u32)
}

impl Gate<f32> for Cuda {
    fn gate_raw(&self, inputs: &GateInputs<'_, Self, f32>, x: StackMut<'_, Self, f32>) -> Result<()> {
        let [n, width, g, g_row, p, r] = sizes(inputs);
        let operands = [inputs.g.view, inputs.p.view, inputs.r.view];
        let stride = x.stride as u32;
        let arguments: [&dyn Argument; 11] =
            [&operands[0], &operands[1], &operands[2], &n, &width, &g, &g_row, &p, &r, &x.view, &stride];
        self.launch("gate", "gate", Grid::by_fours(n as usize, x.runs), &arguments)
    }

    fn gate_gradient_raw(
        &self,
        inputs: &GateInputs<'_, Self, f32>,
        dx: Stack<'_, Self, f32>,
        dg: Option<StackMut<'_, Self, f32>>,
        dp: StackMut<'_, Self, f32>,
        dr: StackMut<'_, Self, f32>,
    ) -> Result<()> {
        let [n, width, g, g_row, p, r] = sizes(inputs);
        let operands = [inputs.g.view, inputs.p.view, inputs.r.view];
        let strides = [dx.stride, dg.as_ref().map_or(0, |dg| dg.stride), dp.stride, dr.stride].map(|n| n as u32);
        let nowhere = CudaView::<f32>::null();
        let dg: &dyn Argument = dg.as_ref().map_or(&nowhere, |dg| &dg.view);
        let arguments: [&dyn Argument; 17] = [
            &operands[0],
            &operands[1],
            &operands[2],
            &n,
            &width,
            &g,
            &g_row,
            &p,
            &r,
            &dx.view,
            &strides[0],
            dg,
            &strides[1],
            &dp.view,
            &strides[2],
            &dr.view,
            &strides[3],
        ];
        self.launch("gate", "gate_gradient", Grid::by_fours(n as usize, dx.runs), &arguments)
    }

    fn join_rows_raw(
        &self,
        p: Stack<'_, Self, f32>,
        r: Stack<'_, Self, f32>,
        joined: StackMut<'_, Self, f32>,
    ) -> Result<()> {
        let grid = Grid::by_fours(joined.rows * joined.cols, joined.runs);
        let sizes = joined_sizes([p.rows, p.cols, r.cols], [p.stride, r.stride, joined.stride]);
        let [n, p_width, r_width, p_stride, r_stride, stride] = &sizes;
        let arguments: [&dyn Argument; 9] =
            [&p.view, &r.view, &joined.view, n, p_width, r_width, p_stride, r_stride, stride];
        self.launch("gate", "join_rows", grid, &arguments)
    }

    fn split_rows_raw(
        &self,
        joined: Stack<'_, Self, f32>,
        accumulate: bool,
        p: StackMut<'_, Self, f32>,
        r: StackMut<'_, Self, f32>,
    ) -> Result<()> {
        let grid = Grid::by_fours(joined.rows * joined.cols, joined.runs);
        let sizes = joined_sizes([p.rows, p.cols, r.cols], [p.stride, r.stride, joined.stride]);
        let [n, p_width, r_width, p_stride, r_stride, stride] = &sizes;
        let accumulate = u32::from(accumulate);
        let arguments: [&dyn Argument; 10] =
            [&p.view, &r.view, &joined.view, n, p_width, r_width, p_stride, r_stride, stride, &accumulate];
        self.launch("gate", "split_rows", grid, &arguments)
    }
}

/// Numbers of a run's joined rows, widths of both parts, and the distances of the runs.
fn joined_sizes([rows, p, r]: [usize; 3], [p_stride, r_stride, stride]: [usize; 3]) -> [u32; 6] {
    [rows * (p + r), p, r, p_stride, r_stride, stride].map(|n| n as u32)
}
