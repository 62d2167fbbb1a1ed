//! `biollmnet export`.

use std::path::PathBuf;

use biollmnet::embed::export::{ExportFormat, export, export_residues};
use biollmnet::embed::store::{Layout, ResidueStore, Store};
use biollmnet::error::Result;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::output::{print, print_json};
use super::{Context, Outcome};

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The store.
    store: PathBuf,
    /// npy: the vectors as stored, and NAME.ids.tsv with the row of every record (a store per residue: also
    /// NAME.offsets.npy, where the states of each row begin and end); parquet and csv: id and vector of every accepted
    /// record, in input order.
    #[arg(long, value_enum)]
    format: FormatFlag,
    /// The file to write [default: beside the store, STORE.npy, STORE.parquet or STORE.csv].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatFlag {
    Npy,
    Parquet,
    Csv,
}

/// Writes the files and names them.
pub fn run(args: &ExportArgs, context: &Context) -> Result<Outcome> {
    let format = match args.format {
        FormatFlag::Npy => ExportFormat::Npy,
        FormatFlag::Parquet => ExportFormat::Parquet,
        FormatFlag::Csv => ExportFormat::Csv,
    };
    let detail = Store::describe(&args.store)?;
    let out = args.out.clone().unwrap_or_else(|| beside(&args.store, format.suffix()));
    let files = if detail.layout == Layout::PerResidue.name() {
        export_residues(&ResidueStore::open_residues(&args.store)?, format, &out, &*context.progress)?
    } else {
        export(&Store::open(&args.store)?, format, &out, &*context.progress)?
    };
    if context.json {
        print_json(&json!({ "files": files, "vectors": detail.vectors, "records": detail.records }))?;
    } else {
        for file in files {
            print(file.display().to_string())?;
        }
    }
    Ok(Outcome::Done)
}

/// `STORE.suffix`, whatever dots the name of the store has.
fn beside(store: &std::path::Path, suffix: &str) -> PathBuf {
    // A trailing slash or `.` must not end up inside the name.
    let whole = std::fs::canonicalize(store).unwrap_or_else(|_| store.to_path_buf());
    let mut name = whole.into_os_string();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}
