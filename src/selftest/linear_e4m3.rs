//! Linear layers in eight bits with each epilogue, beside their definition on the same numbers of eight bits in f64.

use half::f16;

use super::Subject;
use super::bench::{Bench, Compared, largest, same_among_many, same_in_any_batch};
use super::linear::rows_of_a_wave;
use super::numbers::{Guarded, Numbers, Operand, quantised, wide, widened_rows};
use super::reference::{self, Rounding};
use crate::backend::{Activation, Cpu, E4m3};
use crate::error::Result;
use crate::ops::Backend;
use crate::ops::linear::e4m3::{INNER_SCALE, ScaledRows, linear_e4m3, linear_to_e4m3};
use crate::ops::linear::{Epilogue, LinearTensors, LinearWeights, Precision};
use crate::weights::Tensor;

/// Rows, outputs, inputs.
const SIZES: [[usize; 3]; 9] = [
    [1, 16, 16],
    [2, 32, 48],
    [63, 16, 16],
    [65, 48, 80],
    [127, 128, 304],
    [129, 304, 16],
    [200, 144, 32],
    [33, 352, 48],
    [66, 80, 1040],
];

struct Layer {
    epilogue: Epilogue,
    size: [usize; 3],
    /// Numbers of x, and the scale of each row; none where all are those of inner states.
    x: Vec<E4m3>,
    scales: Vec<f32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
    y: Vec<f16>,
}

/// Numbers that rows in eight bits stand for.
pub(super) fn meant(bytes: &[E4m3], scales: &[f32], width: usize) -> Vec<f64> {
    let scale = |i: usize| f64::from(scales.get(i / width).copied().unwrap_or(INNER_SCALE));
    bytes.iter().enumerate().map(|(i, x)| f64::from(x.to_f32()) * scale(i)).collect()
}

/// What a sum of `k` products may err by, of which the largest is `most`. Tensor cores of compute capability 9.0 keep about
/// 14 bits of a sum of such products (DeepSeek-V3, doi 10.48550/arXiv.2412.19437), 32 of them at a time.
pub(super) fn sum_error(k: usize, most: f64) -> f64 {
    (k.div_ceil(32) + 1) as f64 / 8192.0 * most
}

impl Layer {
    fn of(epilogue: Epilogue, [m, n, k]: [usize; 3], scaled: bool) -> Self {
        let branches = if epilogue == Epilogue::SwiGlu { 2 } else { 1 };
        let mut numbers = Numbers::new(m + 1000 * n + k);
        let mut x = numbers.around(m * k, 0.0, 1.5);
        // Rows, and outputs, of several magnitudes: each has the scale that is its own.
        x.iter_mut().enumerate().for_each(|(i, x)| *x *= [1.0, 0.25, 0.5][i / k % 3]);
        let mut weights = numbers.weights::<f32>(branches * n, k);
        weights.iter_mut().enumerate().for_each(|(i, w)| *w *= [1.0, 0.5][i / k % 2]);
        let (bytes, scales) = quantised(&x, k);
        let (x, scales) = if scaled {
            (bytes, scales)
        } else {
            (x.iter().map(|x| E4m3::rounded(x / INNER_SCALE)).collect(), Vec::new())
        };
        let y = if epilogue == Epilogue::Add { numbers.activations(m * n, 0.0, 2.0) } else { Vec::new() };
        Self { epilogue, size: [m, n, k], x, scales, weights, bias: numbers.around(branches * n, 0.0, 0.5), y }
    }

    fn op(&self) -> &'static str {
        match self.epilogue {
            Epilogue::Gelu => "linear_e4m3_gelu",
            Epilogue::Add => "linear_e4m3_add",
            Epilogue::SwiGlu => "linear_e4m3_swiglu",
            Epilogue::Store | Epilogue::Relu => "linear_e4m3_store",
        }
    }

    fn load<B: Backend>(&self, device: &B) -> Result<B::Weights> {
        let [_, n, k] = self.size;
        let weight = |branch: usize| Tensor::from_f32("w", &[n, k], self.weights[branch * n * k..][..n * k].to_vec());
        let bias = |branch: usize| Tensor::from_f32("b", &[n], self.bias[branch * n..][..n].to_vec());
        let (first, first_bias) = (weight(0), bias(0));
        if self.epilogue == Epilogue::SwiGlu {
            let (gate, gate_bias) = (&weight(1), &bias(1));
            let (linear, linear_bias) = (&first, &first_bias);
            let tensors = LinearTensors::SwiGlu { linear, linear_bias, gate, gate_bias, beta: 1.25 };
            return device.load_linear(tensors, Precision::Fp8);
        }
        device.load_linear(LinearTensors::Stacked { weights: &[first], biases: &[first_bias] }, Precision::Fp8)
    }

    /// The outputs of rows `first` and on, and the complaint where something else was written.
    fn rows<B: Backend>(&self, device: &B, rows: std::ops::Range<usize>) -> Result<(Vec<f32>, Option<String>)> {
        let ([_, n, k], weights) = (self.size, self.load(device)?);
        let d_in = weights.d_in();
        let x = Operand::new(device, &widened_rows(&self.x[rows.start * k..rows.end * k], k, d_in), d_in)?;
        let scales = if self.scales.is_empty() { &[][..] } else { &self.scales[rows.clone()] };
        let scales = Operand::new(device, scales, 1)?;
        let scaled = (!self.scales.is_empty()).then(|| scales.all(device));
        let x = ScaledRows { values: x.all(device), scales: scaled };
        if matches!(self.epilogue, Epilogue::Gelu | Epilogue::SwiGlu) {
            let mut y = Guarded::unwritten(device, rows.len(), n)?;
            linear_to_e4m3(device, x, &weights, self.epilogue, y.all(device))?;
            let (y, fault) = y.read(device)?;
            return Ok((y.iter().map(|y: &E4m3| y.to_f32() * INNER_SCALE).collect(), fault));
        }
        let mut y = match self.epilogue {
            Epilogue::Add => Guarded::new(device, &self.y[rows.start * n..rows.end * n], n)?,
            _ => Guarded::<B, f16>::unwritten(device, rows.len(), n)?,
        };
        linear_e4m3(device, x, &weights, self.epilogue, y.all(device))?;
        let (y, fault) = y.read(device)?;
        Ok((f16::widened(&y).into_owned(), fault))
    }

    /// Results and the largest sum of products.
    fn exact(&self) -> (Vec<f64>, f64) {
        let ([_, n, k], none) = (self.size, Rounding::None);
        let (bytes, scales) = quantised(&self.weights, k);
        let x = meant(&self.x, &self.scales, k);
        let z = reference::linear(none, &x, &meant(&bytes, &scales, k), &wide(&self.bias), k);
        let most = largest(&z);
        let y = match self.epilogue {
            Epilogue::Gelu => z.into_iter().map(|z| reference::gelu(none, z)).collect(),
            Epilogue::Add => z.iter().zip(wide(&self.y)).map(|(z, y)| z + y).collect(),
            Epilogue::SwiGlu => {
                let pairs = |z: &[f64]| -> Vec<f64> {
                    z[..n].iter().zip(&z[n..]).map(|(&a, &g)| reference::swiglu(none, 1.25, a, g)).collect()
                };
                z.chunks_exact(2 * n).flat_map(pairs).collect()
            }
            Epilogue::Store | Epilogue::Relu => z,
        };
        (y, most)
    }

    /// The largest error as a part of what it may be: that of a sum, and of an output that is rounded once.
    fn compare<B: Subject>(&self, device: &B) -> Result<Compared> {
        let ([m, _, k], (exact, most)) = (self.size, self.exact());
        let (found, fault) = self.rows(device, 0..m)?;
        let (twin, _) = self.rows(&Cpu::single(), 0..m)?;
        let sum = sum_error(k, most);
        let (part, rest) = match self.epilogue {
            Epilogue::Gelu => (1.0 / 15.0, 3e-4 + 1.2 * sum),
            Epilogue::SwiGlu => (1.0 / 15.0, 3e-4 + 2.2 * most * sum),
            _ => (1.01 / 2048.0, 1e-6 + sum),
        };
        Ok(Compared::of_shares((&wide(&found), fault), &wide(&twin), &exact, [part, rest]))
    }

    /// Every second row is not a number; the others stay what they are.
    fn beside_nan<B: Subject>(mut self, device: &B) -> Result<Option<String>> {
        let [m, n, k] = self.size;
        let (clean, _) = self.rows(device, 0..m)?;
        for row in (1..m).step_by(2) {
            self.x[row * k..(row + 1) * k].fill(E4m3(0x7f));
            self.scales[row] = f32::NAN;
        }
        let (found, fault) = self.rows(device, 0..m)?;
        let wrong = |row: usize| match row % 2 {
            1 => found[row * n..(row + 1) * n].iter().any(|y| !y.is_nan()),
            _ => found[row * n..(row + 1) * n] != clean[row * n..(row + 1) * n],
        };
        Ok(fault.or_else(|| (0..m).find(|&row| wrong(row)).map(|row| format!("row {row}, beside rows of NaN"))))
    }
}

const EPILOGUES: [Epilogue; 4] = [Epilogue::Store, Epilogue::Gelu, Epilogue::Add, Epilogue::SwiGlu];

pub(super) fn check<B: Subject>(bench: &mut Bench<'_, B>) {
    for epilogue in EPILOGUES {
        for (i, size) in SIZES.into_iter().enumerate() {
            near(bench, &Layer::of(epilogue, size, i % 3 != 2));
        }
        let op = Layer::of(epilogue, SIZES[0], true).op();
        let wave = [rows_of_a_wave(bench.device, 3), if epilogue == Epilogue::SwiGlu { 176 } else { 336 }, 48];
        bench.holds::<f16>(op, "first 70 rows among those that fill the device", |device| {
            let layer = Layer::of(epilogue, wave, true);
            same_among_many(wave[0], |rows| layer.rows(device, 0..rows))
        });
        bench.holds::<f16>(op, "rows of n 80, k 48 beside rows of NaN", |device| {
            Layer::of(epilogue, [40, 80, 48], true).beside_nan(device)
        });
        bench.holds::<f16>(op, "rows of n 80, k 48 alone and among 1 to 65", |device| {
            let layer = Layer::of(epilogue, [65, 80, 48], true);
            same_in_any_batch(65, |first| layer.rows(device, first..65))
        });
        if matches!(epilogue, Epilogue::Gelu | Epilogue::SwiGlu) {
            bench.holds::<f16>(op, "results beyond 112 become 112", |device| saturated(device, epilogue));
        }
    }
    // Sums longer than the operands that are under way, of one tile and of several that follow each other.
    near(bench, &Layer::of(Epilogue::Store, [130, 80, 2608], true));
    let two_waves = 2 * 128 * bench.device.multiprocessors() - 37;
    near(bench, &Layer::of(Epilogue::Store, [two_waves, 80, 784], true));
}

fn near<B: Subject>(bench: &mut Bench<'_, B>, layer: &Layer) {
    let [m, n, k] = layer.size;
    bench.near::<f16>(layer.op(), format!("m {m}, n {n}, k {k}"), |device| layer.compare(device));
}

/// Results before and after they are rounded to eight bits.
const FAR: [(f32, f32); 7] =
    [(103.0, 104.0), (111.9, 112.0), (112.1, 112.0), (120.5, 112.0), (448.5, 112.0), (6e4, 112.0), (1e30, 112.0)];

/// Each of them and its negative stands alone in a row and a column, on the device and on the CPU.
fn saturated<B: Subject>(device: &B, epilogue: Epilogue) -> Result<Option<String>> {
    const N: usize = 16;
    let diagonal = |of: &dyn Fn(usize) -> f32, n_rows: usize| -> Vec<f32> {
        (0..n_rows * N).map(|i| if i / N == i % N { of(i % N) } else { 0.0 }).collect()
    };
    let sign = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
    let (m, unit) = (2 * FAR.len(), diagonal(&|_| 1.0, N));
    // The activation of a SwiGLU is at 32, which is its own swish: the gate does the rest.
    let (gain, weights, bias) = match epilogue {
        Epilogue::SwiGlu => (32.0, [vec![0.0; N * N], unit].concat(), [[32.0; N], [0.0; N]].concat()),
        _ => (1.0, unit, vec![0.0; N]),
    };
    let (x, scales) = quantised(&diagonal(&|i| sign(i) * FAR[i / 2].0 / gain, m), N);
    let expected =
        diagonal(&|i| if epilogue == Epilogue::Gelu && i % 2 == 1 { 0.0 } else { sign(i) * FAR[i / 2].1 }, m);
    let layer = Layer { epilogue, size: [m, N, N], x, scales, weights, bias, y: Vec::new() };
    for (found, fault) in [layer.rows(device, 0..m)?, layer.rows(&Cpu::single(), 0..m)?] {
        let wrong = found.iter().zip(&expected).position(|(found, expected)| found != expected);
        let wrong = wrong.map(|i| format!("row {}, column {}: {} for {}", i / N, i % N, found[i], expected[i]));
        if let Some(fault) = wrong.or(fault) {
            return Ok(Some(fault));
        }
    }
    Ok(None)
}
