//! The whole way that `embed` goes, from sequences to vectors on the host.

use std::time::Instant;

use biollmnet::embed::backbone::BackboneEncoder;
use biollmnet::embed::{Pooling, RecordEncoder, Vectors};
use biollmnet::error::{Error, Result};
use biollmnet::progress::{Silent, check_interrupt};
use biollmnet::tokens::Vocabulary;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::median;
use super::source::Network;
use super::workload::sequence;
use crate::cli::output::print;

/// Seconds for which single calls are timed.
const SECONDS: f64 = 0.5;
/// Calls before the timed ones at least: launches are recorded at the second.
const WARMUP: usize = 3;

/// Random sequences.
pub struct Sequences(Vec<Vec<u8>>);

impl Sequences {
    /// Of these lengths in letters.
    pub fn random(lengths: &[usize], vocabulary: &Vocabulary) -> Self {
        let random = &mut ChaCha8Rng::seed_from_u64(0);
        Self(lengths.iter().map(|&n| sequence(n, vocabulary, random)).collect())
    }

    /// Tokenises, packs, computes and pools all of them, as many at once as `embed` reads ahead.
    pub fn embed(&self, encoder: &mut BackboneEncoder<Network>) -> Result<()> {
        const POOLINGS: [Pooling; 1] = [Pooling::Mean];
        let ahead = encoder.read_ahead(&POOLINGS);
        let mut left = &self.0[..];
        while !left.is_empty() {
            let mut letters = 0;
            let fits = left.iter().take(ahead.records).take_while(|sequence| {
                let before = letters;
                letters += sequence.len();
                before < ahead.letters
            });
            let (part, rest) = left.split_at(fits.count());
            let items: Vec<&[u8]> = part.iter().map(Vec::as_slice).collect();
            let mut vectors = [Vectors::zeros(encoder.dim(Pooling::Mean), items.iter().map(|_| 1))];
            if let Some((_, refusal)) = encoder.encode(&items, &POOLINGS, &mut vectors, &Silent)?.first() {
                return Err(Error::data(refusal.reason.clone(), "give a smaller --max-tokens"));
            }
            std::hint::black_box(&vectors);
            left = rest;
        }
        Ok(())
    }
}

/// How long a single sequence takes, from its letters to its vector on the host.
#[derive(Debug, Serialize)]
pub struct Latency {
    residues: usize,
    calls: usize,
    /// Median.
    milliseconds: f64,
    fastest_milliseconds: f64,
}

impl Latency {
    /// Times one call after the other, at least `runs`.
    pub fn measure(
        residues: usize,
        warmup: usize,
        runs: usize,
        vocabulary: &Vocabulary,
        encoder: &mut BackboneEncoder<Network>,
    ) -> Result<Self> {
        let one = Sequences::random(&[residues], vocabulary);
        for _ in 0..warmup.max(WARMUP) {
            one.embed(encoder)?;
        }
        let (began, mut seconds) = (Instant::now(), Vec::new());
        while seconds.len() < runs || began.elapsed().as_secs_f64() < SECONDS {
            check_interrupt()?;
            let started = Instant::now();
            one.embed(encoder)?;
            seconds.push(started.elapsed().as_secs_f64());
        }
        let fastest = seconds.iter().copied().fold(f64::INFINITY, f64::min);
        let (milliseconds, fastest_milliseconds) = (1e3 * median(&seconds), 1e3 * fastest);
        Ok(Self { residues, calls: seconds.len(), milliseconds, fastest_milliseconds })
    }

    /// One line.
    pub fn print(&self) -> Result<()> {
        print(format!(
            "one sequence of {} residues: {:.3} ms, median of {} calls (the fastest {:.3} ms)",
            self.residues, self.milliseconds, self.calls, self.fastest_milliseconds
        ))
    }
}
