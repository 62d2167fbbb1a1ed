//! CPU twin: rows of dot products for a linear layer in f32, the `gemm` crate for the rest; AVX-512, AVX2 or portable,
//! chosen at run time. Work is split into blocks of fixed size, so that the number of threads changes no bit.

use ::gemm::Parallelism;
use rayon::prelude::*;

use super::row_dots::RowDots;
use super::{Extent, Gemm, Product};
use crate::backend::{Cpu, Real};
use crate::error::Result;

/// Rows of C that one task computes.
const BLOCK_ROWS: usize = 16;
/// Below this many multiply-adds a second thread costs more than it brings.
const SERIAL_WORK: usize = 1 << 18;

impl Gemm for Cpu {
    fn gemm_raw<T: Real>(
        &self,
        product: Product,
        extent: Extent,
        a: &[T],
        b: &[T],
        accumulate: bool,
        c: &mut [T],
    ) -> Result<()> {
        let Extent { m, n, k } = extent;
        assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n, "the op's door checks shapes");
        if k == 0 && !accumulate {
            c.fill(T::ZERO);
        }
        if m * n * k == 0 {
            return Ok(());
        }
        let block = |(i, c): (usize, &mut [T])| {
            if product == Product::Nt && T::NAME == "f32" {
                let a = bytemuck::cast_slice(&a[i * BLOCK_ROWS * k..][..c.len() / n * k]);
                let (b, c) = (bytemuck::cast_slice(b), bytemuck::cast_slice_mut(c));
                self.isa.dispatch(RowDots { k, a, b, accumulate, c });
            } else {
                rows(product, extent, i * BLOCK_ROWS, a, b, accumulate, c);
            }
        };
        if self.threads > 1 && m > BLOCK_ROWS && m * n * k > SERIAL_WORK {
            c.par_chunks_mut(BLOCK_ROWS * n).enumerate().for_each(block);
        } else {
            c.chunks_mut(BLOCK_ROWS * n).enumerate().for_each(block);
        }
        Ok(())
    }
}

/// The rows of C from `first` on that `c` holds.
#[allow(unsafe_code)]
fn rows<T: Real>(product: Product, extent: Extent, first: usize, a: &[T], b: &[T], accumulate: bool, c: &mut [T]) {
    let Extent { m, n, k } = extent;
    let rows = c.len() / n;
    let (a_row, a_col) = if product == Product::Tn { (1, m) } else { (k, 1) };
    let (b_row, b_col) = if product == Product::Nt { (1, k) } else { (n, 1) };
    let a = &a[first * a_row..];
    assert!(a.len() > (rows - 1) * a_row + (k - 1) * a_col && b.len() == k * n && c.len() == rows * n);
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
            accumulate,
            a.as_ptr(),
            a_col as isize,
            a_row as isize,
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
