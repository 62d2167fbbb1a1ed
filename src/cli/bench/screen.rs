//! `biollmnet bench screen`: all targets against all partners on folded operands, a running best-k list of each target.

use biollmnet::backend::{Activation, Cpu, Matrix};
use biollmnet::error::{Error, Result};
use biollmnet::ops::linear::Precision;
use biollmnet::ops::pair_score::{Found, HeadLayer, Link, PairForm, PairMember, PairNetwork, PairOperands, pair_score};
use clap::{Args, ValueEnum};
use half::f16;
use rayon::prelude::*;
use serde::Serialize;

use super::ceilings::{CeilingFlags, Ceilings};
use super::random::numbers;
use super::timing::{Measuring, Timed};
use super::{inside, median};
use crate::cli::Context;
use crate::cli::device::Opened;
use crate::cli::output::{print, print_json};

/// Arguments of `bench screen`.
#[derive(Debug, Args)]
pub struct ScreenArgs {
    /// Widths of the hidden layers of the head.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "64", value_parser = clap::value_parser!(u32).range(1..=65536))]
    head: Vec<u32>,
    /// An input-dependent gate of this width in front of the head, in place of a static one, which costs nothing here.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    input_gate: Option<u32>,
    /// Library entries.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    partners: u32,
    /// Targets.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65536))]
    targets: u32,
    /// Entries that each target keeps.
    #[arg(long, value_name = "K", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,
    /// Type of the folded entries; what the device prefers where it is not given.
    #[arg(long, value_enum)]
    entries: Option<EntryType>,
    /// Leave the entries in the device's memory between repetitions, where they are streamed otherwise.
    #[arg(long)]
    resident: bool,
    #[command(flatten)]
    ceilings: CeilingFlags,
    #[command(flatten)]
    measuring: Measuring,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EntryType {
    F32,
    F16,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    what: String,
    device: String,
    entries: &'static str,
    partners: usize,
    targets: usize,
    top_k: usize,
    resident: bool,
    seconds: Vec<f64>,
    /// Median.
    seconds_per_screen: f64,
    pairs_per_second: f64,
    /// Floating-point operations of a pair: two per element of a signed L1 form, of the matrix products otherwise.
    flop_per_pair: f64,
    gflops: f64,
    /// The same ÷ the peak below. A signed L1 form has no multiply-adds: half of the peak is all that it can reach.
    share_of_peak: Option<f64>,
    /// Pairs that came through the threshold, of all.
    share_of_survivors: f64,
    ceilings: Ceilings,
}

/// Measures and prints.
pub fn run(args: &ScreenArgs, context: &Context) -> Result<()> {
    let opened = context.backend()?;
    let network = network(args);
    let report = inside(opened, || match opened {
        Opened::Cpu => measure(&Cpu::single(), args, opened, &network),
        Opened::Cuda(cuda) => measure(cuda, args, opened, &network),
    })?;
    args.measuring.export(&report)?;
    if context.json {
        return print_json(&report);
    }
    print(format!("{}; entries in {}, on {}", report.what, report.entries, report.device))?;
    print(format!(
        "{} targets × {} partners, best {}: {:.3} s, {:.3e} pairs/s, median of {}",
        report.targets,
        report.partners,
        report.top_k,
        report.seconds_per_screen,
        report.pairs_per_second,
        report.seconds.len()
    ))?;
    let share = report.share_of_peak.map_or(String::new(), |share| format!(", {:.0} % of the peak", 100.0 * share));
    print(format!(
        "{:.1} GFLOP/s{share}; {:.4} % of the pairs survive",
        report.gflops,
        100.0 * report.share_of_survivors
    ))?;
    report.ceilings.print()
}

/// A random network of the form that these flags fold to.
fn network(args: &ScreenArgs) -> PairNetwork {
    let head: Vec<usize> = args.head.iter().map(|&width| width as usize).collect();
    let (form, width, first) = match args.input_gate {
        Some(width) => (PairForm::Gate, width as usize, 0),
        None if head.len() == 1 => (PairForm::SignedL1, head[0], head.len()),
        None => (PairForm::Relu, head[0], 1),
    };
    let mut layers = Vec::new();
    let mut d_in = width;
    if form != PairForm::SignedL1 {
        for (i, &d_out) in head.iter().chain([&1]).enumerate().skip(first) {
            let sd = 1.0 / (d_in as f32).sqrt();
            let weight = numbers(d_out * d_in, 10 + i as u64, sd);
            layers.push(HeadLayer { weight, bias: numbers(d_out, 20 + i as u64, sd), d_in, d_out });
            d_in = d_out;
        }
    }
    let member = PairMember { weight: 1.0, n_positive: if layers.is_empty() { width / 2 } else { 0 }, head: layers };
    PairNetwork { form, width, link: Link::Identity, members: vec![member] }
}

fn flop_per_pair(network: &PairNetwork) -> f64 {
    match network.form {
        PairForm::SignedL1 => 2.0 * network.width as f64,
        _ => network.members[0].head.iter().map(|layer| 2.0 * (layer.d_in * layer.d_out) as f64).sum(),
    }
}

/// The best values of a target so far.
struct Best {
    k: usize,
    values: Vec<f32>,
    least: f32,
}

impl Best {
    fn prune(&mut self) {
        if self.values.len() >= self.k {
            let (_, kth, _) = self.values.select_nth_unstable_by(self.k - 1, |a, b| b.total_cmp(a));
            self.least = *kth;
            self.values.truncate(self.k);
        }
    }
}

fn measure<B: Timed>(backend: &B, args: &ScreenArgs, opened: &Opened, network: &PairNetwork) -> Result<Report> {
    network.check()?;
    let half = match args.entries {
        Some(entries) => entries == EntryType::F16,
        None => backend.prefers_half(network.form),
    };
    if half {
        measure_in::<B, f16>(backend, args, opened, network)
    } else {
        measure_in::<B, f32>(backend, args, opened, network)
    }
}

fn measure_in<B: Timed, A: Activation>(
    backend: &B,
    args: &ScreenArgs,
    opened: &Opened,
    network: &PairNetwork,
) -> Result<Report> {
    let (n_entries, n_targets, k) = (args.partners as usize, args.targets as usize, args.top_k as usize);
    let (row, tables) = (backend.padded(network.width), network.form.n_tables());
    let most = (backend.block_bytes() / (tables * row * size_of::<A>())).clamp(64, 1 << 20);
    let zeroed = |mut rows: Vec<f32>| {
        rows.chunks_exact_mut(row).for_each(|row| row[network.width..].fill(0.0));
        rows
    };
    // A first block that all survive, then whole ones.
    let starts: Vec<usize> =
        std::iter::once(0).chain((first_block(n_targets, most)..n_entries).step_by(most)).collect();
    let end_of = |i: usize| starts.get(i + 1).copied().unwrap_or(n_entries).min(n_entries);
    let blocks: Vec<(usize, Vec<A>)> = starts
        .iter()
        .enumerate()
        .filter(|&(i, &start)| start < end_of(i))
        .map(|(i, &start)| {
            let n = end_of(i) - start;
            let rows = zeroed(numbers(tables * n * row, 100 + i as u64, 1.0));
            (n, rows.into_iter().map(A::rounded).collect())
        })
        .collect();
    let targets = backend.uploaded(&zeroed(numbers(tables * n_targets * row, 1, 1.0)))?;
    let offsets = backend.uploaded(&numbers::<f32>(n_targets, 2, 1.0))?;
    let loaded = backend.load_folded(network)?;
    let resident: Option<Vec<B::Buffer<A>>> = if args.resident {
        Some(blocks.iter().map(|(_, rows)| backend.uploaded(rows)).collect::<Result<_>>()?)
    } else {
        None
    };
    let score = |i: usize, least: &[f32]| -> Result<Vec<(u32, f32)>> {
        let (n, rows) = &blocks[i];
        let streamed;
        let entries = if let Some(resident) = &resident {
            &resident[i]
        } else {
            streamed = backend.uploaded(rows)?;
            &streamed
        };
        let least = backend.uploaded(least)?;
        let operands = PairOperands {
            entries: Matrix::<B, A>::of(backend, entries, tables * n, row),
            targets: Matrix::of(backend, &targets, tables * n_targets, row),
            offsets: Matrix::of(backend, &offsets, 1, n_targets),
            least: Matrix::of(backend, &least, 1, n_targets),
        };
        let mut found = Found::new(backend, CAPACITY)?;
        pair_score(backend, network, &loaded, &operands, [*n, n_targets], &mut found)?;
        let survivors = found.read(backend)?.ok_or_else(|| {
            Error::data("more pairs came through the threshold than there is room for", "choose a smaller --top-k")
        })?;
        Ok(survivors.into_iter().map(|survivor| (survivor.target, survivor.value)).collect())
    };
    let mut survived = 0;
    let seconds = args.measuring.seconds(|| {
        let best = |_| Best { k, values: Vec::new(), least: f32::NEG_INFINITY };
        let mut all: Vec<Best> = (0..n_targets).map(best).collect();
        survived = 0;
        let mut next = 0;
        while next < blocks.len() {
            let least: Vec<f32> = all.iter().map(|best| best.least).collect();
            let wave = next..(next + if next == 0 { 1 } else { 4 * backend.calls_together() }).min(blocks.len());
            let found: Vec<_> = wave.clone().into_par_iter().with_max_len(1).map(|i| score(i, &least)).collect();
            for found in found {
                let found = found?;
                survived += found.len();
                for (target, value) in found {
                    all[target as usize].values.push(value);
                }
            }
            all.par_iter_mut().for_each(Best::prune);
            next = wave.end;
        }
        Ok(())
    })?;
    let ceilings = Ceilings::take(opened, Precision::F32, &args.ceilings)?;
    let pairs = (n_entries * n_targets) as f64;
    let (seconds_per_screen, flop_per_pair) = (median(&seconds), flop_per_pair(network));
    let gflops = flop_per_pair * pairs / seconds_per_screen / 1e9;
    Ok(Report {
        what: format!("screening, {:?} form of width {}, head {:?}", network.form, network.width, args.head),
        device: opened.to_string(),
        entries: A::NAME,
        partners: n_entries,
        targets: n_targets,
        top_k: k,
        resident: args.resident,
        seconds_per_screen,
        pairs_per_second: pairs / seconds_per_screen,
        flop_per_pair,
        gflops,
        share_of_peak: ceilings.peak.map(|peak| gflops / peak),
        share_of_survivors: survived as f64 / pairs,
        seconds,
        ceilings,
    })
}

/// Survivors that one call may report.
const CAPACITY: usize = 1 << 20;

fn first_block(n_targets: usize, most: usize) -> usize {
    (CAPACITY / n_targets).clamp(1, most)
}
