//! A row of the matrix: trials that are counted, and what came of them.

use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

/// Failed trials that are quoted.
const QUOTED: usize = 10;

/// A row being tried.
pub struct Row {
    number: u32,
    fault: &'static str,
    full: bool,
    trials: usize,
    failures: Vec<String>,
    notes: Vec<String>,
    began: Instant,
}

impl Row {
    /// A few trials, as a part of the tests.
    pub fn fast(number: u32, fault: &'static str) -> Self {
        Self::new(number, fault, false)
    }

    /// All trials; they are written down.
    pub fn full(number: u32, fault: &'static str) -> Self {
        Self::new(number, fault, true)
    }

    fn new(number: u32, fault: &'static str, full: bool) -> Self {
        Self { number, fault, full, trials: 0, failures: Vec::new(), notes: Vec::new(), began: Instant::now() }
    }

    /// `few` in the tests, `all` in the whole matrix, unless `FAULT_TRIALS` asks for fewer.
    pub fn count(&self, few: usize, all: usize) -> usize {
        let asked = env::var("FAULT_TRIALS").ok().and_then(|text| text.parse().ok());
        if self.full { asked.map_or(all, |asked: usize| asked.min(all)) } else { few }
    }

    /// Random numbers, other ones each time: the seed is printed.
    pub fn rng(&self) -> ChaCha8Rng {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        println!("row {}: seed {seed}", self.number);
        ChaCha8Rng::seed_from_u64(seed)
    }

    /// One trial; `what` names it where it fails.
    pub fn trial(&mut self, what: impl FnOnce() -> String, trial: impl FnOnce() -> anyhow::Result<()>) {
        self.trials += 1;
        if let Err(error) = trial() {
            self.failures.push(format!("{}: {error:#}", what()));
        }
    }

    /// Something worth a word in the table.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Writes the row down, and fails with the first failures.
    #[track_caller]
    pub fn end(self) {
        let (trials, failures) = (self.trials, self.failures.len());
        let seconds = self.began.elapsed().as_secs_f64();
        let note = self.notes.join("; ");
        println!("row {}: {}: {trials} trials, {failures} failed, {seconds:.1} s; {note}", self.number, self.fault);
        if self.full {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/faults");
            fs::create_dir_all(&folder).unwrap();
            let path = folder.join(format!("row-{:02}.tsv", self.number));
            let mut file = File::options().append(true).create(true).open(path).unwrap();
            writeln!(file, "{}\t{}\t{trials}\t{failures}\t{seconds:.1}\t{note}", self.number, self.fault).unwrap();
        }
        let quoted: Vec<&str> = self.failures.iter().take(QUOTED).map(String::as_str).collect();
        assert!(failures == 0, "{failures} of {trials} trials failed:\n{}", quoted.join("\n"));
        assert!(trials > 0, "no trial was made");
    }
}
