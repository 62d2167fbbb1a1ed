//! The command line: one file per subcommand, and the few things that they share.

mod bench;
mod completions;
mod context;
mod demo;
mod device;
mod doctor;
mod embed;
mod evaluate;
mod evaluation_folder;
mod export;
mod import;
mod import_vectors;
mod init;
mod man;
mod merge;
mod output;
mod pair_input;
mod predict;
mod progress;
mod reading;
mod screen;
mod selftest;
mod shard_flag;
mod slurm;
mod status;
mod train;
mod training_flags;
mod verify;

use std::process::ExitCode;

use biollmnet::error::{Error, Result, bytes};
use biollmnet::files::space::{nearest, space_of};
use clap::builder::BoolishValueParser;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use context::{Context, Global, Outcome};

/// RNA-interaction prediction after BioLLMNet: embed, train, evaluate, predict, screen, report.
#[derive(Debug, Parser)]
#[command(name = "biollmnet", version, arg_required_else_help = true, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Do the whole job on a small synthetic example: embed, train, evaluate, predict, screen, report.
    Demo(demo::DemoArgs),
    /// Turn a published checkpoint into a backbone folder, or into a fusion model.
    Import(import::ImportArgs),
    /// Write random weights of true size, for work on throughput.
    Init(init::InitArgs),
    /// Turn sequences into an embedding store.
    Embed(embed::EmbedArgs),
    /// Train the fusion network on labelled pairs.
    Train(train::TrainArgs),
    /// Cross-validate the network beside every baseline, and write the report.
    Evaluate(Box<evaluate::EvaluateArgs>),
    /// Score pairs with a trained model.
    Predict(predict::PredictArgs),
    /// Find the best partners of every target in a library.
    Screen(screen::ScreenArgs),
    /// Make a store of vectors that were made elsewhere.
    ImportVectors(import_vectors::ImportVectorsArgs),
    /// Write a store for other tools.
    Export(export::ExportArgs),
    /// Join the shards of a store or a screen.
    Merge(merge::MergeArgs),
    /// Tell which shards of an output are done, unfinished, missing or failed.
    Status(status::StatusArgs),
    /// Print, or submit, a Slurm job array that does the shards and merges them.
    Slurm(slurm::SlurmArgs),
    /// Check every byte of an output against the digests written with it.
    Verify(verify::VerifyArgs),
    /// Measure throughput beside what this machine can do.
    Bench(bench::BenchArgs),
    /// Test every op and small networks on this machine beside their definitions.
    Selftest(selftest::SelftestArgs),
    /// Tell what is installed, found and fast on this machine.
    Doctor(doctor::DoctorArgs),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write one per command.
    Man(man::ManArgs),
}

fn dispatch(command: &Command, context: &Context) -> Result<Outcome> {
    match command {
        Command::Demo(args) => context.device.check_cpu("demo").and_then(|()| demo::run(args, context)),
        Command::Import(args) => import::run(args, context),
        Command::Init(args) => init::run(args, context),
        Command::Embed(args) => embed::run(args, context),
        Command::Train(args) => train::run(args, context),
        Command::Evaluate(args) => evaluate::run(args, context),
        Command::Predict(args) => predict::run(args, context),
        Command::Screen(args) => screen::run(args, context),
        Command::ImportVectors(args) => import_vectors::run(args, context),
        Command::Export(args) => export::run(args, context),
        Command::Merge(args) => merge::run(args, context),
        Command::Status(args) => status::run(args, context),
        Command::Slurm(args) => slurm::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Bench(args) => bench::run(args, context),
        Command::Selftest(args) => selftest::run(args, context),
        Command::Doctor(args) => doctor::run(args, context),
        Command::Completions(args) => completions::run(args, context),
        Command::Man(args) => man::run(args, context),
    }
}

/// The command tree with `BIOLLMNET_<FLAG>` as the environment variable of every flag.
pub fn command_tree() -> clap::Command {
    fn with_environment(command: clap::Command) -> clap::Command {
        command
            .mut_args(|argument| {
                let Some(long) = argument.get_long() else { return argument };
                if matches!(long, "help" | "version") {
                    return argument;
                }
                let variable = format!("BIOLLMNET_{}", long.to_uppercase().replace('-', "_"));
                // A switch takes what people write for yes and no.
                let argument = match argument.get_action() {
                    ArgAction::SetTrue => argument.value_parser(BoolishValueParser::new()),
                    _ => argument,
                };
                argument.env(variable).hide_env(true)
            })
            .mut_subcommands(with_environment)
    }
    with_environment(Cli::command())
}

/// The command line as it was given, for reports.
fn command_line() -> String {
    let quoted = |argument: String| {
        if argument.contains([' ', '\'', '"', '$', '*']) {
            format!("'{}'", argument.replace('\'', "'\\''"))
        } else {
            argument
        }
    };
    let arguments = std::env::args_os().skip(1).map(|argument| quoted(argument.to_string_lossy().into_owned()));
    ["biollmnet".to_owned()].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Parses the arguments, runs the command and turns its outcome into the exit code.
pub fn main() -> ExitCode {
    let matches = command_tree().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let outcome = Context::new(&cli.global, command_line()).and_then(|context| dispatch(&cli.command, &context));
    match outcome {
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn report(error: &Error) {
    let free = match error {
        Error::Io { path, .. } if error.is_full_disk() => nearest(path).and_then(space_of),
        _ => None,
    };
    match free {
        Some(space) => output::say(format!("error: {error}; {} are free there", bytes(space.free))),
        None => output::say(format!("error: {error}")),
    }
    if !error.help().is_empty() {
        output::say(format!("help: {}", error.help()));
    }
}
