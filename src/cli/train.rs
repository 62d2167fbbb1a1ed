//! `biollmnet train`.

use std::path::PathBuf;

use biollmnet::backend::Cpu;
use biollmnet::error::Result;
use biollmnet::train::Model;
use clap::Args;
use serde_json::json;

use super::device::Opened;
use super::output::{print, print_json};
use super::pair_input::{PairInput, rejects_tsv};
use super::training_flags::TrainingFlags;
use super::{Context, Outcome};

/// Arguments of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    #[command(flatten)]
    input: PairInput,
    /// The model to write, a folder.
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    #[command(flatten)]
    training: TrainingFlags,
    /// Networks of the ensemble; more than one gives predictions a spread.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    members: u16,
    /// Seed of the first member; the others count up from it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Replace a finished model.
    #[arg(long)]
    force: bool,
}

/// Trains and writes the model folder.
pub fn run(args: &TrainArgs, context: &Context) -> Result<Outcome> {
    let config = args.training.config()?;
    let opened = context.backend()?;
    let folder = Model::folder(&args.out, args.force)?;
    let pairs = args.input.load(context)?;
    let (data, members, progress) = (&pairs.data, usize::from(args.members), context.progress.as_ref());
    let model = match opened {
        // Networks train side by side; one alone uses all threads.
        Opened::Cpu if members == 1 => Model::train(&Cpu::all_threads(), data, &config, 1, args.seed, progress),
        Opened::Cpu => Model::train(&Cpu::single(), data, &config, members, args.seed, progress),
        Opened::Cuda(cuda) => Model::train(cuda, data, &config, members, args.seed, progress),
    }?;
    model.save(folder, rejects_tsv(&pairs.table)?.as_deref())?;
    let epochs: Vec<usize> = model.members.iter().map(|member| member.kept_epoch).collect();
    let summary = model.config.network().summary();
    let parameters = model.members.first().map_or(0, |member| member.parameters.len());
    if context.json {
        print_json(&json!({
            "model": args.out, "pairs": pairs.data.len(), "rejected": pairs.table.rejects.len(), "network": summary,
            "parameters": parameters, "members": args.members, "epochs": epochs, "task": model.config.task,
        }))?;
    } else {
        print(format!(
            "{}: {} trained on {} pairs; {summary}; {parameters} parameters; epochs {epochs:?}",
            args.out.display(),
            if args.members == 1 { "1 network".to_owned() } else { format!("{} networks", args.members) },
            pairs.data.len(),
        ))?;
    }
    Ok(Outcome::from_rejected(pairs.table.rejects.len()))
}
