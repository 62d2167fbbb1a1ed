//! `biollmnet bench fusion`: training of the fusion network.

use std::path::PathBuf;
use std::sync::Arc;

use biollmnet::backend::Cpu;
use biollmnet::data::{Dataset, EncoderIdentity, Entities, MemoryVectors, Pair, Task};
use biollmnet::error::Result;
use biollmnet::train::{Cohort, OutputStart, Preset, ResidentData, Run, TrainConfig, Trainer};
use clap::Args;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{Measuring, median};
use crate::cli::Context;
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
    #[command(flatten)]
    measuring: Measuring,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    what: String,
    threads: usize,
    pairs: usize,
    batch: usize,
    parameters: usize,
    epochs: Vec<f64>,
    /// Median.
    seconds_per_epoch: f64,
    steps_per_second: f64,
    pairs_per_second: f64,
    /// Matrix products of forward and backward pass, 10⁹ floating-point operations per second.
    gflops: f64,
    /// The same ÷ the matrix product ceiling below.
    share_of_gemm: f64,
    /// Bytes that Adam reads and writes alone (28 per parameter and step), 10⁹ per second of the whole step.
    adam_gb_per_second: f64,
    ceilings: Reading,
}

/// Measures and prints; a repetition is an epoch.
pub fn run(args: &FusionArgs, context: &Context) -> Result<()> {
    // Inside the pool, as a training runs: from outside, every op would wait for a worker to wake up.
    let report = rayon::scope(|_| measure(args))?;
    args.measuring.export(&report)?;
    if context.json {
        print_json(&report)?;
    } else {
        print(format!("{}, {} threads, batch {}", report.what, report.threads, report.batch))?;
        print(format!(
            "{:.3} s per epoch of {} pairs ({:.0} steps/s, {:.0} pairs/s), median of {}",
            report.seconds_per_epoch,
            report.pairs,
            report.steps_per_second,
            report.pairs_per_second,
            report.epochs.len()
        ))?;
        print(format!(
            "{:.0} GFLOP/s of matrix products, {:.0} % of the {:.0} measured here; Adam moves {:.1} GB/s (copy here {:.1})",
            report.gflops,
            100.0 * report.share_of_gemm,
            report.ceilings.gemm_gflops,
            report.adam_gb_per_second,
            report.ceilings.copy_gb_per_second
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

fn measure(args: &FusionArgs) -> Result<Report> {
    let mut config = TrainConfig::load(Preset::RnaProtein, Some(&args.config))?;
    config.standardise = false;
    if !args.dropout {
        (config.network.dropout_projection, config.network.dropout_head) = (0.0, 0.0);
    }
    let data = random_pairs(args);
    let network = config.fusion_config(&data);
    let rows: Vec<u32> = (0..args.pairs as u32).collect();
    let backend = Cpu::all_threads();
    let resident = ResidentData::new(&backend, &data)?;
    let runs = [Run { rows: &rows, watched: &[], epochs: 0, seed: 0 }];
    let start = OutputStart::Drawn;
    let cohort = Cohort { data: &resident, config: &config, start, watch: None, runs: &runs };
    let (mut trainer, _) = Trainer::new(&backend, &cohort)?;
    let epochs = args.measuring.seconds(|| trainer.epoch(&[true]).map(|_| ()))?;
    let seconds = median(&epochs);
    let steps = args.pairs.div_ceil(config.batch) as f64;
    let ceilings = Reading::take()?;
    let gflops = args.pairs as f64 * network.training_flops() / seconds / 1e9;
    Ok(Report {
        what: format!("fusion training, {}", network.summary()),
        threads: backend.threads,
        pairs: args.pairs,
        batch: config.batch,
        parameters: trainer.n_parameters(),
        seconds_per_epoch: seconds,
        steps_per_second: steps / seconds,
        pairs_per_second: args.pairs as f64 / seconds,
        gflops,
        share_of_gemm: gflops / ceilings.gemm_gflops,
        adam_gb_per_second: 28.0 * trainer.n_parameters() as f64 * steps / seconds / 1e9,
        epochs,
        ceilings,
    })
}
