//! `biollmnet predict`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use biollmnet::backend::Cpu;
use biollmnet::data::{Columns, Dataset, PairTable};
use biollmnet::embed::join;
use biollmnet::error::Result;
use biollmnet::ops::gated_fusion::GatedFusion;
use biollmnet::screen::{self, Cell, Domain, Kind, Operand, Scorer, TableFile};
use biollmnet::train::Model;
use clap::Args;
use serde_json::json;

use super::device::Opened;
use super::output::{print, print_json};
use super::pair_input::rejects_tsv;
use super::{Context, Outcome};

/// Arguments of `predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// The trained model, a folder.
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Pairs, TSV or CSV with a header, plain or gzip; - reads standard input. Labels are not read; all columns but the
    /// ids are kept.
    #[arg(long, value_name = "TSV")]
    pairs: PathBuf,
    /// Columns by name: rna=NAME,partner=NAME [default: the first two, in this order].
    #[arg(long, value_name = "COLUMNS")]
    columns: Option<Columns>,
    /// Embedding store of the RNAs, or FASTA where the model's encoder has no weights.
    #[arg(long, value_name = "STORE|FASTA")]
    rna: PathBuf,
    /// Embedding store of the partners, or FASTA where the model's encoder has no weights.
    #[arg(long, value_name = "STORE|FASTA")]
    partner: PathBuf,
    /// The table to write: Parquet for .parquet, commas for .csv, tabs for everything else; - is standard output.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Take vectors of these encoders as if they were those of the model.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    accept_encoder: Vec<String>,
}

/// Scores the pairs on the device that was asked for and writes the table.
pub fn run(args: &PredictArgs, context: &Context) -> Result<Outcome> {
    match context.backend()? {
        Opened::Cpu => run_on(&Cpu::single(), args, context),
        Opened::Cuda(cuda) => run_on(cuda, args, context),
    }
}

fn run_on<B: GatedFusion + Sync>(backend: &B, args: &PredictArgs, context: &Context) -> Result<Outcome> {
    let device = context.backend()?.to_string();
    let progress = context.progress.as_ref();
    let model = Model::load(&args.model)?;
    let columns = args.columns.clone().unwrap_or_default().without_labels();
    let mut table = PairTable::read(&args.pairs, &columns)?;
    table.check_rows()?;
    let rna = Operand::open(&args.rna, &model.config.rna_encoder, progress)?;
    let partner = Operand::open(&args.partner, &model.config.partner_encoder, progress)?;
    let data = join(&mut table, &rna.store, &partner.store)?;
    model.check_encoders(&data.rna, &data.partner, &args.accept_encoder)?;

    let started = Instant::now();
    let scorer = Scorer::new(backend, &model, &data, progress)?;
    let far = write_predictions(args, context, &model, &table, &data, &scorer)?;
    write_rejects(&args.out, rejects_tsv(&table)?.as_deref(), context)?;
    let rate = data.len() as f64 / started.elapsed().as_secs_f64().max(1e-9);
    context.detail(format!("{} networks, {rate:.0} pairs/s on {device}", model.members.len()));
    let rejected = table.rejects.len();
    if !table.rejects.is_empty() {
        let reasons: Vec<String> = table.rejected_by_reason().iter().map(|(why, n)| format!("{n} {why}")).collect();
        context.note(format!("warning: {rejected} rows rejected: {}", reasons.join(", ")));
    }
    let summary = format!(
        "{}: {} pairs of {} RNAs and {} partners; {far} out of domain",
        args.out.display(),
        data.len(),
        data.rna.len(),
        data.partner.len()
    );
    let counts = json!({
        "out": args.out, "pairs": data.len(), "rnas": data.rna.len(), "partners": data.partner.len(),
        "out_of_domain": far, "rejected": rejected, "pairs_per_second": rate, "device": device,
    });
    tell(&args.out, context, summary, &counts)?;
    Ok(Outcome::from_rejected(rejected))
}

/// Writes the table and counts the pairs that are out of domain.
fn write_predictions<B: GatedFusion + Sync>(
    args: &PredictArgs,
    context: &Context,
    model: &Model,
    table: &PairTable,
    data: &Dataset,
    scorer: &Scorer<'_, B>,
) -> Result<usize> {
    let own = Domain::columns(model);
    let mut columns: Vec<(String, Kind)> = own.iter().map(|&(name, kind)| (name.to_owned(), kind)).collect();
    columns.extend(table.extra_names.iter().map(|name| {
        let taken = own.iter().any(|(own, _)| own == name);
        (if taken { format!("input_{name}") } else { name.clone() }, Kind::Text)
    }));
    let mut file = TableFile::create(&args.out, &columns)?;
    let mut far = 0;
    scorer.each(context.progress.as_ref(), |row, predictions| {
        far += usize::from(scorer.domain.is_out_of_domain(row));
        let row0 = data.pairs[row].row0;
        // Rows are in file order, those that were rejected left out.
        let source = table.rows.binary_search_by_key(&row0, |row| row.row0).ok();
        for (label, prediction) in predictions.iter().enumerate().take(model.config.label_names.len()) {
            let mut cells = scorer.domain.cells(row, label, prediction);
            cells.extend(source.iter().flat_map(|&i| &table.rows[i].extra).map(|text| Cell::Text(text.clone())));
            file.push(cells)?;
        }
        Ok(())
    })?;
    file.finish()?;
    Ok(far)
}

/// Writes `OUT.rejects.tsv`, or removes one of an earlier run; standard output has its rejects on standard error.
pub fn write_rejects(out: &Path, rejects: Option<&[u8]>, context: &Context) -> Result<()> {
    if out == Path::new("-") {
        if let Some(rejects) = rejects {
            context.note(String::from_utf8_lossy(rejects).trim_end());
        }
        return Ok(());
    }
    screen::write_rejects(out, rejects)
}

/// The summary on standard output, or on standard error where the table has the former.
pub fn tell(out: &Path, context: &Context, summary: String, counts: &serde_json::Value) -> Result<()> {
    if out == Path::new("-") {
        context.note(summary);
        Ok(())
    } else if context.json {
        print_json(counts)
    } else {
        print(summary)
    }
}
