//! `biollmnet selftest`.

use std::collections::BTreeMap;
use std::time::Instant;

use biollmnet::backend::{Cpu, Cuda};
use biollmnet::error::{Error, Result};
use biollmnet::selftest::{Check, Subject, run as run_cases};
use clap::Args;
use serde::Serialize;

use super::device::{Device, Opened};
use super::output::{print, print_json};
use super::{Context, Outcome};

/// Arguments of `selftest`.
#[derive(Debug, Args)]
pub struct SelftestArgs {
    /// Only cases whose op, type and sizes hold this text: `linear`, `attention f16`, `k 341`.
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
}

/// What came of one device.
#[derive(Debug, Serialize)]
struct Tested {
    device: String,
    cases: usize,
    failures: usize,
    seconds: f64,
    checks: Vec<Check>,
}

/// Every op and small networks beside their definitions; exit code 1 when something does not hold. `--device auto`
/// tests every device that is there.
pub fn run(args: &SelftestArgs, context: &Context) -> Result<Outcome> {
    let mut tested = Vec::new();
    for device in devices(context)? {
        tested.push(match device {
            Opened::Cpu => test(&Cpu::all_threads(), "cpu".to_owned(), args, context)?,
            Opened::Cuda(cuda) => test(&cuda, cuda.info().to_string(), args, context)?,
        });
    }
    if context.json {
        print_json(&tested)?;
    }
    Ok(Outcome::from_rejected(tested.iter().map(|tested| tested.failures).sum()))
}

fn devices(context: &Context) -> Result<Vec<Opened>> {
    if context.device != Device::Auto {
        return Ok(vec![context.backend()?.clone()]);
    }
    let cuda = match biollmnet::backend::cuda::devices() {
        Ok(devices) => devices.iter().map(|device| Cuda::open(device.ordinal)).collect::<Result<Vec<_>>>()?,
        Err(reason) => {
            context.note(format!("no CUDA device is tested: {reason}"));
            Vec::new()
        }
    };
    Ok([Opened::Cpu].into_iter().chain(cuda.into_iter().map(Opened::Cuda)).collect())
}

fn test<B: Subject>(device: &B, name: String, args: &SelftestArgs, context: &Context) -> Result<Tested> {
    let started = Instant::now();
    let mut seen = |check: &Check| context.detail(format!("{name}: {}", line(&Group::of(check))));
    let checks = run_cases(device, &args.filter, &mut seen);
    let failures = checks.iter().filter(|check| !check.holds()).count();
    let seconds = started.elapsed().as_secs_f64();
    let tested = Tested { device: name, cases: checks.len(), failures, seconds, checks };
    if tested.cases == 0 {
        return Err(Error::usage(
            format!("no case holds the text '{}'", args.filter),
            "leave out --filter; --verbose lists every case",
        ));
    }
    if !context.json {
        print_table(&tested)?;
    }
    Ok(tested)
}

/// The cases of an op and type: how many, and the one that comes closest to its bound.
struct Group<'a> {
    cases: usize,
    worst: &'a Check,
}

impl<'a> Group<'a> {
    fn of(check: &'a Check) -> Self {
        Self { cases: 1, worst: check }
    }
    fn add(&mut self, check: &'a Check) {
        self.cases += 1;
        let rank = |check: &Check| (!check.holds(), check.error.is_some(), check.share());
        if rank(check) > rank(self.worst) {
            self.worst = check;
        }
    }
}

fn line(group: &Group) -> String {
    let Group { cases, worst: check } = group;
    let number = |x: Option<f64>| x.map_or("-".to_owned(), |x| format!("{x:.1e}"));
    let verdict = if check.holds() { "ok" } else { "FAILED" };
    let fault = check.fault.as_ref().map(|fault| format!(": {fault}")).unwrap_or_default();
    format!(
        "{:<16} {:<5} {cases:>5}  {:>8}  {:>8}  {:>8}  {verdict:<6}  {}{fault}",
        check.op,
        check.dtype,
        number(check.error),
        number(check.error.map(|_| check.bound)),
        number(check.from_cpu),
        check.size
    )
}

fn print_table(tested: &Tested) -> Result<()> {
    let Tested { device, cases, failures, seconds, checks } = tested;
    print(format!(
        "{device}: largest differences from the definitions in f64, of each op the one closest to its bound"
    ))?;
    print(format!(
        "{:<16} {:<5} {:>5}  {:>8}  {:>8}  {:>8}  {:<6}  {}",
        "op", "type", "cases", "error", "bound", "from CPU", "", "where"
    ))?;
    let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
    let same = |a: &Check, b: &Check| a.op == b.op && a.dtype == b.dtype;
    for check in checks {
        let first = checks.iter().position(|other| same(check, other)).unwrap_or_default();
        groups.entry(first).and_modify(|group| group.add(check)).or_insert_with(|| Group::of(check));
    }
    for group in groups.values() {
        print(line(group))?;
    }
    let failed = |check: &&Check| !check.holds() && !groups.values().any(|group| std::ptr::eq(group.worst, *check));
    for check in checks.iter().filter(failed) {
        print(line(&Group::of(check)))?;
    }
    let verdict = if *failures == 0 { "all hold".to_owned() } else { format!("{failures} FAILED") };
    print(format!("{device}: {cases} cases, {verdict}, {seconds:.1} s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(size: &str, error: Option<f64>, fault: Option<&str>) -> Check {
        let fault = fault.map(str::to_owned);
        Check { op: "gelu", dtype: "f16", size: size.to_owned(), error, bound: 1.0, from_cpu: None, fault }
    }

    #[test]
    fn a_group_shows_what_fails_before_what_is_close() {
        let checks = [
            check("a", None, None),
            check("b", Some(0.9), None),
            check("c", Some(0.2), Some("broken")),
            check("d", Some(f64::INFINITY), None),
        ];
        let mut group = Group::of(&checks[0]);
        let expected = ["b", "c", "d"];
        for (check, expected) in checks[1..].iter().zip(expected) {
            group.add(check);
            assert_eq!(group.worst.size, expected);
        }
        assert!(line(&group).contains("FAILED"), "{}", line(&group));
        assert!(line(&Group::of(&checks[2])).ends_with("c: broken"));
    }
}
