//! `biollmnet merge`.

use std::path::PathBuf;

use biollmnet::embed::pipeline::Filled;
use biollmnet::error::Result;
use biollmnet::scale::merge::{Merged, merge};
use biollmnet::screen::MergedScreen;
use clap::Args;
use serde_json::{Value, json};

use super::embed::describe;
use super::output::{print, print_json};
use super::{Context, Outcome};

/// Arguments of `merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// What --out named when the shards were made: their folder is OUT.shards.
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

/// Joins the shards, and prints a line for each output, or one JSON object.
pub fn run(args: &MergeArgs, context: &Context) -> Result<Outcome> {
    let merged = merge(&args.out, &*context.progress)?;
    if context.json {
        print_json(&json!({ "out": args.out, "outputs": merged.iter().map(as_json).collect::<Vec<_>>() }))?;
    } else {
        merged.iter().try_for_each(|output| print(in_words(output)))?;
    }
    Ok(Outcome::from_rejected(merged.iter().map(refused).sum()))
}

fn in_words(output: &Merged) -> String {
    match output {
        Merged::Store(_, Filled::Written(summary)) => describe(summary),
        Merged::Store(path, Filled::UpToDate(detail)) => {
            format!("{}: merged already ({} records)", path.display(), detail.records)
        }
        Merged::Table(MergedScreen { out, shards: 0, .. }) => format!("{}: merged already", out.display()),
        Merged::Table(MergedScreen { out, shards, hits, targets, entries, .. }) => {
            format!("{}: {hits} hits of {targets} targets among {entries} entries, of {shards} shards", out.display())
        }
    }
}

fn as_json(output: &Merged) -> Value {
    match output {
        Merged::Store(path, Filled::Written(summary)) => json!({
            "out": path, "merged_already": false, "records": summary.records, "vectors": summary.vectors,
            "refused": summary.refused,
        }),
        Merged::Store(path, Filled::UpToDate(detail)) => json!({
            "out": path, "merged_already": true, "records": detail.records, "vectors": detail.vectors,
            "refused": detail.refused,
        }),
        Merged::Table(MergedScreen { out, shards: 0, .. }) => json!({ "out": out, "merged_already": true }),
        Merged::Table(MergedScreen { out, shards, hits, targets, entries, rejected }) => json!({
            "out": out, "merged_already": false, "shards": shards, "hits": hits, "targets": targets, "library": entries,
            "rejected": rejected,
        }),
    }
}

fn refused(output: &Merged) -> usize {
    match output {
        Merged::Store(_, Filled::Written(summary)) => summary.n_refused(),
        Merged::Store(_, Filled::UpToDate(_)) => 0,
        Merged::Table(table) => table.rejected,
    }
}
