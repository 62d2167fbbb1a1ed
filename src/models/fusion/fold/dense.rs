//! Linear layers in f64, and how large they can make what passes through them.

use super::super::layout::Linear;
use crate::backend::{Cpu, Matrix, MatrixMut, Stack, expect_shape};
use crate::error::Result;
use crate::ops::gemm::{Product, gemm};
use crate::ops::pair_score::HeadLayer;

/// `y = x·Wᵀ + b`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dense {
    /// `[d_out, d_in]`.
    pub weight: Vec<f64>,
    /// `[d_out]`.
    pub bias: Vec<f64>,
    pub d_in: usize,
    pub d_out: usize,
}

impl Dense {
    /// A layer of a network with these parameters.
    pub fn of(linear: &Linear, parameters: &[f32]) -> Self {
        let wide = |range: std::ops::Range<usize>| parameters[range].iter().map(|&x| f64::from(x)).collect();
        Self {
            weight: wide(linear.weight.range()),
            bias: wide(linear.bias.range()),
            d_in: linear.weight.cols,
            d_out: linear.weight.rows,
        }
    }

    /// Some of its outputs, each times a factor.
    pub fn outputs(&self, chosen: impl IntoIterator<Item = (usize, f64)>) -> Self {
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for (output, factor) in chosen {
            weight.extend(self.weight[output * self.d_in..][..self.d_in].iter().map(|w| w * factor));
            bias.push(self.bias[output] * factor);
        }
        Self { weight, d_out: bias.len(), bias, d_in: self.d_in }
    }

    /// It reads a part of what it read, from `first` on, each input times its factor.
    pub fn inputs(&self, first: usize, factors: &[f64]) -> Self {
        let row = |row: &[f64]| row[first..].iter().zip(factors).map(|(w, f)| w * f).collect::<Vec<_>>();
        Self {
            weight: self.weight.chunks_exact(self.d_in).flat_map(row).collect(),
            bias: self.bias.clone(),
            d_in: factors.len(),
            d_out: self.d_out,
        }
    }

    pub fn without_bias(mut self) -> Self {
        self.bias.fill(0.0);
        self
    }

    /// `[n, d_out]` of `x [n, d_in]`. A row depends on the same row of x alone, bit for bit.
    ///
    /// # Errors
    /// When `x` is not whole rows.
    pub fn apply(&self, x: &[f64], relu: bool) -> Result<Vec<f64>> {
        let (cpu, n) = (Cpu::single(), x.len() / self.d_in);
        expect_shape("fold", "vectors", [n, self.d_in], [n, x.len().checked_div(n).unwrap_or(self.d_in)])?;
        let mut y = vec![0.0; n * self.d_out];
        let of = |rows, cols, view| Stack::from(Matrix { rows, cols, view });
        let out = MatrixMut { rows: n, cols: self.d_out, view: y.as_mut_slice() };
        gemm(&cpu, Product::Nt, of(n, self.d_in, x), of(self.d_out, self.d_in, &self.weight), out.into())?;
        for row in y.chunks_exact_mut(self.d_out) {
            for (y, b) in row.iter_mut().zip(&self.bias) {
                *y += b;
                if relu && *y < 0.0 {
                    *y = 0.0;
                }
            }
        }
        Ok(y)
    }

    /// Weights and biases in f32.
    pub fn rounded(&self) -> HeadLayer {
        let round = |values: &[f64]| values.iter().map(|&x| x as f32).collect();
        HeadLayer { weight: round(&self.weight), bias: round(&self.bias), d_in: self.d_in, d_out: self.d_out }
    }

    /// How large it can make what it reads.
    pub fn magnitude(&self) -> Magnitude {
        let frobenius = norm(&self.weight);
        Magnitude {
            frobenius,
            spectral: self.spectral().min(frobenius),
            bias: norm(&self.bias),
            d_in: self.d_in,
            root_size: ((self.d_in * self.d_out) as f64).sqrt(),
        }
    }

    /// An upper bound of ‖W‖₂: with G the smaller one of `WWᵀ` and `WᵀW`, `‖G‖₂ ≤ ‖G⁸‖_F^⅛`, at most 1.5 times too large
    /// for a thousand equal singular values.
    fn spectral(&self) -> f64 {
        /// Beyond this the products cost more than a sharper bound brings.
        const WIDEST: usize = 2048;
        /// Squarings of G.
        const SQUARINGS: u32 = 3;
        let n = self.d_in.min(self.d_out);
        if n > WIDEST {
            return f64::INFINITY;
        }
        let wide = self.d_out <= self.d_in;
        let [rows, cols] = if wide { [self.d_out, self.d_in] } else { [self.d_in, self.d_out] };
        let tall: Vec<f64>;
        let w = if wide {
            &self.weight
        } else {
            tall = (0..rows * cols).map(|i| self.weight[i % cols * self.d_in + i / cols]).collect();
            &tall
        };
        let times = |a: &[f64], k: usize| -> Vec<f64> {
            let mut g = vec![0.0; rows * rows];
            let of = |view| Stack::from(Matrix { rows, cols: k, view });
            let out = MatrixMut { rows, cols: rows, view: g.as_mut_slice() };
            // The matrices have these shapes by their making.
            let product = gemm(&Cpu::all_threads(), Product::Nt, of(a), of(a), out.into());
            product.map_or_else(|_| vec![f64::INFINITY; rows * rows], |()| g)
        };
        let mut g = times(w, cols);
        let mut exponent = 0.5;
        let mut scale = 1.0;
        for _ in 0..SQUARINGS {
            // G is symmetric, so G·Gᵀ is its square; scaled, so that no power overflows.
            let size = norm(&g);
            if size == 0.0 || !size.is_finite() {
                return size;
            }
            for x in &mut g {
                *x /= size;
            }
            scale *= size.powf(exponent);
            g = times(&g, rows);
            exponent /= 2.0;
        }
        // What f64 rounds on the way is below a part in 10⁹.
        scale * norm(&g).powf(exponent) * (1.0 + 1e-9)
    }
}

/// Bounds of a layer: `‖W·x‖ ≤ spectral·‖x‖`, `‖|W|·|x|‖ ≤ frobenius·‖x‖`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Magnitude {
    pub frobenius: f64,
    pub spectral: f64,
    pub bias: f64,
    pub d_in: usize,
    /// √(inputs · outputs).
    pub root_size: f64,
}

/// Euclidean norm.
pub(super) fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(d_out: usize, d_in: usize, weight: Vec<f64>) -> Dense {
        Dense { weight, bias: vec![0.5; d_out], d_in, d_out }
    }

    #[test]
    fn parts_and_products_by_hand() {
        let dense = layer(2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(dense.apply(&[1.0, 0.0, -1.0, 1.0, 1.0, 1.0], false).unwrap(), [-1.5, -1.5, 6.5, 15.5]);
        assert_eq!(dense.apply(&[1.0, 0.0, -1.0], true).unwrap(), [0.0, 0.0]);
        let part = dense.inputs(1, &[10.0, 0.5]);
        assert_eq!((part.weight, part.d_in), (vec![20.0, 1.5, 50.0, 3.0], 2));
        let rows = dense.outputs([(1, 2.0), (0, -1.0)]);
        assert_eq!((rows.weight, rows.bias), (vec![8.0, 10.0, 12.0, -1.0, -2.0, -3.0], vec![1.0, -0.5]));
    }

    #[test]
    fn the_spectral_bound_is_one_and_is_near() {
        // A diagonal matrix and a rotation of it: the largest singular value is 3.
        let (c, s) = (0.6, 0.8);
        let turned = layer(2, 3, vec![3.0 * c, 1.0 * s, 0.0, -3.0 * s, 1.0 * c, 0.0]);
        for dense in [layer(2, 3, vec![3.0, 0.0, 0.0, 0.0, 1.0, 0.0]), turned] {
            let found = dense.magnitude();
            assert!((3.0..3.01).contains(&found.spectral), "{found:?}");
            assert!((found.frobenius - 10f64.sqrt()).abs() < 1e-12);
        }
        // Equal singular values are the worst case of the bound.
        let identity = (0..64 * 64).map(|i| f64::from(u8::from(i % 65 == 0))).collect();
        let found = layer(64, 64, identity).magnitude().spectral;
        assert!((1.0..1.31).contains(&found), "{found}");
        assert_eq!(layer(3, 2, vec![0.0; 6]).magnitude().spectral, 0.0);
    }
}
