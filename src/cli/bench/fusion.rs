//! `biollmnet bench fusion`: training of the fusion network.

use std::path::PathBuf;
use std::slice::from_ref;
use std::sync::Arc;

use biollmnet::backend::{Cpu, Cuda, Memory};
use biollmnet::data::{Dataset, EncoderIdentity, Entities, MemoryVectors, Pair, Task};
use biollmnet::error::Result;
use biollmnet::models::fusion::Layout;
use biollmnet::train::{Cohort, OutputStart, Preset, ResidentData, Run, TrainConfig, Trainer};
use clap::Args;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::{Measuring, inside, median};
use crate::cli::Context;
use crate::cli::device::Opened;
use crate::cli::output::{print, print_json};
use crate::cli::reading::Reading;

/// Arguments of `bench fusion`.
#[derive(Debug, Args)]
pub struct FusionArgs {
    /// The network: TOML laid over the preset rna-protein, or the word paper.
    #[arg(long, value_name = "TOML", default_value = "paper")]
    config: PathBuf,
    /// Width of the RNA vectors.
    #[arg(long, value_name = "N", default_value_t = 1280)]
    d_rna: usize,
    /// Width of the partner vectors.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    d_partner: usize,
    /// Pairs of an epoch.
    #[arg(long, value_name = "N", default_value_t = 2336)]
    pairs: usize,
    /// Keep the dropout of the configuration; the peers run without.
    #[arg(long)]
    dropout: bool,
    /// Trainings that advance together, each with a thread of its own on the CPU: the folds and seeds of an evaluation.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    runs_together: u16,
    #[command(flatten)]
    measuring: Measuring,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    what: String,
    device: String,
    threads: usize,
    runs_together: usize,
    pairs: usize,
    batch: usize,
    parameters: usize,
    /// Seconds of an epoch of all runs.
    epochs: Vec<f64>,
    /// Median ÷ runs.
    seconds_per_epoch_and_run: f64,
    /// Of all runs together.
    steps_per_second: f64,
    pairs_per_second: f64,
    /// Matrix products of forward and backward pass, 10⁹ floating-point operations per second.
    gflops: f64,
    /// Parameters and moments that steps read and write once (24 bytes per parameter and step), 10⁹ per second.
    update_gb_per_second: f64,
    /// What the CPU can do, where it computed.
    #[serde(flatten)]
    ceilings: Option<Shares>,
}

/// The same as shares of what the CPU can do.
#[derive(Debug, Serialize)]
struct Shares {
    /// Operations ÷ the matrix product below.
    share_of_gemm: f64,
    /// Bytes ÷ the copy below.
    share_of_copy: f64,
    ceilings: Reading,
}

/// Measures and prints; a repetition is an epoch.
pub fn run(args: &FusionArgs, context: &Context) -> Result<()> {
    let opened = context.backend()?;
    let report = inside(opened, || match opened {
        Opened::Cpu => on_cpu(args),
        Opened::Cuda(cuda) => on_cuda(args, cuda),
    })?;
    args.measuring.export(&report)?;
    if context.json {
        return print_json(&report);
    }
    print(format!("{} on {}, {} together, batch {}", report.what, report.device, report.runs_together, report.batch))?;
    print(format!(
        "{:.4} s per epoch of {} pairs and run ({:.0} steps/s, {:.0} pairs/s of all runs), median of {}",
        report.seconds_per_epoch_and_run,
        report.pairs,
        report.steps_per_second,
        report.pairs_per_second,
        report.epochs.len()
    ))?;
    print(format!(
        "{:.0} GFLOP/s of matrix products, {:.1} GB/s of parameters and moments",
        report.gflops, report.update_gb_per_second
    ))?;
    if let Some(Shares { share_of_gemm, share_of_copy, ceilings }) = &report.ceilings {
        print(format!(
            "{:.0} % of the {:.0} GFLOP/s and {:.0} % of the {:.1} GB/s of a copy that were measured here",
            100.0 * share_of_gemm,
            ceilings.gemm_gflops,
            100.0 * share_of_copy,
            ceilings.copy_gb_per_second
        ))?;
    }
    Ok(())
}

/// Random vectors of the asked widths, 300 RNAs and 1 000 partners.
fn random_pairs(args: &FusionArgs) -> Dataset {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut side = |n: usize, dim: usize| Entities {
        ids: (0..n).map(|i| i.to_string()).collect(),
        rows: (0..n).collect(),
        group: (0..n as u32).collect(),
        length: vec![0; n],
        digest: vec![String::new(); n],
        source: Arc::new(MemoryVectors { dim, values: (0..n * dim).map(|_| random.random_range(-1.0..1.0)).collect() }),
        encoder: EncoderIdentity { name: "random".into(), digest: String::new(), pooling: "mean".into() },
    };
    let (rna, partner) = (side(300, args.d_rna), side(1000, args.d_partner));
    let pairs = (0..args.pairs as u32)
        .map(|row0| Pair { rna: random.random_range(0..300), partner: random.random_range(0..1000), row0 })
        .collect();
    let labels = (0..args.pairs).map(|_| f32::from(u8::from(random.random_bool(0.5)))).collect();
    Dataset { rna, partner, pairs, labels, label_names: vec!["label".into()], task: Task::Binary }
}

/// The training that is measured, without its data.
fn config(args: &FusionArgs) -> Result<TrainConfig> {
    let mut config = TrainConfig::load(Preset::RnaProtein, Some(&args.config))?;
    config.standardise = false;
    if !args.dropout {
        (config.network.dropout_projection, config.network.dropout_head) = (0.0, 0.0);
    }
    Ok(config)
}

/// One run with all threads, or runs side by side with a thread each.
fn on_cpu(args: &FusionArgs) -> Result<Report> {
    let together = usize::from(args.runs_together);
    let backend = if together == 1 { Cpu::all_threads() } else { Cpu::single() };
    let (config, data, rows) = (config(args)?, random_pairs(args), (0..args.pairs as u32).collect::<Vec<u32>>());
    let resident = ResidentData::new(&backend, &data)?;
    let runs: Vec<Run<'_>> = (0..together as u64).map(|seed| run_of(&rows, seed)).collect();
    let cohorts: Vec<Cohort<'_, Cpu>> = runs.iter().map(|run| cohort(&resident, &config, from_ref(run))).collect();
    let trainers: Result<Vec<_>> = cohorts.iter().map(|cohort| Ok(Trainer::new(&backend, cohort)?.0)).collect();
    let mut trainers = trainers?;
    let epochs = args.measuring.seconds(|| {
        trainers.par_iter_mut().with_max_len(1).try_for_each(|trainer| trainer.epoch(&[true]).map(|_| ()))
    })?;
    let ceilings = Reading::take()?;
    let mut report = report(args, &config, &data, epochs, "the CPU".into());
    report.ceilings = Some(Shares {
        share_of_gemm: report.gflops / ceilings.gemm_gflops,
        share_of_copy: report.update_gb_per_second / ceilings.copy_gb_per_second,
        ceilings,
    });
    Ok(report)
}

/// One cohort of all runs.
fn on_cuda(args: &FusionArgs, cuda: &Cuda) -> Result<Report> {
    let (config, data, rows) = (config(args)?, random_pairs(args), (0..args.pairs as u32).collect::<Vec<u32>>());
    let resident = ResidentData::new(cuda, &data)?;
    let runs: Vec<Run<'_>> = (0..u64::from(args.runs_together)).map(|seed| run_of(&rows, seed)).collect();
    let cohort = cohort(&resident, &config, &runs);
    let (mut trainer, _) = Trainer::new(cuda, &cohort)?;
    let active = vec![true; runs.len()];
    let epochs = args.measuring.seconds(|| trainer.epoch(&active).map(|_| ()))?;
    Ok(report(args, &config, &data, epochs, cuda.info().to_string()))
}

fn run_of(rows: &[u32], seed: u64) -> Run<'_> {
    Run { rows, watched: &[], epochs: 0, seed }
}

fn cohort<'a, B: Memory>(data: &'a ResidentData<'a, B>, config: &'a TrainConfig, runs: &'a [Run<'a>]) -> Cohort<'a, B> {
    Cohort { data, config, start: OutputStart::Drawn, watch: None, runs, notes: None }
}

fn report(args: &FusionArgs, config: &TrainConfig, data: &Dataset, epochs: Vec<f64>, device: String) -> Report {
    let network = config.fusion_config(data);
    let together = usize::from(args.runs_together);
    let seconds = median(&epochs) / together as f64;
    let steps = args.pairs.div_ceil(config.batch) as f64;
    let parameters = Layout::new(&network).len();
    Report {
        what: format!("fusion training, {}", network.summary()),
        device,
        threads: rayon::current_num_threads(),
        runs_together: together,
        pairs: args.pairs,
        batch: config.batch,
        parameters,
        seconds_per_epoch_and_run: seconds,
        steps_per_second: steps / seconds,
        pairs_per_second: args.pairs as f64 / seconds,
        gflops: args.pairs as f64 * network.training_flops() / seconds / 1e9,
        update_gb_per_second: 24.0 * parameters as f64 * steps / seconds / 1e9,
        epochs,
        ceilings: None,
    }
}
