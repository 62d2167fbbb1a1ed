//! What `screen` says when it is done.

use std::fmt::Write as _;
use std::path::Path;

use biollmnet::error::Result;
use biollmnet::files::Shard;
use biollmnet::screen::{Library, Operand, Screened, Screening};
use serde_json::json;

use crate::cli::output::{print, print_json};
use crate::cli::predict::tell;
use crate::cli::{Context, Outcome};

/// Records that were refused while they were embedded on the way.
pub struct Rejects {
    /// As TSV.
    pub text: String,
    pub number: usize,
}

impl Rejects {
    pub fn of(fresh: &[(&Path, &Operand)]) -> Self {
        let (mut text, mut number) = (String::from("file\tid\tstatus\n"), 0);
        for (path, operand) in fresh {
            for record in operand.store.records().filter(|record| record.row.is_none()) {
                let id = record.id.replace(['\t', '\n', '\r'], " ");
                let _ = writeln!(text, "{}\t{id}\t{}", path.display(), record.status.name());
                number += 1;
            }
        }
        Self { text, number }
    }
}

/// A screen that is done.
pub struct Run<'a> {
    pub screening: &'a Screening<'a>,
    pub shard: Shard,
    pub seconds: f64,
    pub rejected: usize,
}

impl Run<'_> {
    /// Prints a line, or one JSON object.
    pub fn report(&self, screened: &Screened, out: &Path, context: &Context) -> Result<Outcome> {
        match screened {
            Screened::Written { hits, rescored, path } => {
                self.report_written((*hits, *rescored, path), out, context)?;
            }
            Screened::UpToDate(path) | Screened::Merged(path) => {
                let merged = matches!(screened, Screened::Merged(_));
                let state = if merged { "merged already" } else { "up to date" };
                if context.json {
                    print_json(&json!({
                        "out": out, "shard": self.shard.to_string(), "path": path, "up_to_date": true, "merged": merged,
                    }))?;
                } else {
                    print(format!("{}: {state}", path.display()))?;
                }
            }
        }
        Ok(Outcome::from_rejected(self.rejected))
    }

    fn report_written(&self, written: (usize, usize, &Path), out: &Path, context: &Context) -> Result<()> {
        let (hits, rescored, path) = written;
        let Screening { model, targets, library, excluded, rows, .. } = self.screening;
        let whole = self.shard.is_whole();
        // Only the vectors of a shard are counted, not the entries that share them.
        let entries = if whole { library.len() } else { rows.len() };
        let pairs = targets.len() as u64 * entries as u64;
        let (seconds, rate) = (self.seconds, pairs as f64 / self.seconds.max(1e-9));
        let device = context.backend()?.to_string();
        context.detail(format!(
            "{pairs} pairs in {seconds:.1} s, {rate:.0} pairs/s on {device}, {rescored} of them exactly; {} networks; {} \
             pairs excluded",
            model.members.len(),
            excluded.len()
        ));
        let what = if whole { "entries" } else { "vectors" };
        let summary = format!(
            "{}: {hits} hits of {} targets among {entries} {what}, {rate:.0} pairs/s",
            path.display(),
            targets.len()
        );
        let mut counts = json!({
            "out": out, "targets": targets.len(), "library": library.len(), "hits": hits,
            "pairs": pairs, "seconds": seconds, "pairs_per_second": rate, "rescored": rescored, "excluded": excluded.len(),
            "refused": targets.refused + library.refused, "rejected": self.rejected, "device": device,
        });
        if whole {
            return tell(out, context, summary, &counts);
        }
        counts["shard"] = self.shard.to_string().into();
        counts["path"] = json!(path);
        counts["up_to_date"] = false.into();
        tell(out, context, summary, &counts)?;
        let count = self.shard.count;
        context.note(format!("next, when all {count} shards are done: biollmnet merge {}", out.display()));
        Ok(())
    }
}

/// Says what of a collection is left out.
pub fn warn(what: &str, collection: &Library, context: &Context) {
    if collection.refused > 0 {
        context.note(format!("warning: {} {what} have no vector and are skipped", collection.refused));
    }
    if collection.repeated > 0 {
        context.note(format!("note: {} {what} repeat an earlier store and are taken once", collection.repeated));
    }
}
