//! `biollmnet init`.

use std::path::PathBuf;
use std::time::Instant;

use biollmnet::error::Result;
use biollmnet::models::backbone::{self, Preset};
use biollmnet::weights::elements::Element;
use clap::Args;
use serde_json::json;

use super::embed::DtypeFlag;
use super::import::describe;
use super::output::{print, print_json};
use super::{Context, Outcome};

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The size: esm2-8m, esm2-35m, esm2-150m, esm2-650m, esm2-3b, esm2-15b, rinalmo-nano, rinalmo-micro, rinalmo-mega,
    /// rinalmo-giga or mole-bert.
    #[arg(long, value_name = "CONFIG")]
    config: Preset,
    /// The folder to write.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seed of the weights.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Type of the written numbers.
    #[arg(long, value_enum, default_value_t = DtypeFlag::F16)]
    dtype: DtypeFlag,
    /// Replace a finished folder.
    #[arg(long)]
    force: bool,
}

/// Writes the folder and prints one summary.
pub fn run(args: &InitArgs, context: &Context) -> Result<Outcome> {
    let started = Instant::now();
    let element = match args.dtype {
        DtypeFlag::F16 => Element::F16,
        DtypeFlag::F32 => Element::F32,
    };
    let config = backbone::init(args.config, args.seed, element, args.force, &args.out, &*context.progress)?;
    let seconds = started.elapsed().as_secs_f64();
    if context.json {
        print_json(&json!({
            "backbone": args.out, "name": config.name, "weights_digest": config.weights_digest, "seed": args.seed,
            "seconds": seconds,
        }))?;
    } else {
        let seed = args.seed;
        print(format!("{}: {}, random weights of seed {seed}, {seconds:.1} s", args.out.display(), describe(&config)))?;
    }
    Ok(Outcome::Done)
}
