//! Queries, keys and values of rows in eight bits, with the rotation of their positions.

use std::ops::Range;

use half::f16;

use super::Subject;
use super::bench::{Bench, Compared, largest, same_among_many, same_in_any_batch};
use super::linear::rows_of_a_wave;
use super::linear_e4m3::{meant, sum_error};
use super::numbers::{Operand, quantised, wide, widened_rows};
use super::reference::{self, Rounding};
use super::rope::Rope;
use crate::backend::{Activation, Cpu, E4m3};
use crate::error::Result;
use crate::ops::Backend;
use crate::ops::linear::e4m3::{ScaledRows, linear_rope_e4m3};
use crate::ops::linear::{LinearWeights, Precision};

const OP: &str = "linear_rope_e4m3";

struct Layer {
    rope: Rope<f16>,
    /// The rows of `rope` in eight bits.
    x: Vec<E4m3>,
    scales: Vec<f32>,
}

impl Layer {
    fn of(m: usize, n_heads: usize, d_head: usize, k: usize, biased: bool) -> Self {
        let rope = Rope::<f16>::of(m, n_heads, d_head, k, biased);
        let (x, scales) = quantised(&f16::widened(&rope.x), k);
        Self { rope, x, scales }
    }

    fn rows<B: Backend>(&self, device: &B, rows: Range<usize>) -> Result<(Vec<f16>, Option<String>)> {
        let (weights, k) = (self.rope.load(device, Precision::Fp8)?, self.rope.k);
        let d_in = weights.d_in();
        let x = Operand::new(device, &widened_rows(&self.x[rows.start * k..rows.end * k], k, d_in), d_in)?;
        let scales = Operand::new(device, &self.scales[rows.clone()], 1)?;
        let x = ScaledRows { values: x.all(device), scales: Some(scales.all(device)) };
        self.rope.rotated(device, rows, |rotation, qkv| linear_rope_e4m3(device, x, &weights, rotation, qkv))
    }

    /// The largest error as a part of what it may be: of both sums that are turned into one another, and of one rounding.
    fn compare<B: Subject>(&self, device: &B) -> Result<Compared> {
        let (m, k) = (self.scales.len(), self.rope.k);
        let (bytes, scales) = quantised(&self.rope.weights, k);
        let (x, weights) = (meant(&self.x, &self.scales, k), meant(&bytes, &scales, k));
        let mut exact = reference::linear(Rounding::None, &x, &weights, &wide(&self.rope.bias), k);
        let rest = 1e-6 + 2.0 * sum_error(k, largest(&exact));
        self.rope.rotate(Rounding::None, &mut exact);
        let ((found, fault), (twin, _)) = (self.rows(device, 0..m)?, self.rows(&Cpu::single(), 0..m)?);
        Ok(Compared::of_shares((&wide(&found), fault), &wide(&twin), &exact, [1.01 / 2048.0, rest]))
    }
}

/// Rows, heads, width of a head, inputs.
const SIZES: [[usize; 4]; 7] = [
    [1, 1, 64, 16],
    [65, 2, 64, 48],
    [63, 3, 64, 80],
    [129, 1, 128, 80],
    [33, 3, 128, 16],
    [5, 5, 64, 320],
    [66, 2, 128, 1040],
];

pub(super) fn check<B: Subject>(bench: &mut Bench<'_, B>) {
    for (i, [m, n_heads, d_head, k]) in SIZES.into_iter().enumerate() {
        let layer = Layer::of(m, n_heads, d_head, k, i % 2 == 1);
        bench.near::<f16>(OP, layer.rope.named(), |device| layer.compare(device));
    }
    for d_head in [64, 128] {
        let m = rows_of_a_wave(bench.device, 3);
        bench.holds::<f16>(
            OP,
            format!("first 70 rows among those that fill the device, heads of {d_head}"),
            |device| {
                let layer = Layer::of(m, 128 / d_head, d_head, 48, true);
                same_among_many(m, |rows| layer.rows(device, 0..rows))
            },
        );
        bench.holds::<f16>(OP, format!("rows of heads of {d_head}, k 48 alone and among 1 to 65"), |device| {
            let layer = Layer::of(65, 1, d_head, 48, true);
            same_in_any_batch(65, |first| layer.rows(device, first..65))
        });
    }
}
