//! Matrix products of a layer and of the gradient of its input, one for each run of a cohort, accumulated in the element
//! type. The gradient of its weights is in [`weight_update`](super::weight_update).

mod cpu;
mod cuda;
mod nn;
mod nt;
mod panels;
mod row_dots;

use crate::backend::{Memory, Real, Stack, StackMut, expect_shape};
use crate::error::Result;

/// Which product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// `C[m,n] = A[m,k] · B[n,k]ᵀ`: a linear layer, with weights `[out, in]`.
    Nt,
    /// `C[m,n] = A[m,k] · B[k,n]`: the gradient of a layer's input.
    Nn,
}

/// The device side of [`gemm()`].
pub trait Gemm<T: Real>: Memory {
    /// See [`gemm()`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn gemm_raw(
        &self,
        product: Product,
        a: Stack<'_, Self, T>,
        b: Stack<'_, Self, T>,
        c: StackMut<'_, Self, T>,
    ) -> Result<()>;
}

/// `C = A·Bᵀ` or `C = A·B` of each run. The order of each sum depends on its length only.
///
/// # Errors
/// When the shapes do not fit `product`.
pub fn gemm<B: Gemm<T>, T: Real>(
    backend: &B,
    product: Product,
    a: Stack<'_, B, T>,
    b: Stack<'_, B, T>,
    c: StackMut<'_, B, T>,
) -> Result<()> {
    let (runs, n, k) = (a.runs, c.cols, a.cols);
    expect_shape("gemm", "B", if product == Product::Nt { [runs, n, k] } else { [runs, k, n] }, b.shape())?;
    expect_shape("gemm", "C", [runs, a.rows, n], c.shape())?;
    backend.gemm_raw(product, a, b, c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Cpu, Matrix, MatrixMut};

    /// Sizes of a product.
    #[derive(Debug, Clone, Copy)]
    struct Extent {
        m: usize,
        n: usize,
        k: usize,
    }

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
        let bt = |l: usize, j: usize| if product == Product::Nt { b[j * e.k + l] } else { b[l * e.n + j] };
        let mut c = vec![0.0; e.m * e.n];
        for i in 0..e.m {
            for j in 0..e.n {
                c[i * e.n + j] = (0..e.k).map(|l| a[i * e.k + l] * bt(l, j)).sum();
            }
        }
        c
    }

    fn b_shape(product: Product, Extent { n, k, .. }: Extent) -> [usize; 2] {
        if product == Product::Nt { [n, k] } else { [k, n] }
    }

    /// Two runs, each at a distance of one element more than its operands take.
    fn agrees<B: Gemm<f32>>(backend: &B, product: Product, e: Extent) {
        let [br, bc] = b_shape(product, e);
        let (strides, lengths) = ([e.m * e.k + 1, e.k * e.n + 1, e.m * e.n + 1], [e.m * e.k, e.k * e.n, e.m * e.n]);
        let (a, b) = (numbers(2 * strides[0], 1), numbers(2 * strides[1], 2));
        let up = |host: &[f64]| {
            let host: Vec<f32> = host.iter().map(|&x| x as f32).collect();
            backend.uploaded(&host).unwrap()
        };
        let (da, db, mut dc) = (up(&a), up(&b), up(&vec![1.0; 2 * strides[2]]));
        let a_stack = Stack::at(backend, &da, 0, strides[0], [2, e.m, e.k]);
        let b_stack = Stack::at(backend, &db, 0, strides[1], [2, br, bc]);
        let c_stack = StackMut::at(backend, &mut dc, 0, strides[2], [2, e.m, e.n]);
        gemm(backend, product, a_stack, b_stack, c_stack).unwrap();
        let mut host = vec![0f32; 2 * strides[2]];
        backend.download(backend.view(&dc, 0..host.len()), &mut host).unwrap();
        for run in 0..2 {
            let [a, b] = [(&a, 0), (&b, 1)].map(|(values, i)| &values[run * strides[i]..][..lengths[i]]);
            for (got, want) in host[run * strides[2]..].iter().zip(naive(product, e, a, b)) {
                // k products below 1 in f32: the error of a sum is at most k·2⁻²³ of its size; measured 6e-6 at k = 300.
                assert!((f64::from(*got) - want).abs() < 2e-5, "{product:?} {e:?}: {got} for {want}");
            }
            assert_eq!(host[run * strides[2] + lengths[2]], 1.0, "nothing is written between the runs");
        }
    }

    #[test]
    fn products_agree_with_a_naive_f64_reference() {
        for product in [Product::Nt, Product::Nn] {
            for (m, n, k) in [(1, 1, 1), (1, 7, 3), (5, 1, 9), (32, 64, 300), (17, 33, 65), (3, 5, 1), (33, 300, 70)] {
                for threads in [1, 2] {
                    agrees(&Cpu::with_threads(threads), product, Extent { m, n, k });
                }
            }
        }
    }

    #[test]
    fn a_row_depends_on_no_other_row_and_on_no_thread() {
        for (product, n, k) in
            [Product::Nt, Product::Nn].into_iter().flat_map(|p| [(p, 1, 64), (p, 3, 300), (p, 64, 512), (p, 70, 33)])
        {
            let host = |len: usize, seed: u32| numbers(len, seed).into_iter().map(|x| x as f32).collect::<Vec<f32>>();
            let (a, b) = (host(65 * k, 3), host(n * k, 4));
            let [br, bc] = b_shape(product, Extent { m: 1, n, k });
            let result = |threads: usize, m: usize| {
                let backend = Cpu::with_threads(threads);
                let mut c = vec![0f32; m * n];
                let (a, b) = (Matrix::of(&backend, &a, m, k), Matrix::of(&backend, &b, br, bc));
                gemm(&backend, product, a.into(), b.into(), MatrixMut::of(&backend, &mut c, m, n).into()).unwrap();
                c
            };
            let whole = result(1, 65);
            assert_eq!(result(2, 65), whole, "{product:?} n = {n}, k = {k}");
            for m in 1..65 {
                assert_eq!(result(1, m), whole[..m * n], "{product:?} m = {m}, n = {n}, k = {k}");
            }
        }
    }

    #[test]
    fn an_empty_sum_is_zero() {
        let backend = Cpu::single();
        for product in [Product::Nt, Product::Nn] {
            let (a, b, mut c) = (vec![], vec![], vec![3f32; 6]);
            let [br, bc] = b_shape(product, Extent { m: 2, n: 3, k: 0 });
            let (a, b) = (Matrix::of(&backend, &a, 2, 0), Matrix::of(&backend, &b, br, bc));
            gemm(&backend, product, a.into(), b.into(), MatrixMut::of(&backend, &mut c, 2, 3).into()).unwrap();
            assert_eq!(c, vec![0.0; 6]);
        }
    }

    #[test]
    fn wrong_shapes_are_refused_by_name() {
        let backend = Cpu::single();
        let (a, b, mut c) = (vec![0f32; 6], vec![0f32; 6], vec![0f32; 4]);
        let (a, b) = (Matrix::of(&backend, &a, 2, 3), Matrix::of(&backend, &b, 3, 2));
        let c = MatrixMut::of(&backend, &mut c, 2, 2);
        let error = gemm(&backend, Product::Nt, a.into(), b.into(), c.into()).unwrap_err();
        assert!(error.to_string().contains("gemm: expected B [1, 2, 3], found [1, 3, 2]"), "{error}");
    }
}
