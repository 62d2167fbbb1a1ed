//! `biollmnet demo`: the whole job on a small synthetic data set, without a download.
//!
//! Every step is a command line that is printed, parsed and run as if it had been typed in the demo's folder.

mod data;
mod steps;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use biollmnet::error::{Error, Result};
use biollmnet::files::manifest::Manifest;
use biollmnet::files::output_folder::OutputFolder;
use clap::{Args, Parser};
use serde_json::json;

use super::output::{print, print_json};
use super::{Cli, Context, Outcome, dispatch};
use data::DemoData;
use steps::{EVALUATION, STEPS};

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The folder to write: inputs, stores, model, evaluation, predictions and report.html.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace a finished demo.
    #[arg(long)]
    force: bool,
}

/// The `kind` of a demo in its manifest.
const KIND: &str = "demo";

/// Writes the inputs, runs every step on them and tells where the report is.
pub fn run(args: &DemoArgs, context: &Context) -> Result<Outcome> {
    let started = Instant::now();
    let folder = OutputFolder::create(&args.out, KIND, args.force)?;
    let staging = folder.place(".")?;
    DemoData::generate().write(&staging.join("input"))?;
    if !context.json {
        let out = args.out.display();
        print(format!(
            "A synthetic example: {out}/input/README.txt says how it was made.\n\
             Each line after $ is a command that can be typed in {out}, with another --out or with --force."
        ))?;
    }
    let seconds = inside(&staging, || STEPS.iter().map(|step| run_step(step, context)).collect::<Result<Vec<_>>>())?;
    bring_up(&folder)?;
    folder.commit(json!({ "synthetic": true }))?;

    let report = args.out.join("report.html");
    if context.json {
        print_json(&json!({ "demo": args.out, "report": report, "commands": STEPS, "seconds": seconds }))?;
    } else {
        let total = started.elapsed().as_secs_f64();
        print(format!("\nall done in {total:.1} s; open {} in a browser", report.display()))?;
    }
    Ok(Outcome::Done)
}

/// Runs `work` with `folder` as the current folder, so that the commands need no other names than a user's.
fn inside<T>(folder: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = std::env::current_dir().map_err(Error::io("find", "the current folder"))?;
    std::env::set_current_dir(folder).map_err(Error::io("enter", folder))?;
    let done = work();
    std::env::set_current_dir(&before).map_err(Error::io("enter", &before))?;
    done
}

/// Prints and runs one command; the seconds that it took.
fn run_step(step: &str, context: &Context) -> Result<f64> {
    let started = Instant::now();
    let command = format!("biollmnet {step}");
    if !context.json {
        print(format!("\n$ {command}"))?;
    }
    // The bare definition: variables of the environment are for what the user types.
    let cli = Cli::try_parse_from(command.split_whitespace())
        .map_err(|e| Error::usage(e.to_string(), "this is a defect of the demo: please report it"))?;
    dispatch(&cli.command, &context.of_demo(command))?;
    let seconds = started.elapsed().as_secs_f64();
    if !context.json {
        print(format!("[{seconds:.1} s]"))?;
    }
    Ok(seconds)
}

/// Copies what one looks at first, the report and its numbers, from the evaluation to the top.
fn bring_up(folder: &OutputFolder) -> Result<()> {
    let evaluation = folder.place(EVALUATION)?;
    let wanted = |path: &str| path.starts_with("figures/") || matches!(path, "report.html" | "metrics.json");
    for file in Manifest::read(&evaluation)?.files.iter().filter(|file| wanted(&file.path)) {
        let from = evaluation.join(&file.path);
        fs::copy(&from, folder.place(&file.path)?).map_err(Error::io("copy", &from))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_a_valid_command() {
        for step in STEPS {
            Cli::try_parse_from(["biollmnet"].into_iter().chain(step.split_whitespace())).unwrap();
        }
    }
}
