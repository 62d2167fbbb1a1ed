//! A folder with small generated stores and pairs, and the program run inside it.

// Every test file is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// RNAs, and as many partners.
pub const N: usize = 20;

/// A network that trains in milliseconds.
const SMALL: &str = "epochs = 8\nstop = \"fixed\"\nbatch = 16\n[network]\nprojection = { both = 16 }\nhead = [8]\n\
                     dropout_head = 0.1\n[optimiser]\nlearning_rate = 0.01\n";

/// What a run of the program left.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    /// The run ended with `code`.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }

    /// Standard output as one JSON value, and nothing else.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }
}

/// A temporary folder in which the program runs.
pub struct Bench {
    folder: tempfile::TempDir,
    rna: Vec<f64>,
    partner: Vec<f64>,
    dealt: Vec<(usize, usize)>,
}

impl Bench {
    /// The folder, with `rna.fa`, `partner.fa`, the stores `rna` and `partner`, `pairs.tsv` (binary) and `small.toml`.
    ///
    /// RNA i is rich in G and C by its share g, partner j in alanine and glycine by its share h: what labels are made of.
    pub fn new() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let share = |i: usize| 0.15 + 0.7 * ((i * 7) % N) as f64 / N as f64;
        let mut fasta = |prefix: &str, rich: &[u8], poor: &[u8]| {
            let mut text = String::new();
            for i in 0..N {
                let mut letter = |_| {
                    let from = if rng.random_bool(share(i)) { rich } else { poor };
                    char::from(from[rng.random_range(0..from.len())])
                };
                let letters: String = (0..120).map(&mut letter).collect();
                let _ = writeln!(text, ">{prefix}{i}\n{letters}");
            }
            text
        };
        let (rna, partner) = (fasta("r", b"GC", b"AU"), fasta("p", b"AG", b"DEKRFW"));
        let dealt = (0..N * N).filter(|_| rng.random_bool(0.6)).map(|k| (k / N, k % N)).collect();
        let shares: Vec<f64> = (0..N).map(share).collect();
        let folder = tempfile::tempdir().unwrap();
        let bench = Self { folder, rna: shares.clone(), partner: shares, dealt };
        bench.file("rna.fa", rna);
        bench.file("partner.fa", partner);
        bench.file("small.toml", SMALL);
        bench.pairs("pairs.tsv", |g, h| f64::from(u8::from(g + h > 1.0)).to_string());
        for (side, encoder) in [("rna", "kmer"), ("partner", "triad")] {
            bench.run(&["embed", &format!("{side}.fa"), "--encoder", encoder, "--out", side]).ends_with(0);
        }
        bench
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: impl AsRef<Path>) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes the generated pairs with the label that `label` makes of the two shares.
    pub fn pairs(&self, name: &str, label: impl Fn(f64, f64) -> String) {
        self.labelled(name, "label", |i, j| label(self.rna[i], self.partner[j]));
    }

    /// The same for a label of the numbers of RNA and partner, under a header of its own.
    pub fn labelled(&self, name: &str, labels: &str, label: impl Fn(usize, usize) -> String) {
        let mut text = format!("rna\tpartner\t{labels}\n");
        for &(i, j) in &self.dealt {
            let _ = writeln!(text, "r{i}\tp{j}\t{}", label(i, j));
        }
        self.file(name, text);
    }

    /// The two shares of a pair by number.
    pub fn shares(&self, i: usize, j: usize) -> (f64, f64) {
        (self.rna[i], self.partner[j])
    }

    /// `pairs.tsv` with `lines` behind it, as the file `name`.
    pub fn with_lines(&self, name: &str, lines: &str) {
        self.file(name, self.read("pairs.tsv") + lines);
    }

    /// The program, to be run in the folder by one thread.
    pub fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_biollmnet"));
        command.current_dir(self.folder.path()).env("BIOLLMNET_THREADS", "1").env("BIOLLMNET_PROGRESS", "none");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.program().args(arguments).output().unwrap().into()
    }

    /// `train` into `model`.
    pub fn train(&self, flags: &[(&str, &str)]) -> Ran {
        self.run(&train(flags))
    }

    /// `evaluate` into `evaluation`: one seed, three folds, the static gate alone.
    pub fn evaluate(&self, flags: &[(&str, &str)]) -> Ran {
        self.run(&evaluate(flags))
    }

    /// The `metrics.json` of an evaluation.
    pub fn metrics(&self, folder: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(format!("{folder}/metrics.json"))).unwrap()
    }

    /// The run was refused with `code` and a message that has `parts` and says what to do; `out` was not written.
    #[track_caller]
    pub fn refused(&self, ran: &Ran, code: i32, parts: &[&str], out: &str) {
        assert_eq!(ran.code, Some(code), "{}{}", ran.out, ran.err);
        let missing = parts.iter().chain(&["error: ", "help"]).find(|part| !ran.err.contains(**part));
        assert_eq!(missing, None, "{}", ran.err);
        assert!(ran.out.is_empty() && !ran.err.contains("panicked"), "{}{}", ran.out, ran.err);
        assert!(!self.path(out).exists(), "{out} is there after: {}", ran.err);
    }

    #[track_caller]
    pub fn train_refused(&self, flags: &[(&str, &str)], code: i32, parts: &[&str]) {
        self.refused(&self.train(flags), code, parts, "model");
    }

    #[track_caller]
    pub fn evaluate_refused(&self, flags: &[(&str, &str)], code: i32, parts: &[&str]) {
        self.refused(&self.evaluate(flags), code, parts, "evaluation");
    }
}

/// Arguments of `train`: the usual ones, each replaced where `flags` has it; a switch has an empty value.
pub fn train<'a>(flags: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    let usual = [("--config", "small.toml"), ("--out", "model")];
    arguments("train", &usual, flags)
}

/// The same for `evaluate`.
pub fn evaluate<'a>(flags: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    let mut usual = vec![("--config", "small.toml"), ("--out", "evaluation"), ("--seeds", "1"), ("--fusion", "static")];
    if !flags.iter().any(|flag| ["--hold-out", "--test-pairs", "--folds-file"].contains(&flag.0)) {
        usual.push(("--folds", "3"));
    }
    arguments("evaluate", &usual, flags)
}

fn arguments<'a>(command: &'a str, usual: &[(&'a str, &'a str)], flags: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    let inputs = [("--pairs", "pairs.tsv"), ("--rna", "rna"), ("--partner", "partner")];
    let kept = inputs.iter().chain(usual).filter(|flag| !flags.iter().any(|given| given.0 == flag.0));
    let all = kept.chain(flags).flat_map(|&(flag, value)| [flag, value]);
    [command].into_iter().chain(all.filter(|text| !text.is_empty())).collect()
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Runs `work` with the path of a full-sized file system of `size`; `None`, said aloud, where none can be mounted.
pub fn on_small_disk<T>(mount_at: &Path, size: &str, work: impl FnOnce() -> T) -> Option<T> {
    fs::create_dir(mount_at).unwrap();
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(mount_at).output();
    if !mount.is_ok_and(|mounted| mounted.status.success()) {
        eprintln!("skipped: a small file system cannot be mounted here");
        return None;
    }
    let done = work();
    assert!(Command::new("umount").arg(mount_at).status().is_ok_and(|status| status.success()));
    Some(done)
}
