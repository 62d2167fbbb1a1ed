//! CPU twin: two kernels in f32, one in f64 for exact scores, the definition for the other product in f64, in which derivations
//! are checked. Columns or rows of C are split into blocks over the threads; no sum depends on the blocks.

use rayon::prelude::*;

use super::nn::Nn;
use super::nt::Nt;
use super::panels::panels;
use super::row_dots::RowDots;
use super::{Gemm, Product};
use crate::backend::{Cpu, Real, Stack, StackMut};
use crate::error::Result;

/// Columns of one task: whole tiles of both kernels.
const BLOCK_COLUMNS: usize = 96;
/// Rows of A that are packed together: their panels stay in the second-level cache while B passes.
const BLOCK_ROWS: usize = 256;
/// Below this many multiply-adds a second thread costs more than it brings.
const SERIAL_WORK: usize = 1 << 18;

impl<T: Real> Gemm<T> for Cpu {
    fn gemm_raw(
        &self,
        product: Product,
        a: Stack<'_, Self, T>,
        b: Stack<'_, Self, T>,
        mut c: StackMut<'_, Self, T>,
    ) -> Result<()> {
        let (n, k) = (c.cols, a.cols);
        for run in 0..c.runs {
            let (a, b, c) = (a.matrix(run), b.matrix(run), c.matrix(run));
            c.fill(T::ZERO);
            if n * k == 0 {
                continue;
            }
            if T::NAME == "f32" {
                let (a, c) = (bytemuck::cast_slice(a), bytemuck::cast_slice_mut(c));
                for (a, c) in a.chunks(BLOCK_ROWS * k).zip(c.chunks_mut(BLOCK_ROWS * n)) {
                    self.rows(product, [n, k], a, bytemuck::cast_slice(b), c);
                }
            } else if T::NAME == "f64" && product == Product::Nt {
                self.row_dots(k, bytemuck::cast_slice(a), bytemuck::cast_slice(b), bytemuck::cast_slice_mut(c));
            } else {
                by_definition(product, [n, k], a, b, c);
            }
        }
        Ok(())
    }
}

impl Cpu {
    /// `A·Bᵀ` in f64.
    fn row_dots(&self, k: usize, a: &[f64], b: &[f64], c: &mut [f64]) {
        /// Rows of C of one task.
        const ROWS: usize = 16;
        let n = b.len() / k;
        let compute = |(a, c)| self.isa.dispatch(RowDots { k, a, b, c });
        if self.threads > 1 && c.len() * k > SERIAL_WORK {
            a.par_chunks(ROWS * k).zip(c.par_chunks_mut(ROWS * n)).for_each(compute);
        } else {
            compute((a, c));
        }
    }

    /// The rows of C, which are zero, of as many rows of A.
    fn rows(&self, product: Product, [n, k]: [usize; 2], a: &[f32], b: &[f32], c: &mut [f32]) {
        let many = self.threads > 1 && c.len() * k > SERIAL_WORK;
        let width = if many { BLOCK_COLUMNS } else { n };
        let mut blocks: Vec<Vec<&mut [f32]>> = (0..n.div_ceil(width)).map(|_| Vec::new()).collect();
        for row in c.chunks_mut(n) {
            blocks.iter_mut().zip(row.chunks_mut(width)).for_each(|(block, part)| block.push(part));
        }
        let a = &panels(a, k);
        let compute = |(i, c): (usize, &mut Vec<&mut [f32]>)| {
            let first = i * width;
            match product {
                Product::Nt => self.isa.dispatch(Nt { k, a, b: &b[first * k..(n.min(first + width)) * k], c }),
                Product::Nn => self.isa.dispatch(Nn { k, a, b, n, first, c }),
            }
        };
        if many {
            blocks.par_iter_mut().enumerate().for_each(compute);
        } else {
            blocks.iter_mut().enumerate().for_each(compute);
        }
    }
}

/// Adds the product to C.
fn by_definition<T: Real>(product: Product, [n, k]: [usize; 2], a: &[T], b: &[T], c: &mut [T]) {
    let (b_row, b_col) = if product == Product::Nt { (1, k) } else { (n, 1) };
    for (a, c) in a.chunks_exact(k).zip(c.chunks_exact_mut(n)) {
        for (l, &a) in a.iter().enumerate() {
            for (j, c) in c.iter_mut().enumerate() {
                *c += a * b[l * b_row + j * b_col];
            }
        }
    }
}
