//! Layer norm that ends in eight bits, beside the layer norm in f16 on the same device.

use half::f16;

use super::Subject;
use super::bench::{Bench, same_in_any_batch};
use super::numbers::{Guarded, Numbers, Operand, quantised};
use crate::backend::{Activation, E4m3};
use crate::error::Result;
use crate::ops::Backend;
use crate::ops::layer_norm::e4m3::{Normalised, layer_norm_e4m3};
use crate::ops::layer_norm::layer_norm;

const EPSILON: f32 = 1e-5;

struct Rows {
    d: usize,
    x: Vec<f16>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// What came of them.
struct Found {
    values: Vec<E4m3>,
    scales: Vec<f32>,
    kept: Vec<f16>,
    fault: Option<String>,
}

impl Rows {
    /// Weights are around `weight`. The second of three rows and more holds a NaN.
    fn of(n_rows: usize, d: usize, weight: f32) -> Self {
        let mut numbers = Numbers::new(n_rows + d);
        let mut x: Vec<f16> = numbers.activations(n_rows * d, 10.0, 3.0);
        if n_rows > 2 {
            x[d + d / 2] = f16::NAN;
        }
        Self { d, x, weight: numbers.around(d, weight, 0.5 * weight), bias: numbers.around(d, 0.0, 0.5) }
    }

    fn in_halves<B: Backend>(&self, device: &B) -> Result<Vec<f16>> {
        let [weight, bias] = [Operand::new(device, &self.weight, self.d)?, Operand::new(device, &self.bias, self.d)?];
        let x = Operand::new(device, &self.x, self.d)?;
        let mut y = Guarded::<B, f16>::unwritten(device, self.x.len() / self.d, self.d)?;
        layer_norm(device, x.all(device), weight.all(device), bias.all(device), EPSILON, y.all(device))?;
        Ok(y.read(device)?.0)
    }

    /// Those from `first` on.
    fn in_e4m3<B: Backend>(&self, device: &B, first: usize, keeps: bool) -> Result<Found> {
        let [weight, bias] = [Operand::new(device, &self.weight, self.d)?, Operand::new(device, &self.bias, self.d)?];
        let (x, d) = (&self.x[first * self.d..], self.d);
        let n_rows = x.len() / d;
        let x = Operand::new(device, x, d)?;
        let mut values = Guarded::<B, E4m3>::unwritten(device, n_rows, d)?;
        let mut scales = Guarded::<B, f32>::unwritten(device, n_rows, 1)?;
        let mut kept = Guarded::<B, f16>::unwritten(device, n_rows, d)?;
        let to = Normalised { values: values.all(device), scales: scales.all(device) };
        let (weight, bias, keep) = (weight.all(device), bias.all(device), keeps.then(|| kept.all(device)));
        layer_norm_e4m3(device, x.all(device), weight, bias, EPSILON, to, keep)?;
        let ((values, beside), (scales, beside_scales), (kept, beside_kept)) =
            (values.read(device)?, scales.read(device)?, kept.read(device)?);
        Ok(Found { values, scales, kept, fault: beside.or(beside_scales).or(beside_kept) })
    }

    /// Eight bits, scales and what is kept are those of the layer norm in f16, bit for bit; the largest of a row becomes
    /// ±448, and a row of NaN is one afterwards.
    fn beside_halves<B: Subject>(&self, device: &B) -> Result<Option<String>> {
        let (d, halves) = (self.d, self.in_halves(device)?);
        let (bytes, expected) = quantised(&f16::widened(&halves), d);
        for keeps in [true, false] {
            let found = self.in_e4m3(device, 0, keeps)?;
            let holds = |row: usize| {
                let of = row * d..(row + 1) * d;
                let values = &found.values[of.clone()];
                if expected[row].is_nan() {
                    return found.scales[row].is_nan() && values.iter().all(|x| x.to_f32().is_nan());
                }
                found.scales[row].to_bits() == expected[row].to_bits()
                    && values == &bytes[of.clone()]
                    && values.iter().any(|x| x.to_f32().abs() == E4m3::LARGEST)
                    && (!keeps || found.kept[of.clone()] == halves[of])
            };
            let wrong = (0..expected.len()).find(|&row| !holds(row));
            let wrong = wrong.map(|row| format!("row {row} is not that of the layer norm in f16"));
            if let Some(fault) = wrong.or(found.fault) {
                return Ok(Some(fault));
            }
        }
        Ok(None)
    }
}

pub(super) fn check<B: Subject>(bench: &mut Bench<'_, B>) {
    const OP: &str = "layer_norm_e4m3";
    for (rows, d) in [(33, 16), (3, 48), (33, 320), (3, 1280), (5, 1296), (1, 2560), (3, 2576)] {
        bench.holds::<f16>(OP, format!("rows {rows}, d {d}"), |device| Rows::of(rows, d, 1.0).beside_halves(device));
    }
    bench
        .holds::<f16>(OP, "rows 5, d 320, numbers beyond 448", |device| Rows::of(5, 320, 1000.0).beside_halves(device));
    bench.holds::<f16>(OP, "rows of d 80 alone and among 1 to 65", |device| {
        let rows = Rows::of(65, 80, 1.0);
        same_in_any_batch(65, |first| {
            let Found { values, scales, kept, fault } = rows.in_e4m3(device, first, true)?;
            let row = |((values, scale), kept): ((&[E4m3], &f32), &[f16])| -> Vec<f32> {
                values.iter().map(|x| x.to_f32()).chain([*scale]).chain(kept.iter().map(|x| x.to_f32())).collect()
            };
            Ok((values.chunks_exact(80).zip(&scales).zip(kept.chunks_exact(80)).flat_map(row).collect(), fault))
        })
    });
}
