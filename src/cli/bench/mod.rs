//! `biollmnet bench`: throughput as a share of what this machine can do, measured in the same run.

mod attention;
mod ceilings;
mod encoder;
mod fidelity;
mod fusion;
mod gemm;
mod moves;
mod peak;
mod pipe;
mod random;
mod screen;
mod source;
mod table;
mod timing;
mod workload;

use biollmnet::backend::{Activation, Cpu};
use biollmnet::error::Result;
use biollmnet::ops::linear::Precision;
use clap::{Args, Subcommand, ValueEnum};
use half::f16;

use self::timing::{Measuring, Timed, median};
use super::device::Opened;
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
    /// Measure screening on folded operands.
    Screen(screen::ScreenArgs),
    /// Measure an encoder: sequences to mean vectors.
    Encoder(encoder::EncoderArgs),
    /// Measure the linear layers of encoders, and their ops that only move numbers.
    Gemm(gemm::GemmArgs),
    /// Measure self-attention over packed sequences.
    Attention(attention::AttentionArgs),
}

/// Measures and prints.
pub fn run(args: &BenchArgs, context: &Context) -> Result<Outcome> {
    match &args.work {
        Work::Fusion(args) => fusion::run(args, context)?,
        Work::Screen(args) => screen::run(args, context)?,
        Work::Encoder(args) => encoder::run(args, context)?,
        Work::Gemm(args) => gemm::run(args, context)?,
        Work::Attention(args) => attention::run(args, context)?,
    }
    Ok(Outcome::Done)
}

/// Arithmetic of the linear layers, and with it the type of the states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PrecisionFlag {
    F32,
    F16,
    Int8,
    Fp8,
}

/// The flag; without it f16 on a CUDA device and f32 on the CPU, as `embed` has it.
fn precision(flag: Option<PrecisionFlag>, opened: &Opened) -> Result<Precision> {
    let precision = match (flag, opened) {
        (Some(PrecisionFlag::Fp8), _) => Precision::Fp8,
        (Some(PrecisionFlag::Int8), _) => Precision::Int8,
        (Some(PrecisionFlag::F16), _) | (None, Opened::Cuda(_)) => Precision::F16,
        (Some(PrecisionFlag::F32), _) | (None, Opened::Cpu) => Precision::F32,
    };
    opened.check_precision(precision)?;
    Ok(precision)
}

/// A measurement written over any device and any type of states.
trait Job: Send {
    /// What was measured.
    type Output: Send;
    fn run<B: Timed, A: Activation>(self, backend: &B) -> Result<Self::Output>;
}

/// Runs `job` on the device, on states of the type that `precision` computes in.
fn on_device<J: Job>(job: J, opened: &Opened, precision: Precision) -> Result<J::Output> {
    let half = precision == Precision::F16;
    inside(opened, || match opened {
        Opened::Cpu if half => job.run::<Cpu, f16>(&Cpu::all_threads()),
        Opened::Cpu => job.run::<Cpu, f32>(&Cpu::all_threads()),
        Opened::Cuda(cuda) if half => job.run::<_, f16>(cuda),
        Opened::Cuda(cuda) => job.run::<_, f32>(cuda),
    })
}

/// Does `work` where its device is best served: on the CPU inside the pool, as `embed` runs. From outside, every op would
/// wait for a worker to wake up.
fn inside<R: Send>(opened: &Opened, work: impl FnOnce() -> R + Send) -> R {
    match opened {
        Opened::Cpu => rayon::scope(|_| work()),
        Opened::Cuda(_) => work(),
    }
}
