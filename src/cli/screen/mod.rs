//! `biollmnet screen`.

mod summary;

use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use std::time::Instant;

use biollmnet::backend::Cpu;
use biollmnet::data::{Columns, PairTable, Side};
use biollmnet::embed::store::Dtype;
use biollmnet::error::{Error, Result};
use biollmnet::files::{Shard, shard_set};
use biollmnet::ops::pair_score::PairScore;
use biollmnet::screen::{HitTable, Library, Operand, ProgressFile, Screened, Screening, screen_shard};
use biollmnet::train::Model;
use clap::{Args, ValueEnum};
use rustc_hash::FxHashSet;

use super::device::Opened;
use super::predict::write_rejects;
use super::shard_flag::ShardFlag;
use super::{Context, Outcome};
use summary::{Rejects, Run};

/// Arguments of `screen`.
#[derive(Debug, Args)]
pub struct ScreenArgs {
    /// The trained model, a folder.
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// What to search for: an embedding store, or FASTA where the model's encoder has no weights.
    #[arg(long, value_name = "STORE|FASTA")]
    targets: PathBuf,
    /// What to search, one or more: every target is scored with every entry.
    #[arg(long, value_name = "STORE|FASTA", num_args = 1.., required = true)]
    library: Vec<PathBuf>,
    /// Hits per target.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..), required_unless_present = "exhaustive")]
    top_k: Option<u64>,
    /// All pairs, ranked: for small screens.
    #[arg(long, conflicts_with = "top_k")]
    exhaustive: bool,
    /// The table to write: Parquet for .parquet, commas for .csv, tabs for everything else; - is standard output.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What the targets are; the library is the other side.
    #[arg(long, value_enum, default_value_t = SideFlag::Rna)]
    targets_side: SideFlag,
    /// Known pairs that are left out, as in predict.
    #[arg(long, value_name = "PAIRS")]
    exclude: Option<PathBuf>,
    /// Columns of --exclude by name: rna=NAME,partner=NAME [default: the first two, in this order].
    #[arg(long, value_name = "COLUMNS")]
    columns: Option<Columns>,
    /// Leave out hits of a lower score.
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = finite)]
    min_score: Option<f64>,
    /// Keep the folded library in this folder: the next screen of the same library with the same model begins there.
    #[arg(long, value_name = "DIR")]
    folded: Option<PathBuf>,
    /// Type of its numbers; scores are exact with either.
    #[arg(long, value_enum, default_value_t = FoldedDtype::F32, requires = "folded")]
    folded_dtype: FoldedDtype,
    /// Label that ranks, for a model of several [default: its first].
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Take vectors of these encoders as if they were those of the model.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    accept_encoder: Vec<String>,
    #[command(flatten)]
    shard: ShardFlag,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SideFlag {
    Rna,
    Partner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FoldedDtype {
    F16,
    F32,
}

impl From<FoldedDtype> for Dtype {
    fn from(dtype: FoldedDtype) -> Self {
        match dtype {
            FoldedDtype::F16 => Self::F16,
            FoldedDtype::F32 => Self::F32,
        }
    }
}

fn finite(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x: &f64| x.is_finite()).ok_or_else(|| format!("'{text}' is no number"))
}

/// Screens on the device that was asked for and writes the table of hits, or a shard of it.
pub fn run(args: &ScreenArgs, context: &Context) -> Result<Outcome> {
    let shard = args.shard.choose(context)?;
    if !shard.is_whole() && args.out == Path::new("-") {
        return Err(Error::usage("a shard cannot be written to standard output", "name the table to be: --out FILE"));
    }
    let screen = || match context.backend()? {
        Opened::Cpu => run_on(&Cpu::single(), args, shard, context),
        Opened::Cuda(cuda) => run_on(cuda, args, shard, context),
    };
    shard_set::recorded(slice::from_ref(&args.out), shard, screen)
}

fn run_on<B: PairScore + Sync>(backend: &B, args: &ScreenArgs, shard: Shard, context: &Context) -> Result<Outcome> {
    let progress = context.progress.as_ref();
    let model = Model::load(&args.model)?;
    let label = label_index(&model, args.label.as_deref())?;
    let (side, rna, partner) = (args.targets_side, &model.config.rna_encoder, &model.config.partner_encoder);
    let (target_encoder, library_encoder) = if side == SideFlag::Rna { (rna, partner) } else { (partner, rna) };
    let targets_operand = Operand::open(&args.targets, target_encoder, progress)?;
    let library_operands: Vec<Operand> =
        args.library.iter().map(|path| Operand::open(path, library_encoder, progress)).collect::<Result<_>>()?;
    let targets = Library::new(&[Arc::clone(&targets_operand.store)])?;
    let library = Library::new(&library_operands.iter().map(|operand| Arc::clone(&operand.store)).collect::<Vec<_>>())?;
    let (rnas, partners) = if side == SideFlag::Rna { (&targets, &library) } else { (&library, &targets) };
    model.check_encoders(&rnas.entities(&[]), &partners.entities(&[]), &args.accept_encoder)?;
    let excluded = args.excluded(&targets, &library, context)?;
    let pairs = targets.len() as u64 * library.len() as u64;
    let screening = Screening {
        model: &model,
        targets: &targets,
        library: &library,
        rows: shard.range(library.n_rows()),
        targets_side: if side == SideFlag::Rna { Side::Rna } else { Side::Partner },
        label,
        top_k: args.hits_per_target(pairs, library.len())?,
        min_score: args.min_score,
        excluded: &excluded,
        folded: args.folded.as_deref().map(|folder| (folder, args.folded_dtype.into())),
    };
    let fresh: Vec<(&Path, &Operand)> = [(args.targets.as_path(), &targets_operand)]
        .into_iter()
        .chain(args.library.iter().map(PathBuf::as_path).zip(&library_operands))
        .filter(|(_, operand)| operand.is_fresh())
        .collect();
    let rejects = Rejects::of(&fresh);
    let started = Instant::now();
    let screened = if shard.is_whole() {
        search(backend, args, context, &screening, &rejects)?
    } else {
        screen_shard(backend, &screening, (&args.out, shard), (&rejects.text, rejects.number), progress)?
    };
    summary::warn("targets", &targets, context);
    summary::warn("library entries", &library, context);
    let run = Run { screening: &screening, shard, seconds: started.elapsed().as_secs_f64(), rejected: rejects.number };
    run.report(&screened, &args.out, context)
}

/// Finds the hits and writes their table; where it stands is kept beside the table until that is there.
fn search<B: PairScore + Sync>(
    backend: &B,
    args: &ScreenArgs,
    context: &Context,
    screening: &Screening<'_>,
    rejects: &Rejects,
) -> Result<Screened> {
    let to_file = args.out.as_os_str() != "-";
    let mut stand = to_file.then(|| ProgressFile::beside(&args.out, screening)).transpose()?;
    let mut table = HitTable::create(&args.out, screening)?;
    let rescored =
        screening.run(backend, stand.as_mut(), context.progress.as_ref(), |target, hits| table.push(target, hits))?;
    let hits = table.finish()?;
    stand.map_or(Ok(()), ProgressFile::finish)?;
    write_rejects(&args.out, (rejects.number > 0).then_some(rejects.text.as_bytes()), context)?;
    Ok(Screened::Written { hits, rescored, path: args.out.clone() })
}

fn label_index(model: &Model, name: Option<&str>) -> Result<usize> {
    let names = &model.config.label_names;
    let Some(name) = name else { return Ok(0) };
    names.iter().position(|known| known == name).ok_or_else(|| {
        Error::usage(format!("the model has no label '{name}'"), format!("choose one of: {}", names.join(", ")))
    })
}

impl ScreenArgs {
    /// The pairs of `--exclude` that the screen would score.
    fn excluded(&self, targets: &Library, library: &Library, context: &Context) -> Result<FxHashSet<(u32, u32)>> {
        let Some(path) = &self.exclude else { return Ok(FxHashSet::default()) };
        let table = PairTable::read(path, &self.columns.clone().unwrap_or_default().without_labels())?;
        table.check_rows()?;
        let pair = |rna: &str, partner: &str| match self.targets_side {
            SideFlag::Rna => Some((targets.find(rna)?, library.find(partner)?)),
            SideFlag::Partner => Some((targets.find(partner)?, library.find(rna)?)),
        };
        let excluded: FxHashSet<_> = table.rows.iter().filter_map(|row| pair(&row.rna, &row.partner)).collect();
        if excluded.is_empty() {
            context.note(format!("warning: {}: no pair has both ids in this screen", path.display()));
        }
        Ok(excluded)
    }

    /// Hits of a target: those asked for, or all there are.
    fn hits_per_target(&self, pairs: u64, n_entries: usize) -> Result<usize> {
        /// Beyond this a table of every pair is more than anybody reads.
        const MOST_PAIRS: u64 = 200_000_000;
        match self.top_k {
            Some(k) => Ok(usize::try_from(k).unwrap_or(usize::MAX).min(n_entries)),
            None if pairs <= MOST_PAIRS => Ok(n_entries),
            None => Err(Error::usage(
                format!("--exhaustive would write {pairs} pairs, and the limit is {MOST_PAIRS}"),
                "screen with --top-k, or screen fewer targets or entries at a time",
            )),
        }
    }
}
