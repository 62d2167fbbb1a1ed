//! CPU twin: rows of dot products for a linear layer in f32, the `gemm` crate for the rest; AVX-512, AVX2 or portable,
//! chosen at run time. Work is split into blocks of fixed size, so that the number of threads changes no bit.

use ::gemm::Parallelism;
use rayon::prelude::*;

use super::row_dots::RowDots;
use super::row_dots_f64::RowDotsF64;
use super::{Gemm, Product};
use crate::backend::{Cpu, Real, Stack, StackMut};
use crate::error::Result;

/// Rows of C that one task computes.
const BLOCK_ROWS: usize = 16;
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
        for run in 0..c.runs {
            self.product(product, [a.rows, c.cols, a.cols], a.matrix(run), b.matrix(run), c.matrix(run));
        }
        Ok(())
    }
}

impl Cpu {
    /// One product, `[m, n, k]`.
    fn product<T: Real>(&self, product: Product, [m, n, k]: [usize; 3], a: &[T], b: &[T], c: &mut [T]) {
        if m * n * k == 0 {
            c.fill(T::ZERO);
            return;
        }
        let block = |(i, c): (usize, &mut [T])| {
            let a = &a[i * BLOCK_ROWS * k..][..c.len() / n * k];
            if product == Product::Nt && T::NAME == "f32" {
                let (a, b, c) = (bytemuck::cast_slice(a), bytemuck::cast_slice(b), bytemuck::cast_slice_mut(c));
                self.isa.dispatch(RowDots { k, a, b, c });
            } else if product == Product::Nt && T::NAME == "f64" {
                let (a, b, c) = (bytemuck::cast_slice(a), bytemuck::cast_slice(b), bytemuck::cast_slice_mut(c));
                self.isa.dispatch(RowDotsF64 { k, a, b, c });
            } else {
                rows(product, [n, k], a, b, c);
            }
        };
        if self.threads > 1 && m > BLOCK_ROWS && m * n * k > SERIAL_WORK {
            c.par_chunks_mut(BLOCK_ROWS * n).enumerate().for_each(block);
        } else {
            c.chunks_mut(BLOCK_ROWS * n).enumerate().for_each(block);
        }
    }
}

/// The rows of C that `c` holds, of as many rows of A.
#[allow(unsafe_code)]
fn rows<T: Real>(product: Product, [n, k]: [usize; 2], a: &[T], b: &[T], c: &mut [T]) {
    let rows = c.len() / n;
    let (b_row, b_col) = if product == Product::Nt { (1, k) } else { (n, 1) };
    assert!(a.len() == rows * k && b.len() == k * n && c.len() == rows * n);
    // SAFETY: by the assertion above the last element that the strides reach lies in each slice, `c` is borrowed mutably
    // and overlaps neither operand, and `T` is f32 or f64, which the crate supports.
    unsafe {
        ::gemm::gemm(
            rows,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.as_ptr(),
            1,
            k as isize,
            b.as_ptr(),
            b_col as isize,
            b_row as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
