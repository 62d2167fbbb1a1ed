//! `slurm`: what reaches `sbatch`, and what its jobs do under bash, with stand-ins for Slurm's commands.

#![cfg(unix)]

mod support;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Bench, Ran, files};

/// Keeps its arguments and the job in `job-1`, `job-2`, and names cluster and job as Slurm does.
const SBATCH: &str = "number=$(($(ls job-? 2>/dev/null | wc -l) + 1))\necho \"$@\" >>sbatch-calls\ncat >job-$number\n\
                      echo \"4$number;cluster\"";

/// Tells the state `$STATE` of the job that is asked for, and keeps what is queued again in `requeued`.
const SCONTROL: &str =
    "case $1 in show) echo \"JobId=$3 JobState=${STATE:-RUNNING} Reason=None\" ;; requeue) echo $2 >>requeued ;; esac";

/// A folder with stand-ins in its `bin`.
struct Cluster {
    bench: Bench,
}

impl Cluster {
    fn new() -> Self {
        let cluster = Self { bench: Bench::new() };
        fs::create_dir(cluster.bench.path("bin")).unwrap();
        cluster.stand_in("sbatch", SBATCH);
        cluster.stand_in("scontrol", SCONTROL);
        cluster
    }

    /// A command of bash. Another process writes it: a file that is open for writing here cannot be run by anyone.
    fn stand_in(&self, name: &str, body: &str) {
        let write = "cat >\"bin/$0\" && chmod +x \"bin/$0\"";
        let mut shell = self.bash(&["-c", write, name]).stdin(Stdio::piped()).spawn().unwrap();
        writeln!(shell.stdin.take().unwrap(), "#!/bin/bash\n{body}").unwrap();
        assert!(shell.wait().unwrap().success());
    }

    fn in_path(&self, mut command: Command) -> Command {
        let path = format!("{}:{}", self.bench.path("bin").display(), std::env::var("PATH").unwrap());
        command.env("PATH", path);
        command
    }

    fn bash(&self, arguments: &[&str]) -> Command {
        let mut bash = self.in_path(Command::new("bash"));
        bash.args(arguments).current_dir(self.bench.path("")).env("SLURM_JOB_ID", "41").env("SLURM_ARRAY_JOB_ID", "41");
        bash.env("SLURM_ARRAY_TASK_ID", "1");
        bash
    }

    /// Submits `embed` of `rna.fa` into `out`.
    fn submit(&self, flags: &[&str], out: &str) -> Ran {
        let mut program = self.in_path(self.bench.program());
        program.arg("slurm").args(["--submit", "--json"]).args(flags);
        program.args(["--", "embed", "rna.fa", "--encoder", "kmer", "--out", out]);
        program.output().unwrap().into()
    }

    fn requeued(&self) -> String {
        fs::read_to_string(self.bench.path("requeued")).unwrap_or_default()
    }
}

#[test]
fn jobs_that_sbatch_was_given_make_the_store() {
    let cluster = Cluster::new();
    let bench = &cluster.bench;
    let out = "it's $HOME of \"mine\"";
    let told = cluster.submit(&["--shards", "3", "--most-at-once", "2"], out).ends_with(0).json();
    assert_eq!((told["array"].as_str(), told["merge"].as_str()), (Some("41"), Some("42")));
    let calls = bench.read("sbatch-calls");
    let [array, merge] = calls.lines().collect::<Vec<_>>()[..] else { panic!("{calls}") };
    assert_eq!(array, "--parsable");
    assert_eq!(merge, "--parsable --dependency=afterok:41 --kill-on-invalid-dep=no");
    assert!(bench.read("job-1").contains("#SBATCH --array=0-2%2\n"), "{}", bench.read("job-1"));
    assert!(!bench.read("job-2").contains("--array"), "{}", bench.read("job-2"));
    for task in 0..3 {
        let mut job = cluster.bash(&["job-1"]);
        let variables = [("ID", task), ("COUNT", 3), ("MIN", 0), ("MAX", 2), ("STEP", 1)];
        job.envs(variables.map(|(name, value)| (format!("SLURM_ARRAY_TASK_{name}"), value.to_string())));
        Ran::from(job.output().unwrap()).ends_with(0);
    }
    for words in ["20 records", "merged already"] {
        let mut job = cluster.bash(&["job-2"]);
        job.env_remove("SLURM_ARRAY_JOB_ID").env_remove("SLURM_ARRAY_TASK_ID");
        let merged = Ran::from(job.output().unwrap()).ends_with(0);
        assert!(merged.out.contains(words), "{}{}", merged.out, merged.err);
    }
    let exported = |store: &str| {
        bench.run(&["export", store, "--format", "npy", "--out", "exported.npy"]).ends_with(0);
        (fs::read(bench.path("exported.npy")).unwrap(), bench.read("exported.ids.tsv"))
    };
    assert_eq!(exported(out), exported("rna"));
    assert_eq!(cluster.requeued(), "");
}

#[test]
fn only_what_may_succeed_is_queued_again_and_not_for_ever() {
    let cluster = Cluster::new();
    cluster.stand_in("fake", "exit \"$CODE\"");
    let program = cluster.bench.path("bin/fake");
    cluster.submit(&["--shards", "2", "--program", program.to_str().unwrap()], "store").ends_with(0);
    // Exit code of the program, times that the task was queued again; exit code of the job, whether it is once more.
    for (code, restarts, ends, again) in [
        (0, 0, 0, false),
        (1, 0, 0, false),
        (2, 0, 2, false),
        (3, 0, 3, false),
        (75, 0, 75, true),
        (75, 99, 75, true),
        (75, 100, 75, false),
        (137, 0, 137, true),
        (137, 3, 137, false),
    ] {
        let _ = fs::remove_file(cluster.bench.path("requeued"));
        let mut job = cluster.bash(&["job-1"]);
        job.env("CODE", code.to_string()).env("SLURM_RESTART_COUNT", restarts.to_string());
        let ran = Ran::from(job.output().unwrap()).ends_with(ends);
        assert_eq!(cluster.requeued(), if again { "41_1\n" } else { "" }, "{code} after {restarts}");
        assert_eq!(ran.out.contains("rejected"), code == 1, "{}", ran.out);
    }
    // Somebody cancelled it; and a job that is no task of an array.
    let _ = fs::remove_file(cluster.bench.path("requeued"));
    let mut job = cluster.bash(&["job-1"]);
    Ran::from(job.env("CODE", "75").env("STATE", "COMPLETING").output().unwrap()).ends_with(75);
    assert_eq!(cluster.requeued(), "");
    let mut job = cluster.bash(&["job-2"]);
    job.env("CODE", "75").env_remove("SLURM_ARRAY_JOB_ID").env("SLURM_JOB_ID", "42");
    Ran::from(job.output().unwrap()).ends_with(75);
    assert_eq!(cluster.requeued(), "42\n");
}

#[test]
fn a_signal_reaches_the_program_and_its_end_is_awaited() {
    let cluster = Cluster::new();
    // As the program: on a signal it takes a while to write a checkpoint.
    cluster.stand_in(
        "fake",
        "trap 'sleep 0.3; touch checkpoint; exit 75' TERM\ntouch begun\nwhile :; do sleep 0.05; done",
    );
    let program = cluster.bench.path("bin/fake");
    cluster.submit(&["--shards", "2", "--program", program.to_str().unwrap()], "store").ends_with(0);
    let mut job = cluster.bash(&["job-1"]).spawn().unwrap();
    let limit = Instant::now() + Duration::from_secs(60);
    while !cluster.bench.path("begun").exists() {
        assert!(Instant::now() < limit, "the program was not started");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(Command::new("kill").args(["-TERM", &job.id().to_string()]).status().unwrap().success());
    assert_eq!(job.wait().unwrap().code(), Some(75));
    assert!(cluster.bench.path("checkpoint").exists());
    assert_eq!(cluster.requeued(), "41_1\n");
}

#[test]
fn gpus_bring_the_device_unless_one_is_named() {
    let bench = Bench::new();
    let script = |words: &[&str]| {
        let flags = ["slurm", "--shards", "2", "--gpus", "1", "--"];
        bench.run(&[&flags[..], words].concat()).ends_with(0).out
    };
    let embed = ["embed", "rna.fa", "--encoder", "kmer", "--out", "store"];
    assert!(script(&embed).contains(" --out store --device cuda &\n"));
    let named = script(&[&embed[..], &["--device", "cpu"]].concat());
    assert!(named.contains(" --device cpu &\n") && !named.contains("cuda"), "{named}");
}

#[test]
fn what_cannot_be_an_array_is_refused() {
    let cluster = Cluster::new();
    let bench = &cluster.bench;
    let embed = ["embed", "rna.fa", "--encoder", "kmer", "--out", "store"];
    let with = |more: &[&'static str]| [&embed[..], more].concat();
    for (shards, command, part) in [
        ("0", with(&[]), "cannot be 0 shards"),
        ("2", with(&["--shard", "0/2"]), "names a shard"),
        ("2", with(&["--no-such-flag"]), "cannot run"),
        ("2", vec!["embed", "-", "--encoder", "kmer", "--out", "store"], "no pipe"),
        ("2", vec!["verify", "rna"], "'verify' has no shards"),
        // Every task would do the whole of it.
        ("2", vec!["export", "rna", "--format", "npy", "--out", "store"], "'export' has no shards"),
        ("2", vec!["embed", "rna.fa", "--encoder", "kmer"], "--out"),
        ("2", with(&["--temporary", "a\nb"]), "cannot run"),
    ] {
        let ran = bench.run(&[&["slurm", "--shards", shards, "--"], &command[..]].concat());
        bench.refused(&ran, 2, &[part], "store");
    }
    let ran = bench.run(&[
        "slurm",
        "--shards",
        "2",
        "--program",
        "a\nb",
        "--",
        "embed",
        "rna.fa",
        "--encoder",
        "kmer",
        "--out",
        "s",
    ]);
    bench.refused(&ran, 2, &["line break"], "s");
    // A refusal of Slurm is passed on.
    cluster.stand_in("sbatch", "echo 'sbatch: error: invalid partition' >&2; exit 1");
    bench.refused(&cluster.submit(&["--shards", "2"], "store"), 3, &["invalid partition"], "store");
    // When it refuses only the merge, the array does not run alone.
    cluster.stand_in("sbatch", "case $* in *afterok*) echo 'error: limit of jobs' >&2; exit 1 ;; esac\necho 41");
    cluster.stand_in("scancel", "echo \"$@\" >cancelled");
    bench.refused(&cluster.submit(&["--shards", "2"], "store"), 3, &["limit of jobs", "41 was cancelled"], "store");
    assert_eq!(bench.read("cancelled"), "41\n");
    assert!(!files(&bench.path("")).iter().any(|path| path.to_str().unwrap().contains("shards")));
}
