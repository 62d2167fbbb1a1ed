//! Comparing: what a device computes beside its definition in f64 and beside the CPU.

use serde::Serialize;

use super::Subject;
use super::reference::Rounding;
use crate::backend::{Activation, Cpu};
use crate::error::{Error, Result};

/// One comparison at one size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// The op, or the network.
    pub op: &'static str,
    /// Type of the activations: `f32` or `f16`.
    pub dtype: &'static str,
    /// Sizes of the operands, or what is compared.
    pub size: String,
    /// Largest difference from the definition in f64; none where bits are compared.
    pub error: Option<f64>,
    /// What it may be.
    pub bound: f64,
    /// Largest difference from the same op on the CPU.
    pub from_cpu: Option<f64>,
    /// What else does not hold.
    pub fault: Option<String>,
}

impl Check {
    /// True when everything is as it should be. An error that is not a number is not.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.fault.is_none() && self.error.is_none_or(|error| error <= self.bound)
    }

    /// The error as a part of its bound.
    #[must_use]
    pub fn share(&self) -> f64 {
        match self.error {
            Some(error) if error > 0.0 || error.is_nan() => error / self.bound,
            _ => 0.0,
        }
    }
}

/// What an op computed.
pub(super) struct Found {
    pub values: Vec<f32>,
    /// What was wrong besides.
    pub fault: Option<String>,
}

/// An op at one size, with its operands.
pub(super) trait Case<A: Activation> {
    fn op(&self) -> &'static str;
    fn size(&self) -> String;
    /// The op on a device.
    fn run<B: Subject>(&self, device: &B) -> Result<Found>;
    /// The op by its definition.
    fn exact(&self, rounding: Rounding) -> Vec<f64>;
    /// What an implementation in f32 may differ from the definition; `largest` is the largest result.
    fn single_bound(&self, largest: f64) -> f64;
    /// The same of f16: twice the error of the plain implementation, and never less than one rounding of the largest
    /// result, or of 1e-3 where all are smaller. The rule of `FlashAttention` (Dao 2023).
    fn half_bound(&self, exact: &[f64]) -> f64 {
        /// Half a unit in the last place beside the number, and what f32 adds to it.
        const ONE_ROUNDING: f64 = 1.01 / 2048.0;
        let plain = difference(&self.exact(Rounding::Half), exact);
        f64::max(2.0 * plain, ONE_ROUNDING * largest(exact).max(1e-3))
    }
}

/// The largest magnitude.
pub(super) fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, x| f64::max(most, x.abs()))
}

/// The largest difference; infinite where one is not a number or the lengths differ.
pub(super) fn difference(found: &[f64], expected: &[f64]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let differences = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
    differences.fold(0.0, |most, d| if d.is_nan() { f64::INFINITY } else { f64::max(most, d) })
}

pub(super) fn in_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

/// Runs cases on a device and keeps what came of them.
pub(super) struct Bench<'a, B> {
    pub device: &'a B,
    /// Only cases whose op, type and size hold this text.
    filter: &'a str,
    checks: Vec<Check>,
    seen: &'a mut dyn FnMut(&Check),
    /// The device stopped working: what follows would only say so again.
    lost: bool,
}

impl<'a, B: Subject> Bench<'a, B> {
    pub fn new(device: &'a B, filter: &'a str, seen: &'a mut dyn FnMut(&Check)) -> Self {
        Self { device, filter, checks: Vec::new(), seen, lost: false }
    }

    pub fn into_checks(self) -> Vec<Check> {
        self.checks
    }

    /// The op beside its definition and beside the CPU.
    pub fn check<A: Activation>(&mut self, case: &impl Case<A>) {
        self.add::<A>(case.op(), case.size(), |device| {
            let found = case.run(device)?;
            let twin = case.run(&Cpu::single())?;
            let (values, exact) = (in_f64(&found.values), case.exact(Rounding::None));
            let bound =
                if A::NAME == "f16" { case.half_bound(&exact) } else { case.single_bound(largest(&exact).max(1.0)) };
            Ok(Compared {
                error: Some(difference(&values, &exact)),
                bound,
                from_cpu: Some(difference(&values, &in_f64(&twin.values))),
                fault: found.fault,
            })
        });
    }

    /// Something that holds or does not; `work` gives the complaint.
    pub fn holds<A: Activation>(
        &mut self,
        op: &'static str,
        what: impl Into<String>,
        work: impl FnOnce(&B) -> Result<Option<String>>,
    ) {
        self.add::<A>(op, what.into(), |device| {
            Ok(Compared { error: None, bound: 0.0, from_cpu: None, fault: work(device)? })
        });
    }

    /// `found` on the device beside `exact`.
    pub fn near<A: Activation>(
        &mut self,
        op: &'static str,
        what: impl Into<String>,
        work: impl FnOnce(&B) -> Result<Compared>,
    ) {
        self.add::<A>(op, what.into(), work);
    }

    fn add<A: Activation>(&mut self, op: &'static str, size: String, work: impl FnOnce(&B) -> Result<Compared>) {
        let name = format!("{op} {} {size}", A::NAME);
        if self.lost || !name.contains(self.filter) {
            return;
        }
        let compared = work(self.device).unwrap_or_else(|error| {
            self.lost = matches!(error, Error::DeviceLost { .. });
            Compared { error: None, bound: 0.0, from_cpu: None, fault: Some(error.to_string()) }
        });
        let Compared { error, bound, from_cpu, fault } = compared;
        let check = Check { op, dtype: A::NAME, size, error, bound, from_cpu, fault };
        (self.seen)(&check);
        self.checks.push(check);
    }
}

/// What came of a comparison.
pub(super) struct Compared {
    pub error: Option<f64>,
    pub bound: f64,
    pub from_cpu: Option<f64>,
    pub fault: Option<String>,
}

impl Compared {
    /// Of `found` and of what the CPU found, where a result may err by `part` of itself and `rest`: the largest error as a
    /// part of that.
    pub fn of_shares(
        (found, fault): (&[f64], Option<String>),
        twin: &[f64],
        exact: &[f64],
        [part, rest]: [f64; 2],
    ) -> Self {
        let share = |(found, exact): (&f64, &f64)| (found - exact) / (part * exact.abs() + rest);
        let shares: Vec<f64> = found.iter().zip(exact).map(share).collect();
        let error = Some(difference(&shares, &vec![0.0; exact.len()]));
        Self { error, bound: 1.0, from_cpu: Some(difference(found, twin)), fault }
    }
}

/// The complaint where two results are not the same bits.
pub(super) fn same_bits<A: Activation>(found: &[A], expected: &[A], where_: impl FnOnce() -> String) -> Option<String> {
    let (found, expected) = (bytemuck::cast_slice::<A, u8>(found), bytemuck::cast_slice::<A, u8>(expected));
    (found != expected).then(|| format!("other bits {}", where_()))
}

/// The complaint where the first rows have other bits among `n_rows`, which are cut in other tiles. `first` gives so many from
/// the first on, and what else does not hold.
pub(super) fn same_among_many<A: Activation>(
    n_rows: usize,
    first: impl Fn(usize) -> Result<(Vec<A>, Option<String>)>,
) -> Result<Option<String>> {
    let few = n_rows.min(70);
    let ((rows, fault), (all, fault_of_all)) = (first(few)?, first(n_rows)?);
    let differs = || format!("in a batch of {few} rows");
    Ok(fault.or(fault_of_all).or_else(|| same_bits(&rows, &all[..rows.len()], differs)))
}

/// The complaint where a row has other bits in a batch of fewer rows, from `n_rows` down to one alone. `from` gives the rows
/// from a first one on, and what else does not hold.
pub(super) fn same_in_any_batch<A: Activation>(
    n_rows: usize,
    from: impl Fn(usize) -> Result<(Vec<A>, Option<String>)>,
) -> Result<Option<String>> {
    let (whole, _) = from(0)?;
    let width = whole.len() / n_rows;
    for first in 0..n_rows {
        let (rows, fault) = from(first)?;
        let differs = || format!("in a batch of {} rows", n_rows - first);
        if let Some(fault) = fault.or_else(|| same_bits(&rows, &whole[first * width..], differs)) {
            return Ok(Some(fault));
        }
    }
    Ok(None)
}
