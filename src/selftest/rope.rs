//! Queries, keys and values with the rotation of their positions, heads of every width.

use std::ops::Range;

use super::Subject;
use super::bench::{Bench, Case, Found, same_among_many};
use super::linear::{precision, rows_of_a_wave, sum_bound, tensor};
use super::numbers::{Guarded, Numbers, Operand, wide};
use super::reference::{self, Rounding};
use crate::backend::{Activation, MatrixMut};
use crate::error::Result;
use crate::ops::Backend;
use crate::ops::attention::Heads;
use crate::ops::linear::{LinearTensors, Precision, Rotation, linear_rope};

const N_POSITIONS: usize = 50;
const SCALE: f32 = 0.3;

pub(super) struct Rope<A> {
    heads: Heads,
    pub k: usize,
    pub x: Vec<A>,
    /// Of queries, keys and values, `[3·d_model, k]`.
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    positions: Vec<u32>,
    angles: [Vec<f32>; 2],
}

impl<A: Activation> Rope<A> {
    pub fn of(m: usize, n_heads: usize, d_head: usize, k: usize, biased: bool) -> Self {
        let (mut numbers, n) = (Numbers::new(m + d_head), 3 * n_heads * d_head);
        let angles = numbers.around(N_POSITIONS * d_head / 2, 0.0, 4.0);
        let mut positions: Vec<u32> = (0..m).map(|_| numbers.below(N_POSITIONS) as u32).collect();
        // The last row of the angles is the last of their memory.
        positions[m - 1] = N_POSITIONS as u32 - 1;
        Self {
            heads: Heads { n_heads, d_head },
            k,
            x: numbers.activations(m * k, 0.0, 1.5),
            weights: numbers.weights::<A>(n, k),
            bias: if biased { numbers.around(n, 0.0, 0.5) } else { Vec::new() },
            positions,
            angles: [angles.iter().map(|x| x.cos()).collect(), angles.iter().map(|x| x.sin()).collect()],
        }
    }

    fn d_model(&self) -> usize {
        self.heads.n_heads * self.heads.d_head
    }

    pub fn load<B: Backend>(&self, device: &B, precision: Precision) -> Result<B::Weights> {
        let d = self.d_model();
        let stored = self.positions.len().is_multiple_of(2);
        let weights = self.weights.chunks_exact(d * self.k);
        let weights: Vec<_> = weights.map(|weight| tensor::<A>(&[d, self.k], weight, stored)).collect();
        let biases: Vec<_> = self.bias.chunks_exact(d).map(|bias| tensor::<f32>(&[d], bias, false)).collect();
        device.load_linear(LinearTensors::Stacked { weights: &weights, biases: &biases }, precision)
    }

    /// What `work` writes for some rows, which it is given with their rotation.
    pub fn rotated<B: Backend>(
        &self,
        device: &B,
        rows: Range<usize>,
        work: impl FnOnce(Rotation<'_, B>, MatrixMut<'_, B, A>) -> Result<()>,
    ) -> Result<(Vec<A>, Option<String>)> {
        let half = self.heads.d_head / 2;
        let mut qkv = Guarded::unwritten(device, rows.len(), 3 * self.d_model())?;
        let positions = Operand::new(device, &self.positions[rows], 1)?;
        let [cos, sin] = &self.angles;
        let (cos, sin) = (Operand::new(device, cos, half)?, Operand::new(device, sin, half)?);
        let rotation =
            Rotation { positions: positions.all(device), cos: cos.all(device), sin: sin.all(device), scale: SCALE };
        work(rotation, qkv.all(device))?;
        qkv.read(device)
    }

    /// Sums as they are rotated.
    pub fn rotate(&self, rounding: Rounding, qkv: &mut [f64]) {
        let [cos, sin] = [wide(&self.angles[0]), wide(&self.angles[1])];
        reference::rotate(rounding, qkv, self.heads, &self.positions, [&cos, &sin], f64::from(SCALE));
    }

    /// The first `m` rows.
    fn rows<B: Backend>(&self, device: &B, m: usize) -> Result<(Vec<A>, Option<String>)> {
        let weights = self.load(device, precision::<A>())?;
        let x = Operand::new(device, &self.x[..m * self.k], self.k)?;
        self.rotated(device, 0..m, |rotation, qkv| linear_rope(device, x.all(device), &weights, rotation, qkv))
    }

    pub fn named(&self) -> String {
        let (Heads { n_heads, d_head }, m) = (self.heads, self.positions.len());
        let bias = if self.bias.is_empty() { "" } else { ", bias" };
        format!("m {m}, {n_heads} heads of {d_head}, k {}{bias}", self.k)
    }
}

impl<A: Activation> Case<A> for Rope<A> {
    fn op(&self) -> &'static str {
        "linear_rope"
    }
    fn size(&self) -> String {
        self.named()
    }
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let (qkv, fault) = self.rows(device, self.positions.len())?;
        Ok(Found { values: A::widened(&qkv).into_owned(), fault })
    }
    fn exact(&self, rounding: Rounding) -> Vec<f64> {
        let mut qkv = reference::linear(rounding, &wide(&self.x), &wide(&self.weights), &wide(&self.bias), self.k);
        self.rotate(rounding, &mut qkv);
        qkv
    }
    fn single_bound(&self, largest: f64) -> f64 {
        sum_bound(self.k, largest)
    }
}

/// Rows, heads, width of a head, inputs.
const SIZES: [[usize; 4]; 12] = [
    [1, 1, 16, 16],
    [33, 3, 24, 72],
    [64, 2, 32, 64],
    [65, 2, 64, 40],
    [129, 1, 128, 24],
    [63, 5, 16, 80],
    [17, 1, 8, 8],
    [17, 1, 40, 40],
    [17, 2, 80, 40],
    [17, 1, 96, 24],
    [5, 5, 64, 320],
    [66, 4, 24, 96],
];

pub(super) fn check<B: Subject, A: Activation>(bench: &mut Bench<'_, B>) {
    for (i, [m, n_heads, d_head, k]) in SIZES.into_iter().enumerate() {
        bench.check(&Rope::<A>::of(m, n_heads, d_head, k, i % 2 == 1));
    }
    // Heads of 24 leave a part of each tile of 128 columns, or of 64, without work.
    let wave = Rope::<A>::of(rows_of_a_wave(bench.device, 3), 5, 24, 16, true);
    bench.check(&wave);
    bench.holds::<A>("linear_rope", "first 70 rows among those that fill the device", |device| {
        same_among_many(wave.positions.len(), |rows| wave.rows(device, rows))
    });
}
