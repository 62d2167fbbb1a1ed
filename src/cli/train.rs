//! `biollmnet train`.

use std::path::PathBuf;
use std::time::Duration;

use biollmnet::backend::Cpu;
use biollmnet::error::Result;
use biollmnet::train::{Model, TrainingNotes};
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
    /// How often it is written down where the training stands: one that was stopped goes on from there when it is started again.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    checkpoint: u64,
}

/// Trains and writes the model folder.
pub fn run(args: &TrainArgs, context: &Context) -> Result<Outcome> {
    let config = args.training.config()?;
    let opened = context.backend()?;
    let mut folder = Model::folder(&args.out, args.force)?;
    let pairs = args.input.load(context)?;
    let (data, members) = (&pairs.data, usize::from(args.members));
    let (cpu, device) = match opened {
        // Networks train side by side; one alone uses all threads.
        Opened::Cpu if members == 1 => (Cpu::all_threads(), Cpu::single().isa.name().to_owned()),
        Opened::Cpu => (Cpu::single(), Cpu::single().isa.name().to_owned()),
        Opened::Cuda(cuda) => (Cpu::single(), cuda.info().name.clone()),
    };
    let notes = TrainingNotes::within(&mut folder, data, &config, &device, Duration::from_secs(args.checkpoint))?;
    let (progress, notes) = (context.progress.as_ref(), &notes);
    let model = match opened {
        Opened::Cpu => Model::train(&cpu, data, &config, members, args.seed, Some(notes), progress),
        Opened::Cuda(cuda) => Model::train(cuda, data, &config, members, args.seed, Some(notes), progress),
    };
    let model = model.inspect_err(|error| {
        if error.exit_code() != 75 || notes.is_empty() {
            folder.forget();
        }
    })?;
    let resumed = notes.resumed_epochs();
    if resumed > 0 {
        context.detail(format!("{resumed} epochs had been done before it was stopped"));
    }
    model.save(folder, rejects_tsv(&pairs.table)?.as_deref())?;
    let epochs: Vec<usize> = model.members.iter().map(|member| member.kept_epoch).collect();
    let summary = model.config.network().summary();
    let parameters = model.members.first().map_or(0, |member| member.parameters.len());
    if context.json {
        print_json(&json!({
            "model": args.out, "pairs": pairs.data.len(), "rejected": pairs.table.rejects.len(), "network": summary,
            "parameters": parameters, "members": args.members, "epochs": epochs, "resumed_epochs": resumed, "task": model.config.task,
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
