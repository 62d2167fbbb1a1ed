//! `biollmnet bench encoder`: sequences to mean vectors.

use std::collections::BTreeMap;
use std::path::PathBuf;

use biollmnet::embed::backbone::Wanted;
use biollmnet::error::{Error, Result};
use biollmnet::models::backbone::Preset;
use biollmnet::ops::linear::Precision;
use biollmnet::tokens::{SPECIAL_TOKENS, TokenBatch};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::ceilings::{CeilingFlags, Ceilings};
use super::fidelity::Fidelity;
use super::pipe::{Latency, Sequences};
use super::source::{Network, Source};
use super::timing::{Measuring, seconds_of};
use super::workload::{Workload, letters, read_lengths};
use super::{PrecisionFlag, inside, median, precision};
use crate::cli::Context;
use crate::cli::device::Opened;
use crate::cli::output::{print, print_json};

/// Shapes that are measured where none is named: what a CPU does in seconds, and whole waves of a large device.
const CPU_SHAPES: &str = "8x128,2x512";
const CUDA_SHAPES: &str = "132x126,33x510,16x1022";
/// Most passes of a sample.
const MOST: usize = 10_000;

/// Arguments of `bench encoder`.
#[derive(Debug, Args)]
pub struct EncoderArgs {
    /// A backbone folder.
    #[arg(long, value_name = "DIR", required_unless_present = "config", conflicts_with = "config")]
    encoder: Option<PathBuf>,
    /// Random weights of true shape in f16, as init makes them, in a temporary folder.
    #[arg(long, value_name = "NAME")]
    config: Option<Preset>,
    /// Batches of sequences of one length: sequences x letters, several with commas; may be empty. Where it is not given:
    /// 8x128,2x512 on the CPU and 132x126,33x510,16x1022 on a CUDA device.
    #[arg(long, value_name = "NxL,…")]
    shape: Option<String>,
    /// Lengths in letters, one a line: run packed, as embed does.
    #[arg(long, value_name = "FILE")]
    lengths: Option<PathBuf>,
    /// Take the lengths so many times.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// Most tokens of a packed batch; as embed has it where it is not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
    /// Also measure the whole way of embed on the sequences of --lengths: tokenise, pack, compute, pool, copy back.
    #[arg(long, requires = "lengths")]
    pipe: bool,
    /// Also measure how long one sequence of so many residues takes from letters to vector.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "300",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    latency: Option<u32>,
    /// Arithmetic of the linear layers; f16 on a CUDA device and f32 on the CPU where it is not given.
    #[arg(long, value_enum)]
    precision: Option<PrecisionFlag>,
    /// Compare the vectors of --lengths with those in f32 instead of measuring throughput, and those of sequences alone
    /// with those in batches. On the CPU int8 is compared where no --precision is given.
    #[arg(long, requires = "lengths")]
    fidelity: bool,
    /// Where --fidelity computes in f32.
    #[arg(long, value_enum, default_value_t = Reference::Device, requires = "fidelity")]
    reference: Reference,
    #[command(flatten)]
    ceilings: CeilingFlags,
    #[command(flatten)]
    measuring: Measuring,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reference {
    /// On the same device.
    Device,
    Cpu,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    what: String,
    precision: &'static str,
    threads: usize,
    max_tokens: usize,
    /// Passes over prepared batches.
    shapes: BTreeMap<String, Throughput>,
    /// From letters to vectors on the host.
    pipe: Option<Throughput>,
    latency: Option<Latency>,
    ceilings: Ceilings,
}

#[derive(Debug, Serialize)]
struct Throughput {
    sequences: usize,
    /// Special tokens included.
    tokens: usize,
    runs: Vec<f64>,
    /// Median.
    seconds: f64,
    tokens_per_second: f64,
    /// Products of linear layers and attention on real tokens, 10⁹ floating-point operations per second.
    gflops: f64,
    /// The same ÷ `peak` of the ceilings, where there is one.
    share_of_peak: Option<f64>,
}

/// Measures and prints; a repetition is one pass over all sequences of a shape.
pub fn run(args: &EncoderArgs, context: &Context) -> Result<()> {
    let opened = context.backend()?;
    let source = Source::open(args.encoder.as_deref(), args.config, context)?;
    let lengths = args.lengths.as_deref().map(read_lengths).transpose()?.unwrap_or_default();
    let lengths = lengths.repeat(usize::from(args.repeat));
    let max_tokens = args.max_tokens.map_or_else(|| opened.tokens_together(), |n| n as usize);
    if args.fidelity {
        let reference = if args.reference == Reference::Cpu { &Opened::Cpu } else { opened };
        let rounded = match (args.precision, opened) {
            (None, Opened::Cpu) => Precision::Int8,
            (flag, _) => precision(flag, opened)?,
        };
        let devices = (reference, opened);
        let fidelity = inside(opened, || Fidelity::measure(&source, devices, rounded, &lengths, max_tokens))?;
        args.measuring.export(&fidelity)?;
        return if context.json { print_json(&fidelity) } else { fidelity.print() };
    }
    let shapes = args.shape.as_deref().unwrap_or(match opened {
        Opened::Cpu => CPU_SHAPES,
        Opened::Cuda(_) => CUDA_SHAPES,
    });
    let mut work = Workload::uniform(shapes, &source.vocabulary)?;
    if !lengths.is_empty() {
        work.push(Workload::mixed(&lengths, max_tokens, &source.vocabulary));
    }
    if work.is_empty() && args.latency.is_none() {
        return Err(Error::usage("there is nothing to measure", "give --shape, --lengths or --latency"));
    }
    let measured = Measured { args, opened, source: &source, lengths: &lengths, max_tokens, threads: context.threads };
    let precision = precision(args.precision, opened)?;
    let report = inside(opened, || measured.run(&work, precision))?;
    args.measuring.export(&report)?;
    if context.json { print_json(&report) } else { report.print() }
}

struct Measured<'a> {
    args: &'a EncoderArgs,
    opened: &'a Opened,
    source: &'a Source,
    lengths: &'a [usize],
    max_tokens: usize,
    threads: usize,
}

impl Measured<'_> {
    fn run(&self, work: &[Workload], precision: Precision) -> Result<Report> {
        let Self { args, opened, source, lengths, max_tokens, threads } = *self;
        let measuring = &args.measuring;
        let mut network = source.network(opened, precision)?;
        let ceilings = Ceilings::take(opened, precision, &args.ceilings)?;
        let mut shapes = BTreeMap::new();
        for work in work {
            let runs = measuring.samples(MOST, |n| seconds_of(|| passes(&mut network, &work.batches, n)))?;
            let lengths = work.batches.iter().flat_map(TokenBatch::sequences).map(|rows| rows.len());
            shapes.insert(work.name.clone(), self.throughput(&lengths.collect::<Vec<_>>(), runs, &ceilings));
        }
        let mut embedder = source.embedder(network, precision, max_tokens)?;
        let pipe = if args.pipe {
            let sequences = Sequences::random(lengths, &source.vocabulary);
            let runs =
                measuring.samples(MOST, |n| seconds_of(|| (0..n).try_for_each(|_| sequences.embed(&mut embedder))))?;
            let lengths: Vec<usize> = lengths.iter().map(|n| n + SPECIAL_TOKENS).collect();
            Some(self.throughput(&lengths, runs, &ceilings))
        } else {
            None
        };
        let latency = args.latency.map(|residues| {
            let Measuring { warmup, runs, .. } = *measuring;
            Latency::measure(residues as usize, warmup, usize::from(runs), &source.vocabulary, &mut embedder)
        });
        let what = format!("{}, {}", source.name(), precision.name());
        let latency = latency.transpose()?;
        Ok(Report { what, precision: precision.name(), threads, max_tokens, shapes, pipe, latency, ceilings })
    }

    /// Of passes over sequences of so many tokens.
    fn throughput(&self, lengths: &[usize], runs: Vec<f64>, ceilings: &Ceilings) -> Throughput {
        let (seconds, sequences, tokens) = (median(&runs), lengths.len(), lengths.iter().sum());
        let gflops = self.source.flops(lengths.iter().copied()) / 1e9 / seconds;
        let tokens_per_second = tokens as f64 / seconds;
        let share_of_peak = ceilings.share(gflops);
        Throughput { sequences, tokens, runs, seconds, tokens_per_second, gflops, share_of_peak }
    }
}

/// `n` passes over prepared batches; each is begun before the one before has ended, as embed does.
fn passes(network: &mut Network, batches: &[TokenBatch], n: usize) -> Result<()> {
    let mut begun = 0;
    for batch in (0..n).flat_map(|_| batches) {
        network.begin(batch, &[Wanted::Means(letters(batch))])?;
        begun += 1;
        if begun > 1 {
            std::hint::black_box(network.end()?);
            begun -= 1;
        }
    }
    for _ in 0..begun {
        std::hint::black_box(network.end()?);
    }
    Ok(())
}

impl Throughput {
    fn print(&self, name: &str) -> Result<()> {
        let share = self.share_of_peak.map_or(String::new(), |share| format!(", {:.0} % of the peak", 100.0 * share));
        print(format!(
            "{name}: {:.1} tokens/s, {:.0} GFLOP/s{share}; {:.3} s for {} sequences of {} tokens, median of {}",
            self.tokens_per_second,
            self.gflops,
            self.seconds,
            self.sequences,
            self.tokens,
            self.runs.len()
        ))
    }
}

impl Report {
    fn print(&self) -> Result<()> {
        print(format!("{}, {}", self.what, self.ceilings.device))?;
        for (name, shape) in &self.shapes {
            shape.print(name)?;
        }
        if let Some(pipe) = &self.pipe {
            pipe.print("from letters to vectors")?;
        }
        if let Some(latency) = &self.latency {
            latency.print()?;
        }
        self.ceilings.print()
    }
}
