//! Cases of one target, each on the watch.

use std::env;
use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::memory;
use crate::mutation::mutated;
use crate::row::Row;
use crate::target::Target;

/// Longest time of a case, on a processor.
const LONGEST: Duration = Duration::from_secs(1);
/// A case that is not over by then is not waited for.
const HUNG: Duration = Duration::from_secs(120);
/// Cases of the whole matrix.
const ALL: usize = 100_000;
/// Seed of the few.
const SEED: u64 = 6;

/// `cases` of `target` from a fixed seed.
pub fn few(target: &'static Target, cases: usize) {
    let row = Row::fast(6, target.name);
    run(target, row, SEED, cases);
}

/// All cases of `target`, from a seed of their own.
pub fn all(target: &'static Target) {
    let asked = |name| env::var(name).ok().map(|text: String| text.parse().expect(name));
    let row = Row::full(6, target.name);
    let seed = asked("FUZZ_SEED").unwrap_or_else(|| row.rng().random());
    let cases = row.count(0, asked("FUZZ_RUNS").map_or(ALL, |runs: u64| runs as usize));
    run(target, row, seed, cases);
}

fn run(target: &'static Target, row: Row, seed: u64, cases: usize) {
    println!("{}: FUZZ_SEED={seed}", target.name);
    let done = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&done);
    let worker = thread::spawn(move || every_case(target, row, seed, cases, &counter));
    let (mut before, mut since) = (0, Instant::now());
    while !worker.is_finished() {
        thread::sleep(Duration::from_millis(5));
        let now = done.load(Ordering::Relaxed);
        if now != before {
            (before, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < HUNG, "{}: case {before} hangs: {}", target.name, current(target).display());
    }
    worker.join().expect("the cases are caught one by one").end();
}

fn every_case(target: &Target, mut row: Row, seed: u64, cases: usize, done: &AtomicUsize) -> Row {
    fs::create_dir_all(folder()).unwrap();
    let seeds = [corpus(target.name), (target.seeds)()].concat();
    let mut written = File::create(current(target)).unwrap();
    let (mut read, mut slowest, mut peak) = (0, Duration::ZERO, 0);
    let mut sound = 0;
    for i in 0..seeds.len() + cases {
        let input = match seeds.get(i) {
            Some(seed) => seed.clone(),
            None => input(target, &seeds, seed.wrapping_add(i as u64)),
        };
        let kept = kept(target, &input);
        row.trial(
            || format!("{} case {i}, kept in {}", target.name, kept.display()),
            || {
                let outcome = case(target, &input, &mut written);
                match &outcome {
                    Ok(case) => {
                        (slowest, peak) = (slowest.max(case.took), peak.max(case.peak));
                        sound += usize::from(case.read && i < seeds.len());
                        read += usize::from(case.read);
                    }
                    Err(_) => fs::write(&kept, &input)?,
                }
                outcome.map(drop)
            },
        );
        done.fetch_add(1, Ordering::Relaxed);
    }
    row.trial(
        || target.name.to_owned(),
        || {
            ensure!(sound > 0, "none of its {} seeds can be read: the cases try nothing", seeds.len());
            Ok(())
        },
    );
    let _ = fs::remove_file(current(target));
    let share = 100 * read / (seeds.len() + cases);
    row.note(format!("{share} % read to the end, slowest {} ms, peak {} MB", slowest.as_millis(), peak >> 20));
    row
}

/// What a case that holds took.
struct Case {
    read: bool,
    took: Duration,
    peak: isize,
}

fn case(target: &Target, input: &[u8], written: &mut File) -> Result<Case> {
    // It stays there when the process is ended: by the allocator, by a stack that is full.
    written.rewind().and_then(|()| written.write_all(input)).context("the case cannot be written down")?;
    written.set_len(input.len() as u64)?;
    let held = attempt(target, input)?;
    ensure!(held.took <= LONGEST, "it took {:.1} s", held.took.as_secs_f64());
    ensure!(held.peak <= memory::MOST, "it asked for {} MB", held.peak >> 20);
    Ok(held)
}

fn attempt(target: &Target, input: &[u8]) -> Result<Case> {
    memory::begin();
    let watch = Stopwatch::start();
    let read = catch_unwind(AssertUnwindSafe(|| (target.read)(input)));
    let (took, peak) = (watch.took(), memory::peak());
    let read = read.map_err(|_| anyhow::anyhow!("it panicked"))?;
    Ok(Case { read, took, peak })
}

/// How long this thread has run: what others did to a busy machine meanwhile is no fault of the reader.
struct Stopwatch {
    began: Instant,
    /// Time on a processor, where the system tells.
    busy: Option<Duration>,
}

impl Stopwatch {
    fn start() -> Self {
        Self { began: Instant::now(), busy: Self::busy() }
    }

    fn took(&self) -> Duration {
        self.busy.zip(Self::busy()).map_or_else(|| self.began.elapsed(), |(began, now)| now.saturating_sub(began))
    }

    fn busy() -> Option<Duration> {
        let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
    }
}

fn input(target: &Target, seeds: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let input = mutated(&mut rng, seeds, target.words);
    match target.mend {
        Some(mend) if rng.random() => mend(input),
        _ => input,
    }
}

/// The committed inputs of a target, by name.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Where cases are written.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz")
}

/// The case at hand.
fn current(target: &Target) -> PathBuf {
    folder().join(format!("{}.current", target.name))
}

/// Where a case is kept that fails.
fn kept(target: &Target, input: &[u8]) -> PathBuf {
    folder().join(format!("{}-{}.case", target.name, &blake3::hash(input).to_hex()[..12]))
}

#[test]
fn what_panics_or_is_slow_fails() {
    const BAD: Target = Target {
        name: "bad",
        read: |bytes| match bytes {
            b"panic" => panic!("as asked"),
            b"slow" => {
                let watch = Stopwatch::start();
                while watch.took() < LONGEST * 11 / 10 {}
                true
            }
            _ => true,
        },
        seeds: Vec::new,
        words: &[],
        mend: None,
    };
    fs::create_dir_all(folder()).unwrap();
    let mut written = File::create(current(&BAD)).unwrap();
    let mut fault = |input: &[u8]| case(&BAD, input, &mut written).err().map(|error| error.to_string());
    assert_eq!(fault(b""), None);
    assert_eq!(fault(b"panic"), Some("it panicked".into()));
    assert_eq!(fault(b"slow"), Some("it took 1.1 s".into()));
    fs::remove_file(current(&BAD)).unwrap();
}
