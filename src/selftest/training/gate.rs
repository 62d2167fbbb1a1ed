//! The gate and its gradient for one row of logits and for one of each pair; rows side by side.

use super::super::Subject;
use super::super::bench::{Bench, Case, Found};
use super::super::numbers::{Guarded, Numbers, wide};
use super::super::reference::Rounding;
use super::{Arrangement, BETWEEN, arrangements, note};
use crate::error::Result;
use crate::ops::gate::{GateInputs, gate, gate_gradient, join_rows, split_rows};

/// Rows and columns.
const SIZES: [[usize; 2]; 4] = [[1, 1], [5, 13], [32, 64], [17, 260]];
const RUNS: usize = 2;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Fused,
    Gradients,
    GradientsOfAnAverage,
}

struct Gates {
    part: Part,
    g: Vec<f32>,
    g_at: Arrangement,
    /// Partner, RNA, and the gradient of what they become.
    operands: [Vec<f32>; 3],
    at: Arrangement,
}

impl Gates {
    fn of([rows, cols]: [usize; 2], gate_rows: usize, part: Part, second: usize) -> Self {
        let [at, g_at] = [[RUNS, rows, cols], [RUNS, gate_rows, cols]].map(|shape| arrangements(shape)[second]);
        let mut numbers = Numbers::new(rows + cols);
        let mut g = numbers.around(g_at.len(), 0.0, 5.0);
        // Where the exponential overflows or vanishes.
        (g[g_at.of_run(0).start], g[g_at.of_run(1).start]) = (-200.0, 200.0);
        let operands = [0; 3].map(|_| numbers.around(at.len(), 0.0, 2.0));
        Self { part, g, g_at, operands, at }
    }
}

impl Case<f32> for Gates {
    fn op(&self) -> &'static str {
        "gate"
    }
    fn size(&self) -> String {
        let ([_, rows, cols], gate_rows) = (self.at.shape, self.g_at.shape[1]);
        format!("{:?}, rows {rows}, rows of logits {gate_rows}, width {cols}{}", self.part, note(self.at))
    }
    /// What is fused, or the gradients of partner, RNA and logits.
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let (g, [p, r, dx]) = (device.uploaded(&self.g)?, self.operands.each_ref().map(|x| device.uploaded(x)));
        let (p, r, dx) = (p?, r?, dx?);
        let [p, r, dx] = [&p, &r, &dx].map(|buffer| self.at.read(device, buffer));
        let inputs = GateInputs { g: self.g_at.read(device, &g), p, r };
        let output = || Guarded::new(device, &vec![BETWEEN; self.at.len()], self.at.len());
        let mut results = vec![output()?];
        if self.part == Part::Fused {
            gate(device, &inputs, results[0].stack(device, self.at))?;
        } else {
            let (mut dr, mut dg) = (output()?, output()?);
            let asked = (self.part == Part::Gradients).then(|| dg.stack(device, self.at));
            let dp = results[0].stack(device, self.at);
            gate_gradient(device, &inputs, dx, asked, dp, dr.stack(device, self.at))?;
            results.extend([dr, dg]);
        }
        let mut found = Found { values: Vec::new(), fault: None };
        for result in results {
            let (values, fault) = result.read(device)?;
            found.values.extend(values);
            found.fault = found.fault.or(fault);
        }
        Ok(found)
    }
    fn exact(&self, _rounding: Rounding) -> Vec<f64> {
        let of = |part: fn([f64; 4]) -> f64| {
            self.at.filled(f64::from(BETWEEN), |run| {
                let g = wide(&self.g[self.g_at.of_run(run)]);
                let [p, r, dx] = self.operands.each_ref().map(|values| wide(&values[self.at.of_run(run)]));
                let share = |place: usize| 1.0 / (1.0 + (-g[place % g.len()]).exp());
                (0..p.len()).map(|place| part([share(place), p[place], r[place], dx[place]])).collect()
            })
        };
        let gradients = [of(|[s, _, _, dx]| s * dx), of(|[s, _, _, dx]| (1.0 - s) * dx)];
        match self.part {
            Part::Fused => of(|[s, p, r, _]| s * p + (1.0 - s) * r),
            Part::Gradients => [gradients.concat(), of(|[s, p, r, dx]| s * (1.0 - s) * (p - r) * dx)].concat(),
            Part::GradientsOfAnAverage => [gradients.concat(), vec![f64::from(BETWEEN); self.at.len()]].concat(),
        }
    }
    /// The share has an error of about 2e-7, and three numbers up to 4 are multiplied with it.
    fn single_bound(&self, largest: f64) -> f64 {
        1e-6 * largest
    }
}

/// Rows of both operands side by side, apart again, and added to what was there.
fn joined<B: Subject>(device: &B, [rows, cols]: [usize; 2], second: usize) -> Result<Option<String>> {
    let widths = [cols, 2 * cols + 1];
    let [p_at, r_at, at] =
        [widths[0], widths[1], widths[0] + widths[1]].map(|width| arrangements([RUNS, rows, width])[second]);
    let mut numbers = Numbers::new(rows);
    let [p, r] = [p_at, r_at].map(|at| numbers.around(at.len(), 0.0, 1.0));
    let (p_buffer, r_buffer) = (device.uploaded(&p)?, device.uploaded(&r)?);
    let mut joined = Guarded::new(device, &vec![BETWEEN; at.len()], at.len())?;
    join_rows(device, p_at.read(device, &p_buffer), r_at.read(device, &r_buffer), joined.stack(device, at))?;
    let (found, fault) = joined.read(device)?;
    let expected = at.filled(BETWEEN, |run| {
        let [p, r] = [&p[p_at.of_run(run)], &r[r_at.of_run(run)]];
        let rows = p.chunks_exact(widths[0]).zip(r.chunks_exact(widths[1]));
        rows.flat_map(|(p, r)| [p, r].concat()).collect()
    });
    if let Some(fault) = fault.or_else(|| (found != expected).then(|| "joined rows are wrong".to_owned())) {
        return Ok(Some(fault));
    }
    let joined = device.uploaded(&expected)?;
    for accumulate in [false, true] {
        let (mut p_found, mut r_found) = (Guarded::new(device, &p, p.len())?, Guarded::new(device, &r, r.len())?);
        let (to_p, to_r) = (p_found.stack(device, p_at), r_found.stack(device, r_at));
        split_rows(device, at.read(device, &joined), accumulate, to_p, to_r)?;
        for (found, before, at) in [(p_found, &p, p_at), (r_found, &r, r_at)] {
            let (found, fault) = found.read(device)?;
            let mut expected = before.clone();
            let times = if accumulate { 2.0 } else { 1.0 };
            (0..RUNS).flat_map(|run| at.of_run(run)).for_each(|place| expected[place] *= times);
            if let Some(fault) = fault.or_else(|| (found != expected).then(|| "split rows are wrong".to_owned())) {
                return Ok(Some(fault));
            }
        }
    }
    Ok(None)
}

pub(super) fn check<B: Subject>(bench: &mut Bench<'_, B>) {
    for size in SIZES {
        for second in [0, 1] {
            for gate_rows in [1, size[0]] {
                for part in [Part::Fused, Part::Gradients, Part::GradientsOfAnAverage] {
                    bench.check(&Gates::of(size, gate_rows, part, second));
                }
            }
            let what = format!("rows side by side, rows {}, width {}", size[0], size[1]);
            bench.holds::<f32>("gate", what, |device| joined(device, size, second));
        }
    }
}
