//! Lines of a measurement of ops, each beside the two ceilings.

use biollmnet::error::Result;
use serde::Serialize;

use super::ceilings::Ceilings;
use super::median;
use crate::cli::output::print;

/// What was measured of several ops.
#[derive(Debug, Serialize)]
pub struct Table {
    pub what: String,
    pub precision: &'static str,
    pub lines: Vec<Line>,
    pub ceilings: Ceilings,
}

/// What was measured of one.
#[derive(Debug, Serialize)]
pub struct Line {
    pub name: String,
    pub tokens: usize,
    /// Whether caches were cleared before each repetition.
    pub cold: bool,
    /// Seconds of a repetition in each sample.
    pub runs: Vec<f64>,
    /// Median.
    pub seconds: f64,
    /// 10⁹ floating-point operations per second on real tokens; absent where an op only moves numbers.
    pub gflops: Option<f64>,
    /// The same ÷ `peak` of the ceilings, where there is one.
    pub share_of_peak: Option<f64>,
    /// Operands read once plus results written, 10⁹ bytes per second.
    pub gb_per_second: f64,
    /// The same ÷ the copy of the ceilings.
    pub share_of_copy: f64,
}

/// What an op is for the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Floating-point operations of its products, 0 where it only moves numbers.
    pub flop: f64,
    /// Bytes of its operands and results.
    pub bytes: f64,
}

impl Line {
    /// Of samples that were taken.
    pub fn new(name: String, tokens: usize, cold: bool, cost: Cost, runs: Vec<f64>, ceilings: &Ceilings) -> Self {
        let seconds = median(&runs);
        let gflops = (cost.flop > 0.0).then(|| cost.flop / seconds / 1e9);
        let gb_per_second = cost.bytes / seconds / 1e9;
        Self {
            name,
            tokens,
            cold,
            runs,
            seconds,
            gflops,
            share_of_peak: gflops.and_then(|gflops| ceilings.share(gflops)),
            gb_per_second,
            share_of_copy: gb_per_second / ceilings.copy_gb_per_second,
        }
    }
}

impl Table {
    /// A line each.
    pub fn print(&self) -> Result<()> {
        print(format!("{}, {}, {}", self.what, self.precision, self.ceilings.device))?;
        for line in &self.lines {
            let arithmetic = line.gflops.map_or(String::new(), |gflops| {
                let share = line.share_of_peak.map_or(String::new(), |share| format!(" ({:.0} %)", 100.0 * share));
                format!("{:.2} TFLOP/s{share}, ", gflops / 1e3)
            });
            print(format!(
                "{}, {} tokens: {:.1} µs, {arithmetic}{:.0} GB/s ({:.0} % of a copy)",
                line.name,
                line.tokens,
                1e6 * line.seconds,
                line.gb_per_second,
                100.0 * line.share_of_copy
            ))?;
        }
        self.ceilings.print()
    }
}
