//! Matrix product `C = op(A)·op(B)`, accumulated in the element type.

mod cpu;
mod row_dots;

use crate::backend::{Matrix, MatrixMut, Memory, Real, expect_shape};
use crate::error::Result;

/// Which operand is read transposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// `C[m,n] = A[m,k] · B[n,k]ᵀ`: a linear layer, with weights `[out, in]`.
    Nt,
    /// `C[m,n] = A[m,k] · B[k,n]`: the gradient of a layer's input.
    Nn,
    /// `C[m,n] = A[k,m]ᵀ · B[k,n]`: the gradient of a layer's weights.
    Tn,
}

/// Sizes of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// Terms of each sum.
    pub k: usize,
}

/// The device side of [`gemm()`].
pub trait Gemm: Memory {
    /// See [`gemm()`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn gemm_raw<T: Real>(
        &self,
        product: Product,
        extent: Extent,
        a: Self::View<'_, T>,
        b: Self::View<'_, T>,
        accumulate: bool,
        c: Self::ViewMut<'_, T>,
    ) -> Result<()>;
}

/// `C = op(A)·op(B)`, or `C += …` with `accumulate`. The order of each sum depends on the extents only.
///
/// # Errors
/// When the shapes do not fit `product`.
pub fn gemm<B: Gemm, T: Real>(
    backend: &B,
    product: Product,
    a: Matrix<'_, B, T>,
    b: Matrix<'_, B, T>,
    accumulate: bool,
    c: MatrixMut<'_, B, T>,
) -> Result<()> {
    let (m, k) = if product == Product::Tn { (a.cols, a.rows) } else { (a.rows, a.cols) };
    let n = c.cols;
    expect_shape("gemm", "B", if product == Product::Nt { [n, k] } else { [k, n] }, b.shape())?;
    expect_shape("gemm", "C", [m, n], c.shape())?;
    backend.gemm_raw(product, Extent { m, n, k }, a.view, b.view, accumulate, c.view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;

    fn numbers(n: usize, seed: u32) -> Vec<f64> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from(state >> 8) / f64::from(1 << 23) - 1.0
            })
            .collect()
    }

    fn naive(product: Product, e: Extent, a: &[f64], b: &[f64]) -> Vec<f64> {
        let at = |i: usize, l: usize| if product == Product::Tn { a[l * e.m + i] } else { a[i * e.k + l] };
        let bt = |l: usize, j: usize| if product == Product::Nt { b[j * e.k + l] } else { b[l * e.n + j] };
        let mut c = vec![0.0; e.m * e.n];
        for i in 0..e.m {
            for j in 0..e.n {
                c[i * e.n + j] = (0..e.k).map(|l| at(i, l) * bt(l, j)).sum();
            }
        }
        c
    }

    fn agrees<B: Gemm>(backend: &B, product: Product, e: Extent) {
        let (a, b) = (numbers(e.m * e.k, 1), numbers(e.k * e.n, 2));
        let [ar, ac] = if product == Product::Tn { [e.k, e.m] } else { [e.m, e.k] };
        let [br, bc] = if product == Product::Nt { [e.n, e.k] } else { [e.k, e.n] };
        let up = |host: &[f64]| {
            let host: Vec<f32> = host.iter().map(|&x| x as f32).collect();
            let mut buffer = backend.zeros::<f32>(host.len()).unwrap();
            backend.upload(&host, backend.view_mut(&mut buffer, 0..host.len())).unwrap();
            buffer
        };
        let (da, db) = (up(&a), up(&b));
        let mut dc = up(&vec![1.0; e.m * e.n]);
        for (accumulate, start) in [(true, 1.0), (false, 0.0)] {
            let c = MatrixMut::of(backend, &mut dc, e.m, e.n);
            gemm(backend, product, Matrix::of(backend, &da, ar, ac), Matrix::of(backend, &db, br, bc), accumulate, c)
                .unwrap();
            let mut host = vec![0f32; e.m * e.n];
            backend.download(backend.view(&dc, 0..e.m * e.n), &mut host).unwrap();
            for (got, want) in host.iter().zip(naive(product, e, &a, &b)) {
                let want = want + start;
                // k products below 1 in f32: the error of a sum is at most k·2⁻²³ of its size; measured 6e-6 at k = 300.
                assert!((f64::from(*got) - want).abs() < 2e-5, "{product:?} {e:?}: {got} for {want}");
            }
        }
    }

    #[test]
    fn products_agree_with_a_naive_f64_reference() {
        for product in [Product::Nt, Product::Nn, Product::Tn] {
            for (m, n, k) in [(1, 1, 1), (1, 7, 3), (5, 1, 9), (32, 64, 300), (17, 33, 65), (3, 5, 1)] {
                for threads in [1, 2] {
                    agrees(&Cpu::with_threads(threads), product, Extent { m, n, k });
                }
            }
        }
    }

    #[test]
    fn a_row_of_a_linear_layer_depends_on_no_other_row() {
        let backend = Cpu::single();
        for (n, k) in [(1, 64), (3, 300), (64, 512), (70, 33)] {
            let host = |len: usize, seed: u32| numbers(len, seed).into_iter().map(|x| x as f32).collect::<Vec<f32>>();
            let (a, b) = (host(65 * k, 3), host(n * k, 4));
            let product = |m: usize| {
                let mut c = vec![0f32; m * n];
                let (a, b) = (Matrix::of(&backend, &a, m, k), Matrix::of(&backend, &b, n, k));
                gemm(&backend, Product::Nt, a, b, false, MatrixMut::of(&backend, &mut c, m, n)).unwrap();
                c
            };
            let whole = product(65);
            for m in 1..65 {
                assert_eq!(product(m), whole[..m * n], "m = {m}, n = {n}, k = {k}");
            }
        }
    }

    #[test]
    fn an_empty_sum_is_zero() {
        let backend = Cpu::single();
        let (a, b, mut c) = (vec![], vec![], vec![3f32; 6]);
        let c_view = MatrixMut::of(&backend, &mut c, 2, 3);
        gemm(&backend, Product::Nt, Matrix::of(&backend, &a, 2, 0), Matrix::of(&backend, &b, 3, 0), false, c_view)
            .unwrap();
        assert_eq!(c, vec![0.0; 6]);
    }

    #[test]
    fn wrong_shapes_are_refused_by_name() {
        let backend = Cpu::single();
        let (a, b, mut c) = (vec![0f32; 6], vec![0f32; 6], vec![0f32; 4]);
        let error = gemm(
            &backend,
            Product::Nt,
            Matrix::of(&backend, &a, 2, 3),
            Matrix::of(&backend, &b, 3, 2),
            false,
            MatrixMut::of(&backend, &mut c, 2, 2),
        )
        .unwrap_err();
        assert!(error.to_string().contains("gemm: expected B [2, 3], found [3, 2]"), "{error}");
    }
}
