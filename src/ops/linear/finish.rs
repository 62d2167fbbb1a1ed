//! What becomes of a tile of sums while it is in registers: bias, activation, residual, and its place in `y`.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use std::marker::PhantomData;
use std::ops::Range;

use pulp::Simd;

use super::Epilogue;
use super::prefetch::prefetch_line;
use crate::ops::elementwise::{gelu, swish};

/// Bias and epilogue of a layer.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a> {
    /// Bias of each branch, `[d_out]` or empty.
    pub biases: &'a [Vec<f32>],
    /// What follows.
    pub epilogue: Epilogue,
    /// The β of a `SwiGLU`.
    pub beta: f32,
}

/// `y`, written by several threads, each in columns of its own.
#[derive(Clone, Copy)]
pub(super) struct Output<'a> {
    start: *mut f32,
    n_rows: usize,
    width: usize,
    of: PhantomData<&'a mut [f32]>,
}

// SAFETY: the tasks of a product write disjoint columns or rows, so no number is reached by two threads.
#[allow(unsafe_code)]
unsafe impl Send for Output<'_> {}
// SAFETY: as for Send; nothing is read through a shared reference that another task writes.
#[allow(unsafe_code)]
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    /// `y [rows, width]`.
    pub(super) fn new(y: &'a mut [f32], width: usize) -> Self {
        Self { start: y.as_mut_ptr(), n_rows: y.len() / width.max(1), width, of: PhantomData }
    }

    /// `len` numbers of `row` from `column` on.
    // SAFETY: the caller holds no other slice of them, nor does another thread.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn part(self, row: usize, column: usize, len: usize) -> &'a mut [f32] {
        assert!(row < self.n_rows && column + len <= self.width);
        // SAFETY: in bounds of the borrowed slice by the assertion, and nobody else's by the contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(row * self.width + column), len) }
    }
}

/// A vector, 0 where `from` is shorter.
#[inline(always)]
fn load<S: Simd>(simd: S, from: &[f32]) -> S::f32s {
    match S::as_simd_f32s(from) {
        (&[whole], []) => whole,
        _ => simd.partial_load_f32s(from),
    }
}

impl Finish<'_> {
    /// Asks for the places of `y` that [`Self::tile`] will write, while the sums are computed.
    #[inline(always)]
    pub(super) fn announce<S: Simd>(
        self,
        simd: S,
        columns: usize,
        panel: usize,
        rows: Range<usize>,
        output: Output<'_>,
    ) {
        let own = self.own_columns(columns);
        let len = output.width.saturating_sub(panel * own).min(own);
        for row in rows {
            for column in (0..len).step_by(16) {
                prefetch_line(simd, output.start.wrapping_add(row * output.width + panel * own + column));
            }
        }
    }

    /// Columns of a panel that become outputs.
    fn own_columns(self, columns: usize) -> usize {
        if self.epilogue == Epilogue::SwiGlu { columns / 2 } else { columns }
    }

    /// Finishes the sums `z [rows, columns]` of `panel`, whose rows begin at `first_row`. Each branch has an equal part
    /// of the columns.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) fn tile<S: Simd>(
        self,
        simd: S,
        z: &[f32],
        columns: usize,
        panel: usize,
        first_row: usize,
        output: Output<'_>,
    ) {
        let own = self.own_columns(columns);
        for at in (0..own).step_by(S::F32_LANES) {
            let column = panel * own + at;
            let len = output.width.saturating_sub(column).min(S::F32_LANES);
            if len == 0 {
                return;
            }
            let bias = |branch: usize| match self.biases.get(branch).and_then(|bias| bias.get(column..column + len)) {
                Some(bias) => simd.partial_load_f32s(bias),
                None => simd.splat_f32s(0.0),
            };
            let (bias_0, bias_1) = (bias(0), bias(1));
            for (i, z) in z.chunks_exact(columns).enumerate() {
                // SAFETY: a panel and a tile of rows meet once, in one task, and this slice ends before the next begins.
                let y = unsafe { output.part(first_row + i, column, len) };
                let sum = simd.add_f32s(load(simd, &z[at..at + S::F32_LANES]), bias_0);
                let value = match self.epilogue {
                    Epilogue::Store => sum,
                    Epilogue::Add => simd.add_f32s(load(simd, y), sum),
                    Epilogue::Gelu => gelu(simd, sum),
                    Epilogue::Relu => {
                        // A comparison with NaN is false, so NaN passes.
                        let zero = simd.splat_f32s(0.0);
                        simd.select_f32s(simd.less_than_f32s(sum, zero), zero, sum)
                    }
                    Epilogue::SwiGlu => {
                        let gate = load(simd, &z[own + at..own + at + S::F32_LANES]);
                        simd.mul_f32s(swish(simd, self.beta, sum), simd.add_f32s(gate, bias_1))
                    }
                };
                match S::as_mut_simd_f32s(y) {
                    ([whole], []) => *whole = value,
                    _ => simd.partial_store_f32s(y, value),
                }
            }
        }
    }
}
