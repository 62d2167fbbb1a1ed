//! Launches `kernels/linear.cu`, a block for each tile of outputs, or `kernels/linear_wgmma.cu`.

use super::cuda_weights::CudaWeights;
use super::{Epilogue, Linear, LinearTensors, LinearWeights, Precision, Rotation};
use crate::backend::cuda::{Argument, CudaView, CudaViewMut, Grid};
use crate::backend::{Activation, Cuda, MatrixMut};
use crate::error::{Error, Result};

/// Bytes of shared memory of a block.
const SHARED: usize = 65_536;

/// What the kernels take beside the matrices.
pub(super) struct Extras<'a> {
    pub positions: CudaView<'a, u32>,
    pub cos: CudaView<'a, f32>,
    pub sin: CudaView<'a, f32>,
    pub d_head: usize,
    pub scale: f32,
}

impl<'a> Extras<'a> {
    pub(super) fn of(rotation: &Rotation<'a, Cuda>) -> Self {
        let Rotation { positions, cos, sin, scale } = rotation;
        Self { positions: positions.view, cos: cos.view, sin: sin.view, d_head: 2 * cos.cols, scale: *scale }
    }

    pub(super) fn none() -> Self {
        let (cos, sin) = (CudaView::null(), CudaView::null());
        Self { positions: CudaView::null(), cos, sin, d_head: 0, scale: 1.0 }
    }
}

/// Side of the tiles and columns of one: small ones where large ones would leave multiprocessors without work. Both give
/// the same bits.
fn tile(multiprocessors: usize, m: usize, n: usize, d_head: usize) -> (usize, usize) {
    let columns = |side: usize| side.checked_div(d_head).map_or(side, |heads| heads * d_head);
    let large = m.div_ceil(128) * n.div_ceil(columns(128).max(1));
    let side = if d_head > 64 || large >= multiprocessors { 128 } else { 64 };
    (side, columns(side))
}

impl Cuda {
    fn launch_linear<A: Activation>(
        &self,
        epilogue: &str,
        n_rows: usize,
        x: CudaView<'_, A>,
        weights: &CudaWeights,
        extras: &Extras<'_>,
        y: &CudaViewMut<'_, A>,
    ) -> Result<()> {
        if let Some(launch) = self.linear_by_warpgroups(epilogue, n_rows, x, weights, extras, y) {
            return launch;
        }
        let n = weights.n_rows();
        let (side, columns) = tile(self.info().multiprocessors, n_rows, n, extras.d_head);
        let blocks = [n_rows.div_ceil(side) * n.div_ceil(columns.max(1)), 1];
        let grid = Grid { blocks, threads: 128, shared: SHARED };
        let kernel = format!("linear_{}_{epilogue}_{side}", A::NAME);
        let [m, n, k, d_head] = [n_rows, n, weights.d_in(), extras.d_head].map(|size| size as i32);
        let bias = weights.bias(self);
        let beta = weights.beta().unwrap_or(1.0);
        let Extras { positions, cos, sin, scale, .. } = extras;
        let run = |values: &dyn Argument| {
            let arguments: [&dyn Argument; 13] =
                [&x, values, &bias, y, &m, &n, &k, &beta, positions, cos, sin, &d_head, scale];
            self.launch("linear", &kernel, grid, &arguments)
        };
        match (A::NAME, weights.halves(self), weights.singles(self)) {
            ("f16", Some(values), _) => run(&values),
            ("f32", _, Some(values)) => run(&values),
            (name, ..) => Err(Error::Shape {
                op: "linear",
                expected: format!("weights in {name}, as the activations"),
                found: weights.precision().name().to_owned(),
            }),
        }
    }
}

impl Linear for Cuda {
    type Weights = CudaWeights;

    fn load_linear(&self, tensors: LinearTensors<'_>, precision: Precision) -> Result<CudaWeights> {
        CudaWeights::load(self, tensors, precision)
    }

    fn linear_raw<A: Activation>(
        &self,
        n_rows: usize,
        x: CudaView<'_, A>,
        weights: &CudaWeights,
        epilogue: Epilogue,
        y: CudaViewMut<'_, A>,
    ) -> Result<()> {
        self.launch_linear(epilogue.name(), n_rows, x, weights, &Extras::none(), &y)
    }

    fn linear_rope_raw<A: Activation>(
        &self,
        x: CudaView<'_, A>,
        weights: &CudaWeights,
        rotation: Rotation<'_, Self>,
        qkv: MatrixMut<'_, Self, A>,
    ) -> Result<()> {
        self.launch_linear("rope", qkv.rows, x, weights, &Extras::of(&rotation), &qkv.view)
    }
}
