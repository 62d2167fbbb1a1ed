//! A command that is disturbed, run again, and compared with one that was left alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use biollmnet::data::VectorSource as _;
use biollmnet::embed::export::{ExportFormat, export};
use biollmnet::embed::merge_shards;
use biollmnet::embed::store::Store;
use biollmnet::files::verify::verify;
use biollmnet::progress::Silent;
use tempfile::TempDir;

use crate::injection::{self, Fault};
use crate::support::{Ran, files};
use crate::workshop::{input, workshop};

/// Files by their path below a folder.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// How two results are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// Byte by byte, every file.
    Files,
    /// By the vectors and the table of records of the stores with these names: their parts may differ in number.
    Vectors(&'static [&'static str]),
}

/// A command, run in folders of its own.
pub struct Job {
    pub name: &'static str,
    /// The commands before it, then its own.
    commands: Vec<Vec<String>>,
    sameness: Sameness,
    /// What it leaves when nothing disturbs it.
    expected: Files,
    /// What the commands before it leave.
    before: Files,
    /// How long it takes, and calls of the file system that change something.
    pub seconds: f64,
    pub calls: usize,
    /// What it prints.
    pub out: String,
}

impl Job {
    /// The last of `commands` is disturbed, those before it prepare its folder. A word that begins with `@` is a file of the
    /// workshop.
    pub fn new(name: &'static str, commands: &[&str], sameness: Sameness) -> Self {
        let words = |line: &&str| line.split_whitespace().map(argument).collect();
        let commands: Vec<Vec<String>> = commands.iter().map(words).collect();
        let (before, expected) = (Files::new(), Files::new());
        let mut job = Self { name, commands, sameness, expected, before, seconds: 0.0, calls: 0, out: String::new() };
        let prepared = Trial::new(&job);
        let before = contents(prepared.path());
        drop(prepared);
        job.before = before;
        let trial = Trial::new(&job);
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = trial.command();
        injection::watch(&mut command, trial.path(), log.path());
        let began = Instant::now();
        let ran: Ran = command.output().unwrap().into();
        let seconds = began.elapsed().as_secs_f64();
        assert!(matches!(ran.code, Some(0 | 1)), "{name}: {}", ran.err);
        let calls = fs::read_to_string(log.path()).unwrap().lines().count();
        let expected = trial.result().unwrap();
        assert!(!expected.is_empty());
        drop(trial);
        Self { expected, seconds, calls, out: ran.out, ..job }
    }

    /// What its folder holds before the command.
    pub fn before(&self) -> &Files {
        &self.before
    }

    /// What an undisturbed run leaves, as it is compared.
    pub fn expected(&self) -> &Files {
        &self.expected
    }
}

fn argument(word: &str) -> String {
    word.strip_prefix('@').map_or_else(|| word.to_owned(), |name| input(name).to_str().unwrap().to_owned())
}

/// One run of a job.
pub struct Trial<'a> {
    job: &'a Job,
    folder: TempDir,
    /// With no link on the way, as the system names it.
    path: PathBuf,
}

impl<'a> Trial<'a> {
    /// A folder in which the commands before the job's own have run.
    pub fn new(job: &'a Job) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(folder.path()).unwrap();
        let trial = Self { job, folder, path };
        if job.before.is_empty() {
            for arguments in &job.commands[..job.commands.len() - 1] {
                let ran: Ran = trial.program(arguments).output().unwrap().into();
                assert!(matches!(ran.code, Some(0 | 1)), "{}: {ran:?}", job.name);
            }
        }
        fill(&trial.path, &job.before);
        trial
    }

    pub fn path(&self) -> &Path {
        debug_assert!(self.folder.path().exists());
        &self.path
    }

    fn program(&self, arguments: &[String]) -> Command {
        let mut command = workshop().program();
        command.current_dir(&self.path).args(arguments).stdin(Stdio::null());
        command
    }

    /// The job's command.
    pub fn command(&self) -> Command {
        self.program(self.job.commands.last().unwrap())
    }

    /// Runs it while its `nth` change of a file meets `fault`.
    pub fn run_with(&self, fault: Fault, nth: usize) -> Ran {
        let mut command = self.command();
        injection::plant(&mut command, &self.path, fault, nth);
        command.output().unwrap().into()
    }

    /// Runs it and sends `signal` after a while, if it is not done by then.
    pub fn run_signalled(&self, signal: &str, after: Duration) -> Ran {
        let mut command = self.command();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(after);
        // The process is there until it is waited for, ended or not.
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        child.wait_with_output().unwrap().into()
    }

    /// Runs it undisturbed: it must do its work, and leave what it leaves when it is alone from the beginning.
    pub fn run_again(&self) -> anyhow::Result<Ran> {
        let ran: Ran = self.command().output()?.into();
        // What has no way to be left as it is says so.
        let there = ran.code == Some(2) && ran.err.contains("already holds a finished");
        ensure!(there || matches!(ran.code, Some(0 | 1)), "run again, it ends with {:?}: {}", ran.code, ran.err);
        self.holds_the_result().with_context(|| format!("after it was run again ({})", ran.out.trim()))?;
        Ok(ran)
    }

    /// What lies in the folder is what an undisturbed run leaves, and nothing else.
    pub fn holds_the_result(&self) -> anyhow::Result<()> {
        let found = self.result()?;
        let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
        ensure!(
            found.keys().eq(self.job.expected.keys()),
            "it leaves {:?}, not {:?}",
            names(&found),
            names(&self.job.expected)
        );
        let other = found.iter().find(|(path, bytes)| self.job.expected[*path] != **bytes);
        ensure!(other.is_none(), "{} has other bytes", other.unwrap().0.display());
        Ok(())
    }

    /// The result, in the form in which it is compared.
    fn result(&self) -> anyhow::Result<Files> {
        let found = contents(&self.path);
        let stray = found.keys().find(|path| path.components().any(|part| is_temporary(part.as_os_str())));
        ensure!(stray.is_none(), "{} is left", stray.unwrap().display());
        let Sameness::Vectors(stores) = self.job.sameness else { return Ok(found) };
        let (folder, merged) = (tempfile::tempdir()?, tempfile::tempdir()?);
        for store in stores {
            let mut path = self.path.join(store);
            if !path.exists() {
                // What shards hold is compared by what becomes of them.
                fill(merged.path(), &found);
                path = merged.path().join(store);
                merge_shards(&path, &Silent)?;
            }
            let faults = verify(&path, &Silent)?.faults;
            ensure!(faults.is_empty(), "{faults:?}");
            let name = store.replace('/', "-");
            export(&Store::open(&path)?, ExportFormat::Npy, &folder.path().join(format!("{name}.npy")), &Silent)?;
            if path.join("rejects.tsv").exists() {
                fs::copy(path.join("rejects.tsv"), folder.path().join(format!("{name}.rejects.tsv")))?;
            }
        }
        Ok(contents(folder.path()))
    }
}

/// The numbers of a row of a store, to the last bit.
pub fn bits(store: &Store, row: usize) -> Vec<u32> {
    let mut vector = vec![0.0; store.detail().dim];
    store.copy_row(row, &mut vector);
    vector.into_iter().map(f32::to_bits).collect()
}

/// Writes `files` below `folder`.
fn fill(folder: &Path, files: &Files) {
    for (path, bytes) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// What must not be left behind.
fn is_temporary(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') || name.ends_with(".tmp") || name.ends_with(".screening")
}

/// Every file below `folder` with its bytes, and every folder that holds none, with a slash behind its name.
pub fn contents(folder: &Path) -> Files {
    let mut found: Files =
        files(folder).into_iter().map(|path| (relative(&path, folder), fs::read(&path).unwrap())).collect();
    empty_folders(folder, folder, &mut found);
    found
}

fn relative(path: &Path, folder: &Path) -> PathBuf {
    path.strip_prefix(folder).unwrap().to_path_buf()
}

fn empty_folders(folder: &Path, root: &Path, found: &mut Files) {
    let entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    if entries.is_empty() && folder != root {
        let mut name = relative(folder, root).into_os_string();
        name.push("/");
        found.insert(name.into(), Vec::new());
    }
    entries.iter().filter(|path| path.is_dir()).for_each(|path| empty_folders(path, root, found));
}
