//! Linear layers with each epilogue: edges of tiles, ragged widths, with and without bias, rows in any company.

use super::Subject;
use super::bench::{Bench, Case, Found, same_among_many, same_in_any_batch};
use super::numbers::{Guarded, Numbers, Operand, rounded, wide, widened_rows};
use super::reference::{self, Rounding};
use crate::backend::{Activation, Element};
use crate::error::Result;
use crate::ops::Backend;
use crate::ops::linear::{Epilogue, LinearTensors, LinearWeights, Precision, linear};
use crate::weights::Tensor;

/// Rows, outputs, inputs. The last three are widths that a device may have to pad.
const SIZES: [[usize; 3]; 13] = [
    [1, 8, 8],
    [2, 24, 16],
    [63, 16, 24],
    [64, 72, 40],
    [65, 40, 72],
    [127, 120, 304],
    [128, 64, 120],
    [129, 304, 8],
    [200, 136, 32],
    [1, 304, 304],
    [33, 341, 24],
    [65, 72, 341],
    [5, 171, 85],
];

/// The arithmetic that belongs to activations in `A`.
pub(super) fn precision<A: Element>() -> Precision {
    if A::NAME == "f16" { Precision::F16 } else { Precision::F32 }
}

/// A tensor of numbers of `A`; in f16 stored as `A`, or in f32 as checkpoints often are.
pub(super) fn tensor<A: Element>(shape: &[usize], values: &[f32], stored: bool) -> Tensor {
    let tensor = Tensor::from_f32("weight", shape, values.to_vec());
    if stored && A::NAME == "f16" { tensor.rounded_to_f16() } else { tensor }
}

/// Bound of a sum of `k` products in f32, results up to `largest`: each addition rounds the sum so far by at most 6e-8,
/// errors of random signs grow with √k, the epilogue rounds a few times more, and all of it twice.
pub(super) fn sum_bound(k: usize, largest: f64) -> f64 {
    1.2e-7 * ((k as f64).sqrt() + 3.0) * largest
}

struct Layer<A> {
    epilogue: Epilogue,
    size: [usize; 3],
    x: Vec<A>,
    /// Of a `SwiGLU` both branches, one behind the other.
    weights: Vec<f32>,
    /// The same; empty where there is none.
    bias: Vec<f32>,
    /// What is there before.
    y: Vec<A>,
    beta: f32,
    /// Weights are stored in the type of the activations.
    stored: bool,
    note: &'static str,
}

impl<A: Activation> Layer<A> {
    fn of(epilogue: Epilogue, size: [usize; 3], biased: bool) -> Self {
        let [m, n, k] = size;
        let branches = if epilogue == Epilogue::SwiGlu { 2 } else { 1 };
        let mut numbers = Numbers::new(m + 1000 * n + k);
        Self {
            epilogue,
            size,
            x: numbers.activations(m * k, 0.0, 1.5),
            weights: numbers.weights::<A>(branches * n, k),
            bias: if biased || branches == 2 { numbers.around(branches * n, 0.0, 0.5) } else { Vec::new() },
            y: if epilogue == Epilogue::Add { numbers.activations(m * n, 0.0, 2.0) } else { Vec::new() },
            beta: 1.25,
            stored: biased,
            note: "",
        }
    }

    fn load<B: Backend>(&self, device: &B) -> Result<B::Weights> {
        let [_, n, k] = self.size;
        let weight = |branch: usize| tensor::<A>(&[n, k], &self.weights[branch * n * k..][..n * k], self.stored);
        let bias = |branch: usize| tensor::<f32>(&[n], &self.bias[branch * n..][..n], false);
        if self.epilogue == Epilogue::SwiGlu {
            let tensors = LinearTensors::SwiGlu {
                linear: &weight(0),
                linear_bias: &bias(0),
                gate: &weight(1),
                gate_bias: &bias(1),
                beta: self.beta,
            };
            return device.load_linear(tensors, precision::<A>());
        }
        let biases = if self.bias.is_empty() { Vec::new() } else { vec![bias(0)] };
        device.load_linear(LinearTensors::Stacked { weights: &[weight(0)], biases: &biases }, precision::<A>())
    }

    /// The layer on rows `x`, padding taken off.
    fn rows<B: Backend>(&self, device: &B, weights: &B::Weights, x: &[A]) -> Result<(Vec<A>, Option<String>)> {
        let ([_, n, k], [d_in, d_out]) = (self.size, [weights.d_in(), weights.d_out()]);
        let rows = x.len() / k;
        let x = Operand::new(device, &widened_rows(x, k, d_in), d_in)?;
        let mut y = match self.epilogue {
            Epilogue::Add => Guarded::new(device, &widened_rows(&self.y[..rows * n], n, d_out), d_out)?,
            _ => Guarded::unwritten(device, rows, d_out)?,
        };
        linear(device, x.all(device), weights, self.epilogue, y.all(device))?;
        let (y, fault) = y.read(device)?;
        let padding = y.chunks_exact(d_out).flat_map(|row| &row[n..]).all(|&x| x == A::default());
        let fault = fault.or_else(|| (!padding).then(|| "what pads a row is not 0".to_owned()));
        Ok((y.chunks_exact(d_out).flat_map(|row| &row[..n]).copied().collect(), fault))
    }
}

impl<A: Activation> Case<A> for Layer<A> {
    fn op(&self) -> &'static str {
        match self.epilogue {
            Epilogue::Store => "linear_store",
            Epilogue::Gelu => "linear_gelu",
            Epilogue::Relu => "linear_relu",
            Epilogue::Add => "linear_add",
            Epilogue::SwiGlu => "linear_swiglu",
        }
    }
    fn size(&self) -> String {
        let [m, n, k] = self.size;
        format!("m {m}, n {n}, k {k}{}{}", if self.bias.is_empty() { "" } else { ", bias" }, self.note)
    }
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let (y, fault) = self.rows(device, &self.load(device)?, &self.x)?;
        Ok(Found { values: A::widened(&y).into_owned(), fault })
    }
    fn exact(&self, rounding: Rounding) -> Vec<f64> {
        let ([_, n, k], beta) = (self.size, f64::from(self.beta));
        let z = reference::linear(rounding, &wide(&self.x), &wide(&self.weights), &wide(&self.bias), k);
        match self.epilogue {
            Epilogue::Store => z,
            Epilogue::Gelu => z.into_iter().map(|z| reference::gelu(rounding, z)).collect(),
            Epilogue::Relu => z.into_iter().map(|z| z.max(0.0)).collect(),
            Epilogue::Add => z.iter().zip(wide(&self.y)).map(|(z, y)| rounding.of(y + z)).collect(),
            Epilogue::SwiGlu => {
                let row = |z: &[f64]| -> Vec<f64> {
                    z[..n].iter().zip(&z[n..]).map(|(&a, &g)| reference::swiglu(rounding, beta, a, g)).collect()
                };
                z.chunks_exact(2 * n).flat_map(row).collect()
            }
        }
    }
    fn single_bound(&self, largest: f64) -> f64 {
        sum_bound(self.size[2], largest)
    }
}

/// Arguments where an exponential overflows or vanishes, and 0. Results of one size stand together: it fixes the bound.
const FAR: [(&[f32], &str); 4] = [
    (&[0.0, 12.0], ", arguments to 12"),
    (&[-12.0, -100.0, -6e4], ", arguments from -12 to -6e4"),
    (&[100.0], ", argument 100"),
    (&[6e4], ", argument 6e4"),
];

/// Each argument alone in the first column of its row; the second is 1.
fn far<A: Activation>(epilogue: Epilogue, (far, note): (&[f32], &'static str)) -> Layer<A> {
    let unit = |column: usize| (0..64).map(move |i| if i % 8 == column { 1.0 } else { 0.0 });
    let branches = if epilogue == Epilogue::SwiGlu { 2 } else { 1 };
    Layer {
        x: far.iter().flat_map(|&x| rounded([x, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0].as_slice())).collect(),
        weights: (0..branches).flat_map(unit).collect(),
        bias: vec![0.0; 8 * branches],
        note,
        ..Layer::of(epilogue, [far.len(), 8, 8], true)
    }
}

const EPILOGUES: [Epilogue; 5] = [Epilogue::Store, Epilogue::Gelu, Epilogue::Relu, Epilogue::Add, Epilogue::SwiGlu];

/// Rows that give every multiprocessor a tile of 128 rows where a row has `columns` of them.
pub(super) fn rows_of_a_wave<B: Subject>(device: &B, columns: usize) -> usize {
    128 * device.multiprocessors().div_ceil(columns) - 37
}

pub(super) fn check<B: Subject, A: Activation>(bench: &mut Bench<'_, B>) {
    for epilogue in EPILOGUES {
        for (i, size) in SIZES.into_iter().enumerate() {
            bench.check(&Layer::<A>::of(epilogue, size, i % 2 == 0));
        }
        if matches!(epilogue, Epilogue::Gelu | Epilogue::SwiGlu) {
            for arguments in FAR {
                bench.check(&far::<A>(epilogue, arguments));
            }
        }
        // Rows of 328 outputs: three tiles of 128 columns. Twice as many of the two branches of a SwiGLU.
        let n = if epilogue == Epilogue::SwiGlu { 168 } else { 328 };
        let layer = Layer::<A>::of(epilogue, [rows_of_a_wave(bench.device, 3), n, 24], true);
        bench.check(&layer);
        let op = Case::<A>::op(&layer);
        bench.holds::<A>(op, "first 70 rows among those that fill the device", |device| in_a_wave(device, &layer));
        bench.holds::<A>(op, "rows of n 72, k 24 beside rows of NaN", |device| {
            neighbours_of_nan::<B, A>(device, epilogue)
        });
    }
    // Sums longer than the operands that are under way, of one tile and of several that follow each other.
    bench.check(&Layer::<A>::of(Epilogue::Store, [130, 72, 1304], true));
    if A::NAME == "f16" {
        let two_waves = 2 * 128 * bench.device.multiprocessors() - 37;
        bench.check(&Layer::<A>::of(Epilogue::Store, [two_waves, 72, 392], true));
    }
    bench.holds::<A>("linear_store", "rows of n 72, k 40 alone and among 1 to 65", any_company::<B, A>);
}

fn in_a_wave<B: Subject, A: Activation>(device: &B, layer: &Layer<A>) -> Result<Option<String>> {
    let ([m, _, k], weights) = (layer.size, layer.load(device)?);
    same_among_many(m, |rows| layer.rows(device, &weights, &layer.x[..rows * k]))
}

fn any_company<B: Subject, A: Activation>(device: &B) -> Result<Option<String>> {
    let layer = Layer::<A>::of(Epilogue::Store, [65, 72, 40], true);
    let weights = layer.load(device)?;
    same_in_any_batch(65, |first| layer.rows(device, &weights, &layer.x[first * 40..]))
}

/// Every second row is not a number: what a tile reads past the end of a row lies there.
fn neighbours_of_nan<B: Subject, A: Activation>(device: &B, epilogue: Epilogue) -> Result<Option<String>> {
    let layer = Layer::<A>::of(epilogue, [40, 72, 24], false);
    let weights = layer.load(device)?;
    let (clean, _) = layer.rows(device, &weights, &layer.x)?;
    let mut x = layer.x.clone();
    x.chunks_exact_mut(24).skip(1).step_by(2).for_each(|row| row.fill(A::rounded(f32::NAN)));
    let (rows, fault) = layer.rows(device, &weights, &x)?;
    let complaint = |(i, (row, clean)): (usize, (&[A], &[A]))| {
        let lost = i % 2 == 1 && A::widened(row).iter().any(|x| !x.is_nan());
        let leaked = i % 2 == 0 && row != clean;
        (lost || leaked)
            .then(|| format!("row {i}: {}", if lost { "a NaN is lost" } else { "a NaN came from beside it" }))
    };
    Ok(fault.or_else(|| rows.chunks_exact(72).zip(clean.chunks_exact(72)).enumerate().find_map(complaint)))
}
