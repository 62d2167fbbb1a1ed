//! `biollmnet bench encoder`: sequences to mean vectors.

use std::collections::BTreeMap;
use std::path::PathBuf;

use biollmnet::backend::{Cpu, Matrix, MatrixMut};
use biollmnet::error::{Error, Result};
use biollmnet::models::backbone::{Backbone, Preset, init};
use biollmnet::models::encoder::{Encoder, EncoderConfig, FeedForward, Workspace};
use biollmnet::ops::linear::{Epilogue, Linear, LinearTensors, Precision, linear};
use biollmnet::tokens::{TokenBatch, Vocabulary};
use biollmnet::weights::Tensor;
use biollmnet::weights::elements::Element;
use clap::{Args, ValueEnum};
use serde::Serialize;
use tempfile::TempDir;

use super::fidelity::Fidelity;
use super::peak::Peak;
use super::workload::{Workload, read_lengths};
use super::{Measuring, median};
use crate::cli::Context;
use crate::cli::output::{print, print_json};

/// Arguments of `bench encoder`.
#[derive(Debug, Args)]
pub struct EncoderArgs {
    /// A backbone folder.
    #[arg(long, value_name = "DIR", required_unless_present = "config", conflicts_with = "config")]
    encoder: Option<PathBuf>,
    /// Random weights of true shape in f16, as init makes them, in a temporary folder.
    #[arg(long, value_name = "NAME")]
    config: Option<Preset>,
    /// Batches of sequences of one length: sequences x letters, several with commas; may be empty.
    #[arg(long, value_name = "NxL,…", default_value = "8x128,2x512")]
    shape: String,
    /// Lengths in letters, one a line: run packed, as embed does.
    #[arg(long, value_name = "FILE")]
    lengths: Option<PathBuf>,
    /// Most tokens of a packed batch of --lengths.
    #[arg(long, value_name = "N", default_value_t = 2048)]
    max_tokens: usize,
    /// Arithmetic of the linear layers.
    #[arg(long, value_enum, default_value_t = PrecisionFlag::F32)]
    precision: PrecisionFlag,
    /// Compare int8 with f32 on the sequences of --lengths instead of measuring throughput.
    #[arg(long, requires = "lengths")]
    fidelity: bool,
    #[command(flatten)]
    measuring: Measuring,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PrecisionFlag {
    F32,
    Int8,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    what: String,
    threads: usize,
    shapes: BTreeMap<String, Throughput>,
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
    /// The same ÷ `peak` of the ceilings.
    share_of_peak: f64,
}

#[derive(Debug, Serialize)]
struct Ceilings {
    #[serde(flatten)]
    units: Peak,
    /// A linear layer of the engine alone in this precision, 1024 rows of 1280 to 5120, 10⁹ operations per second.
    linear_gops: f64,
    /// What shares refer to.
    peak: f64,
    /// Which of the above `peak` is.
    peak_is: &'static str,
}

/// Measures and prints; a repetition is one pass over all sequences of a shape.
pub fn run(args: &EncoderArgs, context: &Context) -> Result<()> {
    let source = Source::open(args, context)?;
    let lengths = args.lengths.as_deref().map(read_lengths).transpose()?;
    if let (true, Some(lengths)) = (args.fidelity, &lengths) {
        let work = Workload::mixed(lengths, args.max_tokens, &source.vocabulary);
        let fidelity = rayon::scope(|_| Fidelity::measure(&source, &work))?;
        args.measuring.export(&fidelity)?;
        return if context.json { print_json(&fidelity) } else { fidelity.print() };
    }
    let mut work = Workload::uniform(&args.shape, &source.vocabulary)?;
    work.extend(lengths.map(|lengths| Workload::mixed(&lengths, args.max_tokens, &source.vocabulary)));
    if work.is_empty() {
        return Err(Error::usage("there is nothing to measure", "give --shape, --lengths, or both"));
    }
    // Inside the pool, as embed runs: from outside, every op would wait for a worker to wake up.
    let report = rayon::scope(|_| measure(args, &source, &work))?;
    args.measuring.export(&report)?;
    if context.json { print_json(&report) } else { report.print() }
}

fn measure(args: &EncoderArgs, source: &Source, work: &[Workload]) -> Result<Report> {
    let cpu = Cpu::all_threads();
    let precision = match args.precision {
        PrecisionFlag::F32 => Precision::F32,
        PrecisionFlag::Int8 => Precision::Int8,
    };
    let encoder = source.load(&cpu, precision)?;
    let ceilings = Ceilings::take(&cpu, precision)?;
    let mut space = encoder.workspace(&cpu)?;
    let mut shapes = BTreeMap::new();
    for work in work {
        let runs = args.measuring.seconds(|| {
            work.batches.iter().try_for_each(|batch| mean_vectors(&cpu, &encoder, batch, &mut space).map(|_| ()))
        })?;
        let seconds = median(&runs);
        let gflop: f64 = work.batches.iter().map(|batch| flops(encoder.config(), batch) / 1e9).sum();
        let throughput = Throughput {
            sequences: work.n_sequences(),
            tokens: work.n_tokens(),
            runs,
            seconds,
            tokens_per_second: work.n_tokens() as f64 / seconds,
            gflops: gflop / seconds,
            share_of_peak: gflop / seconds / ceilings.peak,
        };
        shapes.insert(work.name.clone(), throughput);
    }
    Ok(Report { what: format!("{}, {}", source.name(), precision.name()), threads: cpu.threads, shapes, ceilings })
}

/// The weights to measure with.
pub struct Source {
    backbone: Backbone,
    encoder: EncoderConfig,
    vocabulary: Vocabulary,
    /// Holds random weights for as long as they are mapped.
    _temporary: Option<TempDir>,
}

impl Source {
    fn open(args: &EncoderArgs, context: &Context) -> Result<Self> {
        let (backbone, temporary) = match (&args.encoder, args.config) {
            (Some(path), _) => (Backbone::open(path)?, None),
            (None, Some(preset)) => {
                let temporary = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
                let path = temporary.path().join("backbone");
                init(preset, 0, Element::F16, false, &path, &*context.progress)?;
                (Backbone::open(&path)?, Some(temporary))
            }
            (None, None) => return Err(Error::usage("there are no weights", "give --encoder or --config")),
        };
        let name = &backbone.config.name;
        let network = backbone.config.network.sequence();
        let of_sequences = network
            .and_then(|network| Some((network.encoder.clone(), Vocabulary::by_name(network.vocabulary.name())?)));
        let (encoder, vocabulary) = of_sequences
            .ok_or_else(|| Error::usage(format!("'{name}' is no sequence model"), "name an ESM-2 or a RiNALMo"))?;
        Ok(Self { backbone, encoder, vocabulary, _temporary: temporary })
    }

    /// `esm2-650m`, …
    pub fn name(&self) -> &str {
        &self.backbone.config.name
    }

    /// The encoder in this precision.
    pub fn load(&self, cpu: &Cpu, precision: Precision) -> Result<Encoder<Cpu>> {
        Encoder::load(cpu, &self.encoder, self.backbone.scope(), precision)
    }
}

/// Means of the final states over the letters of each sequence, `[n_sequences, d_model]`.
pub fn mean_vectors(
    cpu: &Cpu,
    encoder: &Encoder<Cpu>,
    batch: &TokenBatch,
    space: &mut Workspace<Cpu>,
) -> Result<Vec<f32>> {
    encoder.forward(cpu, batch, space)?;
    let letters: Vec<[u32; 2]> = batch.cu_seqlens().windows(2).map(|ends| [ends[0] + 1, ends[1] - 1]).collect();
    encoder.means(cpu, batch.n_tokens(), &letters, space)
}

/// Floating-point operations of the products of one pass: linear layers, `q·kᵀ` and `p·v` of each sequence.
fn flops(config: &EncoderConfig, batch: &TokenBatch) -> f64 {
    let (d, d_ff) = (config.d_model as f64, config.d_ff as f64);
    let ffn_layers = if config.feed_forward == FeedForward::SwiGlu { 3.0 } else { 2.0 };
    let per_token = 2.0 * (4.0 * d * d + ffn_layers * d * d_ff);
    let pairs: f64 = batch.sequences().map(|rows| (rows.len() as f64).powi(2)).sum();
    config.n_layers as f64 * (per_token * batch.n_tokens() as f64 + 4.0 * d * pairs)
}

impl Ceilings {
    fn take(cpu: &Cpu, precision: Precision) -> Result<Self> {
        let units = Peak::take();
        let linear_gops = linear_gops(cpu, precision)?;
        let (peak, peak_is) = match (precision, units.int8_gops) {
            (Precision::F32 | Precision::F16, _) => (units.f32_gflops, "f32 multiply-adds in registers"),
            (Precision::Int8, Some(gops)) => (gops, "VNNI multiply-adds in registers"),
            (Precision::Int8, None) => (linear_gops, "a linear layer of the engine alone"),
        };
        Ok(Self { units, linear_gops, peak, peak_is })
    }
}

/// The fastest of five calls.
fn linear_gops(cpu: &Cpu, precision: Precision) -> Result<f64> {
    let (rows, d_in, d_out) = (1024, 1280, 5120);
    let numbers = |n: usize| (0..n).map(|i| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5).collect::<Vec<f32>>();
    let weight = Tensor::from_f32("weight", &[d_out, d_in], numbers(d_out * d_in));
    let weights = cpu.load_linear(LinearTensors::Stacked { weights: &[weight], biases: &[] }, precision)?;
    let (x, mut y) = (numbers(rows * d_in), vec![0.0; rows * d_out]);
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let started = std::time::Instant::now();
        let y = MatrixMut::of(cpu, &mut y, rows, d_out);
        linear(cpu, Matrix::of(cpu, &x, rows, d_in), &weights, Epilogue::Store, y)?;
        best = best.min(started.elapsed().as_secs_f64());
    }
    Ok(2.0 * (rows * d_in * d_out) as f64 / best / 1e9)
}

impl Report {
    fn print(&self) -> Result<()> {
        print(format!("{}, {} threads", self.what, self.threads))?;
        for (name, shape) in &self.shapes {
            print(format!(
                "{name}: {:.1} tokens/s, {:.0} GFLOP/s, {:.0} % of the peak; {:.2} s for {} sequences of {} tokens, median of {}",
                shape.tokens_per_second,
                shape.gflops,
                100.0 * shape.share_of_peak,
                shape.seconds,
                shape.sequences,
                shape.tokens,
                shape.runs.len()
            ))?;
        }
        let Ceilings { peak, peak_is, linear_gops, .. } = &self.ceilings;
        print(format!("peak: {peak:.0} GFLOP/s, {peak_is}; a linear layer alone {linear_gops:.0}"))
    }
}

#[cfg(test)]
mod tests {
    use biollmnet::models::encoder::AttentionResidual;

    use super::*;

    #[test]
    fn operations_of_a_token_as_published_sizes_have_them() {
        let mut config = EncoderConfig {
            n_layers: 33,
            d_model: 1280,
            n_heads: 20,
            d_ff: 5120,
            vocab_size: 33,
            mask_id: 32,
            layer_norm_eps: 1e-5,
            rope_theta: 1e4,
            token_dropout: true,
            attention_residual: AttentionResidual::Input,
            attention_bias: true,
            feed_forward: FeedForward::Gelu,
        };
        let mut batch = TokenBatch::default();
        batch.push(&[0; 130]);
        batch.push(&[0; 130]);
        let gflop = |config: &EncoderConfig| flops(config, &batch) / 260.0 / 1e9;
        // 33·(24·1280² + 4·1280·130) and 33·(2·(4·1280² + 3·1280·3413) + 4·1280·130).
        assert!((gflop(&config) - 1.319_577_6).abs() < 1e-9, "{}", gflop(&config));
        config.feed_forward = FeedForward::SwiGlu;
        config.d_ff = 3413;
        assert!((gflop(&config) - 1.319_493_12).abs() < 1e-9, "{}", gflop(&config));
    }
}
