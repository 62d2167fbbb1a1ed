//! What every subcommand is given: the global flags, made usable.

use std::sync::{Arc, OnceLock};

use biollmnet::error::{Error, Result};
use biollmnet::progress::{Progress, interrupt_flag};
use clap::{Args, ValueEnum};

use super::device::{Device, Opened};
use super::output::say;
use super::progress;

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Where to compute: auto, cpu, cuda or cuda:N.
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    device: Device,
    /// Number of threads; 0 = one per core.
    #[arg(long, global = true, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1024))]
    threads: u16,
    /// Print results as JSON on stdout.
    #[arg(long, global = true)]
    json: bool,
    /// How progress is shown on stderr.
    #[arg(long, global = true, value_enum, default_value_t = ProgressKind::Auto, value_name = "KIND")]
    progress: ProgressKind,
    /// Print errors only.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Print more about what is done.
    #[arg(short, long, global = true)]
    verbose: bool,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressKind {
    /// A bar on a terminal, one plain line every 30 s elsewhere.
    Auto,
    /// One plain line every 30 s.
    Plain,
    /// One JSON object a line.
    Json,
    /// Nothing.
    None,
}

/// How a command ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All done.
    Done,
    /// Done, but some records were rejected (listed), or a check found a fault.
    Faults,
}

impl Outcome {
    /// The process exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Faults => 1,
        }
    }
    /// `Faults` when `n` records were rejected.
    pub fn from_rejected(n: usize) -> Self {
        if n == 0 { Self::Done } else { Self::Faults }
    }
}

/// The global flags, made usable.
#[derive(Clone)]
pub struct Context {
    /// The command line, for reports.
    pub command: String,
    /// Print results as JSON on stdout.
    pub json: bool,
    /// Print more about what is done.
    pub verbose: bool,
    /// Print errors only.
    pub quiet: bool,
    /// Where long work reports to.
    pub progress: Arc<dyn Progress>,
    /// Threads of the global pool.
    pub threads: usize,
    /// What was asked for.
    pub device: Device,
    opened: OnceLock<Opened>,
}

impl Context {
    /// Starts the thread pool and the signal handlers.
    pub fn new(global: &Global, command: String) -> Result<Self> {
        let mut pool = rayon::ThreadPoolBuilder::new();
        if global.threads > 0 {
            pool = pool.num_threads(usize::from(global.threads));
        }
        pool.build_global().map_err(|e| {
            Error::usage(format!("cannot start {} threads: {e}", global.threads), "choose a smaller --threads")
        })?;
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // The first signal asks for an orderly end, a second one ends the process at once.
            let flag = interrupt_flag();
            signal_hook::flag::register_conditional_default(signal, flag.clone())
                .and_then(|_| signal_hook::flag::register(signal, flag))
                .map_err(Error::io("install a signal handler for", "this process"))?;
        }
        Ok(Self {
            command,
            json: global.json,
            verbose: global.verbose,
            quiet: global.quiet,
            progress: progress::choose(global.progress, global.quiet, global.verbose),
            threads: rayon::current_num_threads(),
            device: global.device,
            opened: OnceLock::new(),
        })
    }

    /// The same for a step of the demo: another command line, on the CPU, so that it shows the same everywhere.
    pub fn of_demo(&self, command: String) -> Self {
        Self { command, device: Device::Cpu, opened: OnceLock::new(), ..self.clone() }
    }

    /// The device that was asked for, opened when it is first needed; `auto` says on standard error what it became.
    ///
    /// # Errors
    /// When the device is not there.
    pub fn backend(&self) -> Result<&Opened> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let opened = self.device.open(|line| self.note(line))?;
        Ok(self.opened.get_or_init(|| opened))
    }

    /// A line for people on stderr; silent with `--quiet`.
    pub fn note(&self, line: impl AsRef<str>) {
        if !self.quiet {
            say(line);
        }
    }

    /// A line for people on stderr, with `--verbose` only.
    pub fn detail(&self, line: impl AsRef<str>) {
        if self.verbose {
            say(line);
        }
    }
}
