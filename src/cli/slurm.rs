//! `biollmnet slurm`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use biollmnet::error::{Error, Result};
use biollmnet::files::Shard;
use biollmnet::scale::slurm::{JobArray, this_program};
use clap::Args;
use serde_json::json;

use super::output::{print, print_bytes, print_json};
use super::{Context, Outcome, command_tree};

/// Arguments of `slurm`.
#[derive(Debug, Args)]
pub struct SlurmArgs {
    /// Number of shards, each a task of the array.
    #[arg(long, value_name = "N")]
    shards: usize,
    /// Most tasks at a time [default: no limit].
    #[arg(long, value_name = "N")]
    most_at_once: Option<usize>,
    /// GPUs of a task; the command then gets --device cuda, unless it names a device.
    #[arg(long, value_name = "N", default_value_t = 0)]
    gpus: u32,
    /// CPUs of a task.
    #[arg(long, value_name = "N")]
    cpus: Option<u32>,
    /// Memory of a task, as Slurm writes it: 32G.
    #[arg(long, value_name = "SIZE")]
    mem: Option<String>,
    /// Time limit of a task, as Slurm writes it: 12:00:00. A task that does not get done is queued again.
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// Name of the job [default: the command].
    #[arg(long, value_name = "NAME")]
    job_name: Option<String>,
    /// A further option of sbatch, such as --sbatch=--partition=gpu; may be repeated.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    sbatch: Vec<String>,
    /// The program on the nodes [default: this one].
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Submit the jobs; without it the script that does so is printed.
    #[arg(long)]
    submit: bool,
    /// The command with its arguments, one that takes --shard, without --shard.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Prints the script that submits the jobs, or runs it.
pub fn run(args: &SlurmArgs, context: &Context) -> Result<Outcome> {
    let parsed = parse(&args.command)?;
    let mut command = args.command.clone();
    if args.gpus > 0 && !parsed.names_device {
        command.extend(["--device".to_owned(), "cuda".to_owned()]);
    }
    let array = JobArray {
        program: args.program.clone().map_or_else(this_program, Ok)?,
        command,
        out: parsed.out,
        shards: args.shards,
        name: args.job_name.clone().unwrap_or(parsed.name),
        most_at_once: args.most_at_once,
        gpus: args.gpus,
        cpus: args.cpus,
        memory: args.mem.clone(),
        time: args.time.clone(),
        options: args.sbatch.clone(),
    };
    let script = array.script()?;
    let submitted = args.submit.then(|| submit(&script)).transpose()?;
    if context.json {
        let [array, merge] = submitted.map_or([None, None], |[array, merge]| [Some(array), Some(merge)]);
        print_json(&json!({ "script": script, "array": array, "merge": merge }))?;
    } else if let Some([array, merge]) = submitted {
        print(format!("array {array}, merge {merge}"))?;
    } else {
        print_bytes(script.as_bytes())?;
    }
    Ok(Outcome::Done)
}

/// What matters of the command.
struct Parsed {
    name: String,
    out: PathBuf,
    names_device: bool,
}

/// The commands that take `--shard`: any other would do the whole job in every task.
fn sharded_commands() -> Vec<String> {
    let takes_shard = |command: &&clap::Command| command.get_arguments().any(|argument| argument.get_id() == "shard");
    command_tree().get_subcommands().filter(takes_shard).map(|command| command.get_name().to_owned()).collect()
}

/// Reads the command as the program itself will.
fn parse(command: &[String]) -> Result<Parsed> {
    let words = ["biollmnet".to_owned()].into_iter().chain(command.iter().cloned());
    let matches = command_tree().try_get_matches_from(words).map_err(|error| {
        // What is wrong stands before the first empty line; the names of what is missing have lines of their own.
        let text = error.to_string();
        let text: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
        let text = text.join(" ").trim_start_matches("error: ").to_owned();
        Error::usage(format!("the command behind -- cannot run: {text}"), "write it as it would be run here")
    })?;
    let sharded = sharded_commands();
    let usual = || format!("name {} behind --, with its arguments", sharded.join(" or "));
    let Some((name, flags)) = matches.subcommand() else {
        return Err(Error::usage("no command is named", usual()));
    };
    if !sharded.iter().any(|command| command == name) {
        return Err(Error::usage(format!("'{name}' has no shards"), usual()));
    }
    if flags.get_one::<Shard>("shard").is_some() {
        return Err(Error::usage("the command names a shard", "leave --shard out: each task takes its own"));
    }
    let path = |id: &str| flags.try_get_one::<PathBuf>(id).ok().flatten().cloned();
    let is_pipe = |path: &PathBuf| path == Path::new("-");
    let out = path("out").filter(|out| !is_pipe(out));
    let (Some(out), false) = (out, path("input").as_ref().is_some_and(is_pipe)) else {
        return Err(Error::usage("a job has no pipe to read or write", "name files in place of -"));
    };
    let given = |flags: &clap::ArgMatches| {
        flags.value_source("device").is_some_and(|source| source != clap::parser::ValueSource::DefaultValue)
    };
    Ok(Parsed { name: name.to_owned(), out, names_device: given(flags) || given(&matches) })
}

/// Runs the script; returns the numbers of the two jobs.
fn submit(script: &str) -> Result<[String; 2]> {
    let failed = || Error::io("run", Path::new("bash"));
    let mut shell = Command::new("bash")
        .args(["-s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed())?;
    if let Some(mut input) = shell.stdin.take() {
        input.write_all(script.as_bytes()).map_err(failed())?;
    }
    let output = shell.wait_with_output().map_err(failed())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let numbers = said.trim().strip_prefix("array ").and_then(|rest| rest.split_once(", merge "));
    match numbers {
        Some((array, merge)) if output.status.success() => Ok([array.to_owned(), merge.to_owned()]),
        _ => Err(Error::data(
            format!("the jobs were not submitted: {}", String::from_utf8_lossy(&output.stderr).trim()),
            "is sbatch in the path, and are partition, account and sizes right? Without --submit the script is printed",
        )),
    }
}
