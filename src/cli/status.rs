//! `biollmnet status`.

use std::path::PathBuf;

use biollmnet::error::Result;
use biollmnet::files::shard_set::Standing;
use biollmnet::files::{Manifest, Shard};
use biollmnet::scale::status::{Status, status};
use clap::Args;
use serde_json::{Value, json};

use super::output::{print, print_json};
use super::{Context, Outcome};

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// What --out named when the shards were made: their folder is OUT.shards.
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

/// Tells how far the shards are; exit code 1 while one of them is to be done.
pub fn run(args: &StatusArgs, context: &Context) -> Result<Outcome> {
    let found = status(&args.out)?;
    if context.json {
        print_json(&json!({ "out": args.out, "outputs": found.iter().map(as_json).collect::<Vec<_>>() }))?;
    } else {
        for output in &found {
            in_words(output, context.verbose).into_iter().try_for_each(print)?;
        }
    }
    Ok(Outcome::from_rejected(found.iter().filter(|output| !output.is_done()).count()))
}

/// A line for the output, and one for each shard that is not done; `all` = for every shard.
fn in_words(output: &Status, all: bool) -> Vec<String> {
    let shown = output.out.display();
    if output.finished {
        return vec![format!("{shown}: finished")];
    }
    let mut lines = Vec::new();
    for count in counts(output) {
        let of_count = || output.shards.iter().filter(move |(shard, _)| shard.count == count);
        let number = |name: &str| of_count().filter(|(_, standing)| name_of(standing) == name).count();
        let states = ["done", "unfinished", "missing", "failed"].map(|name| (number(name), name));
        let text: Vec<_> = states.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
        let next = if states[0].0 == count { format!("; next: biollmnet merge {shown}") } else { String::new() };
        lines.push(format!("{shown}: {count} shards, {}{next}", text.join(", ")));
        let told = of_count().filter(|(_, standing)| all || name_of(standing) != "done");
        lines.extend(told.map(|(shard, standing)| line_of(*shard, standing)));
    }
    lines
}

/// The numbers of shards that an output was cut into: one, unless somebody changed his mind.
fn counts(output: &Status) -> Vec<usize> {
    let mut counts: Vec<usize> = output.shards.iter().map(|(shard, _)| shard.count).collect();
    counts.dedup();
    counts
}

fn line_of(shard: Shard, standing: &Standing) -> String {
    let more = match standing {
        Standing::Done(manifest) => amount(manifest),
        Standing::Stopped(manifest) => match amount(manifest) {
            unknown if unknown.is_empty() => unknown,
            amount => format!("{amount} so far"),
        },
        Standing::Missing => String::new(),
        Standing::Failed(error) => error.clone(),
    };
    format!("  {shard:<9} {:<10} {more}", name_of(standing)).trim_end().to_owned()
}

/// `1200 records` or `1200 hits`, where the shard tells.
fn amount(manifest: &Manifest) -> String {
    let told = |name: &str| manifest.detail[name].as_u64().map(|n| format!("{n} {name}"));
    told("records").or_else(|| told("hits")).unwrap_or_default()
}

fn name_of(standing: &Standing) -> &'static str {
    match standing {
        Standing::Done(_) => "done",
        Standing::Stopped(_) => "unfinished",
        Standing::Missing => "missing",
        Standing::Failed(_) => "failed",
    }
}

fn as_json(output: &Status) -> Value {
    let shards = output.shards.iter().map(|(shard, standing)| {
        let mut fields = json!({ "shard": shard.to_string(), "state": name_of(standing) });
        match standing {
            Standing::Done(manifest) | Standing::Stopped(manifest) => {
                for name in ["records", "hits"].into_iter().filter(|name| !manifest.detail[name].is_null()) {
                    fields[name] = manifest.detail[name].clone();
                }
            }
            Standing::Failed(error) => fields["error"] = error.as_str().into(),
            Standing::Missing => {}
        }
        fields
    });
    json!({
        "out": output.out, "finished": output.finished, "done": output.is_done(), "shards": shards.collect::<Vec<_>>(),
    })
}
