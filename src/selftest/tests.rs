//! The self-test can fail, its definitions are those of the reference libraries, and the CPU passes it.

use super::bench::{Bench, Case, Check, Found, difference, same_bits};
use super::golden::goldens;
use super::numbers::Guarded;
use super::reference::Rounding;
use super::*;
use crate::error::{Error, Result};

/// An op whose result is this much above the definition, where it comes to one.
struct Off(Option<f32>, Option<&'static str>);

impl<A: Activation> Case<A> for Off {
    fn op(&self) -> &'static str {
        "off"
    }
    fn size(&self) -> String {
        "n 2".to_owned()
    }
    fn run<B: Subject>(&self, _device: &B) -> Result<Found> {
        let off = self.0.ok_or_else(|| Error::DeviceLost { device: "it".to_owned(), what: "is gone".to_owned() })?;
        Ok(Found { values: vec![1.0, 1.0 + off], fault: self.1.map(str::to_owned) })
    }
    fn exact(&self, rounding: Rounding) -> Vec<f64> {
        vec![1.0, if rounding == Rounding::Half { 1.0 + 1.0 / 1024.0 } else { 1.0 }]
    }
    fn single_bound(&self, _largest: f64) -> f64 {
        1e-5
    }
}

fn checked<A: Activation>(case: &Off) -> Check {
    let mut seen = |_: &Check| {};
    let cpu = Cpu::single();
    let mut bench = Bench::new(&cpu, "off", &mut seen);
    bench.check::<A>(case);
    bench.into_checks().remove(0)
}

#[test]
fn a_wrong_result_fails() {
    for (off, single, half) in [(0.0, true, true), (1e-4, false, true), (1e-2, false, false), (f32::NAN, false, false)]
    {
        assert_eq!(checked::<f32>(&Off(Some(off), None)).holds(), single, "{off}");
        assert_eq!(checked::<f16>(&Off(Some(off), None)).holds(), half, "{off}");
    }
    assert!(!checked::<f32>(&Off(Some(0.0), Some("written beside"))).holds());
    assert_eq!(checked::<f16>(&Off(Some(1e-4), None)).bound, 2.0 / 1024.0);
}

#[test]
fn a_lost_device_fails_and_ends_the_test() {
    let (cpu, mut shown) = (Cpu::single(), 0);
    let mut seen = |_: &Check| shown += 1;
    let mut bench = Bench::new(&cpu, "", &mut seen);
    bench.check::<f32>(&Off(None, None));
    bench.check::<f32>(&Off(Some(0.0), None));
    let checks = bench.into_checks();
    assert_eq!((checks.len(), shown), (1, 1));
    assert_eq!(checks[0].fault.as_deref(), Some("it: is gone"));
    assert!(!checks[0].holds());
}

#[test]
fn what_is_written_beside_a_result_is_seen() {
    let cpu = Cpu::single();
    for (place, complaint) in [(None, None), (Some(63), Some("before the result")), (Some(70), Some("behind the last"))]
    {
        let mut guarded = Guarded::new(&cpu, &[1.0f32; 6], 3).unwrap();
        if let Some(place) = place {
            guarded.overwrite(&cpu, place, 2.0).unwrap();
        }
        let (values, fault) = guarded.read(&cpu).unwrap();
        assert_eq!(values, [1.0; 6]);
        assert_eq!(fault.is_some(), complaint.is_some());
        assert!(complaint.is_none_or(|complaint| fault.unwrap().contains(complaint)));
    }
    let unwritten = Guarded::<Cpu, f16>::unwritten(&cpu, 2, 2).unwrap();
    assert!(unwritten.read(&cpu).unwrap().0.iter().all(|x| x.is_nan()));
}

#[test]
fn bits_and_numbers_are_compared() {
    assert!(same_bits(&[0.0f32], &[0.0], String::new).is_none());
    assert!(same_bits(&[0.0f32], &[-0.0], String::new).is_some());
    assert_eq!(difference(&[1.0, 2.0], &[1.0, 2.5]), 0.5);
    assert_eq!(difference(&[f64::NAN, 2.0], &[1.0, 2.0]), f64::INFINITY);
    assert_eq!(difference(&[1.0], &[1.0, 2.0]), f64::INFINITY);
}

#[test]
fn the_definitions_are_those_of_the_reference_libraries() {
    for golden in goldens().unwrap() {
        let found = golden.by_definition().unwrap();
        // The rotary frequencies are in f32, and the expected numbers have 12 digits.
        assert!(difference(&found, &golden.mean) < 1e-8, "{}", difference(&found, &golden.mean));
    }
}

#[test]
fn the_cpu_passes() {
    let checks = run(&Cpu::with_threads(2), "", &mut |_| {});
    let failed: Vec<_> = checks.iter().filter(|check| !check.holds()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(checks.len() > 300, "{} cases", checks.len());
    let some = run(&Cpu::single(), "attention f16", &mut |_| {});
    assert!(!some.is_empty() && some.iter().all(|check| check.op == "attention" && check.dtype == "f16"));
}
