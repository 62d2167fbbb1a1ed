//! How long work takes: repetitions that are long enough to be timed, and their median.

use std::path::{Path, PathBuf};
use std::time::Instant;

use biollmnet::backend::{Cpu, Cuda, Memory};
use biollmnet::error::{Error, Result};
use biollmnet::files::atomic::write_with_digest;
use biollmnet::ops::Backend;
use biollmnet::progress::check_interrupt;
use clap::Args;
use serde::Serialize;

/// Seconds that a timed sample takes at least: clocks and launches do not count beside it.
const SAMPLE: f64 = 0.02;
/// Most repetitions of a sample.
const MOST: usize = 20_000;
/// The same where the caches are cleared before each.
const MOST_COLD: usize = 100;
/// Bytes that are written on the CPU to clear its caches.
const CPU_CACHES: usize = 64 << 20;

/// Flags of every measurement.
#[derive(Debug, Args)]
pub struct Measuring {
    /// Repetitions before the timed ones.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub warmup: usize,
    /// Timed repetitions; short work is repeated within each until it takes 20 ms, unless --warmup is 0.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub runs: u16,
    /// Also write the result as JSON.
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
}

/// A backend whose work can be timed.
pub trait Timed: Backend + Clone + Send + Sync + 'static {
    /// Waits until all that was asked for is done.
    fn finish(&self) -> Result<()>;
    /// Seconds that so many repetitions of `work` take together, each after the caches were cleared of its operands; the
    /// clearing does not count.
    fn seconds_cold(&self, repetitions: usize, work: &mut dyn FnMut() -> Result<()>) -> Result<f64>;
}

impl Timed for Cpu {
    fn finish(&self) -> Result<()> {
        Ok(())
    }
    fn seconds_cold(&self, repetitions: usize, work: &mut dyn FnMut() -> Result<()>) -> Result<f64> {
        let mut other = vec![0u8; CPU_CACHES];
        let mut seconds = 0.0;
        for repetition in 0..repetitions {
            std::hint::black_box(&mut other).fill(repetition as u8);
            let started = Instant::now();
            work()?;
            seconds += started.elapsed().as_secs_f64();
        }
        Ok(seconds)
    }
}

impl Timed for Cuda {
    fn finish(&self) -> Result<()> {
        self.synchronise()
    }
    fn seconds_cold(&self, repetitions: usize, work: &mut dyn FnMut() -> Result<()>) -> Result<f64> {
        let mut other = self.zeros::<u32>(2 * self.info().l2_bytes / size_of::<u32>())?;
        let mut marks = Vec::with_capacity(repetitions);
        for _ in 0..repetitions {
            self.clear(&mut other)?;
            let started = self.mark()?;
            work()?;
            marks.push((started, self.mark()?));
        }
        marks.iter().map(|(started, ended)| self.seconds_between(started, ended)).sum()
    }
}

impl Measuring {
    /// Seconds of each timed repetition of `work`.
    pub fn seconds(&self, mut work: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
        for _ in 0..self.warmup {
            work()?;
        }
        (0..self.runs).map(|_| seconds_of(&mut work)).collect()
    }

    /// Seconds of a repetition of `work` in each sample, one after the other without a pause.
    pub fn sustained<B: Timed>(&self, backend: &B, mut work: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
        self.samples(MOST, |n| {
            seconds_of(|| {
                (0..n).try_for_each(|_| work())?;
                backend.finish()
            })
        })
    }

    /// The same with caches cleared before each.
    pub fn cold<B: Timed>(&self, backend: &B, mut work: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
        self.samples(MOST_COLD, |n| backend.seconds_cold(n, &mut work))
    }

    /// Seconds of a repetition in each sample; `run` does so many, waits for them and says what they took.
    pub fn samples(&self, most: usize, run: impl FnMut(usize) -> Result<f64>) -> Result<Vec<f64>> {
        samples(self.warmup, usize::from(self.runs), SAMPLE, most, run)
    }

    /// Writes the result where `--export-json` says.
    pub fn export(&self, report: &impl Serialize) -> Result<()> {
        let write = |path: &Path| {
            let json = serde_json::to_vec_pretty(report).map_err(|e| {
                Error::data(format!("the result cannot be written as JSON: {e}"), "leave out --export-json")
            })?;
            write_with_digest(path, &json)
        };
        self.export_json.as_deref().map_or(Ok(()), write)
    }
}

/// Seconds of a repetition in each of `runs` samples. Each has as many repetitions as take about `sample` seconds, at most
/// `most`; they are found after the warm-up, and without one there is a single repetition.
pub fn samples(
    warmup: usize,
    runs: usize,
    sample: f64,
    most: usize,
    mut run: impl FnMut(usize) -> Result<f64>,
) -> Result<Vec<f64>> {
    let mut run = |n: usize| {
        check_interrupt()?;
        run(n)
    };
    let (mut n, mut seconds) = (1, f64::INFINITY);
    for _ in 0..warmup {
        seconds = run(1)?;
    }
    while seconds < sample / 2.0 && n < most {
        n = ((n as f64 * sample / seconds.max(1e-9)).ceil() as usize).clamp(n + 1, most);
        seconds = run(n)?;
    }
    (0..runs).map(|_| Ok(run(n)? / n as f64)).collect()
}

/// Seconds that `work` takes.
pub fn seconds_of(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64())
}

/// The middle one of the sorted numbers, the upper of two.
pub fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[5.0, 1.0, 3.0]), 3.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 3.0);
    }

    /// Repetitions asked for by a measurement of work of so many seconds.
    fn asked(warmup: usize, most: usize, each: f64) -> Vec<usize> {
        let mut asked = Vec::new();
        let found = samples(warmup, 3, 0.02, most, |n| {
            asked.push(n);
            Ok(each * n as f64)
        });
        assert!(found.unwrap().iter().all(|&seconds| (seconds - each).abs() < 1e-12));
        asked
    }

    #[test]
    fn short_work_is_repeated_until_it_can_be_timed() {
        assert_eq!(asked(2, MOST, 1.0), [1; 5]);
        assert_eq!(asked(2, MOST, 0.0001), [1, 1, 200, 200, 200, 200]);
        assert_eq!(asked(1, 50, 0.0001), [1, 50, 50, 50, 50]);
        assert_eq!(asked(0, MOST, 0.0001), [1; 3]);
    }

    #[test]
    fn clearing_caches_does_not_count() {
        let mut calls = 0;
        let seconds = Cpu::single().seconds_cold(3, &mut || {
            calls += 1;
            Ok(())
        });
        assert!(seconds.unwrap() < 0.001);
        assert_eq!(calls, 3);
    }
}
