//! How near a precision comes to f32, and whether a sequence's vector depends on what it is computed with.

use biollmnet::embed::backbone::Wanted;
use biollmnet::error::Result;
use biollmnet::ops::linear::Precision;
use biollmnet::tokens::TokenBatch;
use serde::Serialize;

use super::inside;
use super::source::{Network, Source};
use super::workload::{Workload, letters};
use crate::cli::device::Opened;
use crate::cli::output::print;

/// Cosines between f32 and another precision.
#[derive(Debug, Serialize)]
pub struct Fidelity {
    what: String,
    sequences: usize,
    tokens: usize,
    /// Of the means over the letters of each sequence.
    mean: Cosines,
    /// Of the first token's states.
    cls: Cosines,
    /// Of every token's states.
    per_token: Cosines,
    /// Sequences whose mean is the same to the last bit alone and in the batches.
    same_alone: usize,
}

#[derive(Debug, Serialize)]
struct Cosines {
    min: f64,
    mean: f64,
}

/// Vectors of all sequences end to end, by kind.
struct Vectors {
    mean: Vec<f32>,
    cls: Vec<f32>,
    tokens: Vec<f32>,
}

impl Fidelity {
    /// Runs the same sequences in f32 on the first device and in `precision` on the second, there also each alone.
    pub fn measure(
        source: &Source,
        (reference, device): (&Opened, &Opened),
        precision: Precision,
        lengths: &[usize],
        max_tokens: usize,
    ) -> Result<Self> {
        let work = Workload::mixed(lengths, max_tokens, &source.vocabulary);
        let d = source.encoder.d_model;
        let exact = inside(reference, || vectors(&mut source.network(reference, Precision::F32)?, &work.batches, d))?;
        let mut network = source.network(device, precision)?;
        let rounded = vectors(&mut network, &work.batches, d)?;
        let alone = alone(&mut network, &work.batches)?;
        let same = |(a, b): &(&[f32], &[f32])| a.iter().zip(*b).all(|(a, b)| a.to_bits() == b.to_bits());
        Ok(Self {
            what: format!("{}, {} beside f32", source.name(), precision.name()),
            sequences: work.n_sequences(),
            tokens: work.n_tokens(),
            mean: Cosines::between(&exact.mean, &rounded.mean, d),
            cls: Cosines::between(&exact.cls, &rounded.cls, d),
            per_token: Cosines::between(&exact.tokens, &rounded.tokens, d),
            same_alone: rounded.mean.chunks(d).zip(alone.chunks(d)).filter(same).count(),
        })
    }

    /// One line per kind of vector.
    pub fn print(&self) -> Result<()> {
        print(format!("{}, {} sequences of {} tokens: cosine", self.what, self.sequences, self.tokens))?;
        for (name, cosines) in [("mean", &self.mean), ("cls", &self.cls), ("per token", &self.per_token)] {
            print(format!("{name}: min {:.6}, mean {:.6}", cosines.min, cosines.mean))?;
        }
        print(format!("alone as in a batch, to the last bit: {} of {}", self.same_alone, self.sequences))
    }
}

fn vectors(network: &mut Network, batches: &[TokenBatch], d: usize) -> Result<Vectors> {
    let mut all = Vectors { mean: vec![], cls: vec![], tokens: vec![] };
    for batch in batches {
        network.begin(batch, &[Wanted::Means(letters(batch)), Wanted::States(0..batch.n_tokens())])?;
        for (of, values) in network.end()?.into_iter().enumerate() {
            if of == 0 {
                all.mean.extend(values);
            } else {
                batch.sequences().for_each(|rows| all.cls.extend(&values[rows.start * d..][..d]));
                all.tokens.extend(values);
            }
        }
    }
    Ok(all)
}

/// The mean of each sequence, computed alone.
fn alone(network: &mut Network, batches: &[TokenBatch]) -> Result<Vec<f32>> {
    let mut means = Vec::new();
    for batch in batches {
        for rows in batch.sequences() {
            let mut one = TokenBatch::default();
            one.push(&batch.ids()[rows]);
            network.begin(&one, &[Wanted::Means(letters(&one))])?;
            means.extend(network.end()?.into_iter().flatten());
        }
    }
    Ok(means)
}

impl Cosines {
    /// Of rows `[d]` of both.
    fn between(a: &[f32], b: &[f32], d: usize) -> Self {
        let cosines: Vec<f64> = a.chunks(d).zip(b.chunks(d)).map(|(a, b)| cosine(a, b)).collect();
        let min = cosines.iter().copied().fold(f64::INFINITY, f64::min);
        Self { min, mean: cosines.iter().sum::<f64>() / cosines.len() as f64 }
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_by_hand() {
        let found = Cosines::between(&[1.0, 0.0, 3.0, 4.0], &[2.0, 0.0, 4.0, 3.0], 2);
        assert!((found.min - 0.96).abs() < 1e-12 && (found.mean - 0.98).abs() < 1e-12, "{found:?}");
    }
}
