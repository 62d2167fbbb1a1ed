//! `biollmnet verify`.

use std::path::PathBuf;

use biollmnet::error::Result;
use biollmnet::files::verify::verify;
use clap::Args;

use super::output::{print, print_json};
use super::{Context, Outcome};

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A store, a model, any other output folder, or an output file with its .b3 beside it.
    path: PathBuf,
}

/// Checks every byte and lists the faults; exit code 1 when there are some.
pub fn run(args: &VerifyArgs, context: &Context) -> Result<Outcome> {
    let found = verify(&args.path, &*context.progress)?;
    if context.json {
        print_json(&found)?;
    } else {
        for fault in &found.faults {
            print(format!("FAULT  {}: {}", fault.path.display(), fault.reason))?;
        }
        let verdict = match found.faults.len() {
            0 => "every byte as it was written".to_owned(),
            n => format!("{n} with faults"),
        };
        let files = found.files;
        print(format!("{}: {files} files, {} bytes checked, {verdict}", args.path.display(), found.bytes))?;
    }
    for path in &found.unlisted {
        context.note(format!("note: {path} is not listed in the manifest and was not checked"));
    }
    Ok(Outcome::from_rejected(found.faults.len()))
}
