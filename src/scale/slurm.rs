//! A job array for Slurm: one task a shard, and a job that merges them when all are done.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::shard::MOST_SHARDS;

/// Times that a task is queued again after exit code 75: each goes on where the one before was stopped.
const RETRIES: u32 = 100;
/// Times that it is queued again when something killed it.
const RETRIES_OF_KILLED: u32 = 3;
/// Seconds between the signal and the end of the time limit: enough for a checkpoint.
const WARNING: u32 = 60;

/// What is submitted.
#[derive(Debug, Clone)]
pub struct JobArray {
    /// The program.
    pub program: PathBuf,
    /// Arguments of the command whose shards are done, without `--shard`.
    pub command: Vec<String>,
    /// Its `--out`.
    pub out: PathBuf,
    /// Number of shards.
    pub shards: usize,
    /// Name of the job.
    pub name: String,
    /// Most tasks at a time.
    pub most_at_once: Option<usize>,
    /// GPUs of a task; 0 = none.
    pub gpus: u32,
    /// CPUs of a task.
    pub cpus: Option<u32>,
    /// Memory of a task, as Slurm writes it.
    pub memory: Option<String>,
    /// Time limit of a task, as Slurm writes it.
    pub time: Option<String>,
    /// Further options of `sbatch`, for both jobs.
    pub options: Vec<String>,
}

impl JobArray {
    /// A script for bash that submits both jobs, and prints their numbers.
    ///
    /// Tasks find their shard in the variables of the array. A task that ends with 75 (a signal before the time limit, a
    /// full disk, a lost device) is queued again; one that was done before says so and ends.
    ///
    /// # Errors
    /// [`Error::Usage`] for an impossible number of shards, or line breaks in an argument.
    pub fn script(&self) -> Result<String> {
        if self.shards == 0 || self.shards > MOST_SHARDS {
            return Err(Error::usage(
                format!("there cannot be {} shards", self.shards),
                format!("choose --shards between 1 and {MOST_SHARDS}"),
            ));
        }
        let program = self.program.display().to_string();
        let texts = self.command.iter().chain(&self.options).chain([&self.name, &program]);
        let texts = texts.chain(&self.memory).chain(&self.time);
        if let Some(text) = texts.into_iter().find(|text| text.contains(['\n', '\r', '\0'])) {
            return Err(Error::usage(
                format!("the argument '{}' has a line break", text.escape_debug()),
                "rename the file, or leave the argument out",
            ));
        }
        let limit = self.most_at_once.map_or_else(String::new, |most| format!("%{most}"));
        let mut array = vec![format!("--array=0-{}{limit}", self.shards - 1)];
        if self.gpus > 0 {
            array.push(format!("--gpus-per-node={}", self.gpus));
        }
        array.extend(self.cpus.map(|cpus| format!("--cpus-per-task={cpus}")));
        array.extend(self.memory.as_ref().map(|memory| format!("--mem={memory}")));
        array.extend(self.time.as_ref().map(|time| format!("--time={time}")));
        let out = self.out.display().to_string();
        let merge = ["merge".to_owned(), out.clone()];
        let mut script = format!(
            "#!/bin/bash\n# {} shards of {out}, and their merge. Submit with: bash THIS_FILE. Submitted again, it does what \
             is not done.\nset -euo pipefail\n",
            self.shards
        );
        // Slurm gives the number, and behind a semicolon the cluster where there are several.
        let _ = writeln!(script, "array=$(sbatch --parsable <<'END_OF_ARRAY'");
        script += &self.job(&self.name, &array, &self.command);
        let _ = writeln!(script, "END_OF_ARRAY\n)\narray=${{array%%;*}}");
        let _ = writeln!(
            script,
            "merge=$(sbatch --parsable --dependency=\"afterok:$array\" --kill-on-invalid-dep=no <<'END_OF_MERGE'"
        );
        script += &self.job(&format!("{}-merge", self.name), &[], &merge);
        // An array without its merge would leave shards, and be submitted a second time by whoever tries again.
        let _ = writeln!(
            script,
            "END_OF_MERGE\n) || {{ scancel \"$array\"; echo \"array $array was cancelled: its merge was refused\" >&2; exit 1; }}"
        );
        let _ = writeln!(script, "merge=${{merge%%;*}}\necho \"array $array, merge $merge\"");
        Ok(script)
    }

    /// One of the two jobs, as sbatch reads it.
    fn job(&self, name: &str, options: &[String], arguments: &[String]) -> String {
        let mut job = String::from("#!/bin/bash\n");
        let usual = [
            format!("--job-name={name}"),
            "--ntasks=1".to_owned(),
            format!("--signal=B:TERM@{WARNING}"),
            "--requeue".to_owned(),
            "--open-mode=append".to_owned(),
        ];
        for option in usual.iter().chain(options).chain(&self.options) {
            let _ = writeln!(job, "#SBATCH {}", quoted_option(option));
        }
        let words = [self.program.display().to_string()].into_iter().chain(arguments.iter().cloned());
        let words: Vec<String> = words.map(|word| quoted(&word)).collect();
        // The shell gets the signal, and must not end before the program has. `wait` ends early when it comes. The last task's
        // SLURM_JOB_ID is that of the whole array, so tasks are named by their index. A job that somebody cancelled is no
        // longer RUNNING: queued again it would come back to life.
        let _ = write!(
            job,
            "{} &\nprogram=$!\nsignalled=0\ntrap 'signalled=1; kill -TERM \"$program\" 2>/dev/null' TERM\n\
             wait \"$program\"; code=$?\n\
             while [ \"$signalled\" = 1 ]; do signalled=0; wait \"$program\"; code=$?; done\n\
             retries=0\n\
             case $code in\n\
             1) echo 'done, but some records were rejected'; code=0 ;;\n\
             75) retries={RETRIES} ;;\n\
             129|13?|14?) retries={RETRIES_OF_KILLED} ;;\n\
             esac\n\
             task=${{SLURM_ARRAY_JOB_ID:+${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID}}\n\
             task=${{task:-$SLURM_JOB_ID}}\n\
             if [ \"${{SLURM_RESTART_COUNT:-0}}\" -lt \"$retries\" ] &&\n\
             \x20 [[ $(scontrol show job \"$task\") == *JobState=RUNNING* ]]; then\n\
             \x20 echo \"exit code $code: queued again\"\n\
             \x20 scontrol requeue \"$task\"\n\
             fi\n\
             exit \"$code\"\n",
            words.join(" ")
        );
        job
    }
}

/// A word of a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+./:=,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// An option behind `#SBATCH`, which knows quotes and backslashes.
fn quoted_option(option: &str) -> String {
    if !option.contains([' ', '\t', '"', '\'', '\\', '#']) {
        return option.to_owned();
    }
    let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
    let value = value.map(|value| format!("=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{name}{}", value.unwrap_or_default())
}

/// The program that runs now, for [`JobArray::program`].
///
/// # Errors
/// [`Error::Io`].
pub fn this_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(Error::io("find", Path::new("the program that runs")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(command: &[&str]) -> JobArray {
        JobArray {
            program: "/bin/biollmnet".into(),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            out: "a store".into(),
            shards: 4,
            name: "embed".into(),
            most_at_once: Some(2),
            gpus: 1,
            cpus: Some(8),
            memory: Some("32G".into()),
            time: Some("12:00:00".into()),
            options: vec!["--partition=gpu".into(), "--comment=two words".into()],
        }
    }

    #[test]
    fn both_jobs_say_what_they_need() {
        let script = array(&["embed", "in file.fa", "--out", "a store"]).script().unwrap();
        let (first, second) = script.split_once("END_OF_ARRAY\n)").unwrap();
        for line in [
            "#SBATCH --array=0-3%2",
            "#SBATCH --gpus-per-node=1",
            "#SBATCH --cpus-per-task=8",
            "#SBATCH --mem=32G",
            "#SBATCH --time=12:00:00",
            "#SBATCH --signal=B:TERM@60",
            "#SBATCH --requeue",
            "#SBATCH --partition=gpu",
            "#SBATCH --comment=\"two words\"",
            "/bin/biollmnet embed 'in file.fa' --out 'a store' &",
        ] {
            assert!(first.lines().any(|found| found == line), "{line} is not in\n{first}");
        }
        assert!(second.contains("afterok:$array") && second.contains("/bin/biollmnet merge 'a store' &"));
        assert!(!second.contains("--array") && !second.contains("--gpus") && second.contains("--partition=gpu"));
        assert!(array(&["embed", "a\nb"]).script().is_err());
        assert!(JobArray { shards: 0, ..array(&[]) }.script().is_err());
    }

    #[test]
    fn words_are_what_the_shell_reads() {
        for word in ["", "plain", "two words", "it's", "$HOME", "`ls`", "\"", "\\", "a;b", "~", "*", "#x", "ä"] {
            let shown =
                std::process::Command::new("bash").arg("-c").arg(format!("printf %s {}", quoted(word))).output();
            let Ok(shown) = shown else { return };
            assert_eq!(String::from_utf8_lossy(&shown.stdout), word);
        }
    }
}
