//! CPU twin: the `gemm` crate with run-time choice of AVX-512, AVX2 or portable kernels.

use ::gemm::Parallelism;

use super::{Extent, Gemm, Product};
use crate::backend::{Cpu, Real};
use crate::error::Result;

/// Below this many multiply-adds a second thread costs more than it brings.
const WORK_PER_THREAD: usize = 1 << 20;

impl Gemm for Cpu {
    #[allow(unsafe_code)]
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
        if k == 0 {
            if !accumulate {
                c.fill(T::ZERO);
            }
            return Ok(());
        }
        let (a_row, a_col) = if product == Product::Tn { (1, m) } else { (k, 1) };
        let (b_row, b_col) = if product == Product::Nt { (1, k) } else { (n, 1) };
        let threads = self.threads.min(m * n * k / WORK_PER_THREAD + 1);
        let parallelism = if threads > 1 { Parallelism::Rayon(threads) } else { Parallelism::None };
        assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n, "the op's door checks shapes");
        // SAFETY: the three slices hold exactly the elements that the extents and strides address (asserted above),
        // `c` is borrowed mutably and overlaps neither operand, and `T` is f32 or f64, which the crate supports.
        unsafe {
            ::gemm::gemm(
                m,
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
                parallelism,
            );
        }
        Ok(())
    }
}
