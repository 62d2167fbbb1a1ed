//! `biollmnet bench`: throughput as a share of what this machine can do, measured in the same run.

mod encoder;
mod fidelity;
mod fusion;
mod peak;
mod workload;

use std::path::{Path, PathBuf};
use std::time::Instant;

use biollmnet::error::{Error, Result};
use biollmnet::files::atomic::write_with_digest;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Context, Outcome};

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Measure the training of the fusion network.
    Fusion(fusion::FusionArgs),
    /// Measure an encoder: sequences to mean vectors.
    Encoder(encoder::EncoderArgs),
}

/// Measures and prints.
pub fn run(args: &BenchArgs, context: &Context) -> Result<Outcome> {
    match &args.work {
        Work::Fusion(args) => fusion::run(args, context)?,
        Work::Encoder(args) => encoder::run(args, context)?,
    }
    Ok(Outcome::Done)
}

/// Flags of every measurement.
#[derive(Debug, Args)]
struct Measuring {
    /// Repetitions before the timed ones.
    #[arg(long, value_name = "N", default_value_t = 2)]
    warmup: usize,
    /// Timed repetitions.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Also write the result as JSON.
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
}

impl Measuring {
    /// Seconds of each timed repetition of `work`.
    fn seconds(&self, mut work: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
        for _ in 0..self.warmup {
            work()?;
        }
        let mut seconds = Vec::new();
        for _ in 0..self.runs {
            let started = Instant::now();
            work()?;
            seconds.push(started.elapsed().as_secs_f64());
        }
        Ok(seconds)
    }

    /// Writes the result where `--export-json` says.
    fn export(&self, report: &impl Serialize) -> Result<()> {
        let write = |path: &Path| {
            let json = serde_json::to_vec_pretty(report).map_err(|e| {
                Error::data(format!("the result cannot be written as JSON: {e}"), "leave out --export-json")
            })?;
            write_with_digest(path, &json)
        };
        self.export_json.as_deref().map_or(Ok(()), write)
    }
}

/// The middle one of the sorted numbers, the upper of two.
fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
