//! How near int8 comes to f32: the cosine between the vectors of both.

use biollmnet::backend::{Cpu, Matrix, Memory};
use biollmnet::error::Result;
use biollmnet::models::encoder::Encoder;
use biollmnet::ops::linear::Precision;
use serde::Serialize;

use super::encoder::{Source, mean_vectors};
use super::workload::Workload;
use crate::cli::output::print;

/// Cosines between f32 and int8.
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
    /// Runs the same sequences in both precisions.
    pub fn measure(source: &Source, work: &Workload) -> Result<Self> {
        let cpu = Cpu::all_threads();
        let vectors = |precision| vectors(&cpu, &source.load(&cpu, precision)?, work);
        let (exact, rounded) = (vectors(Precision::F32)?, vectors(Precision::Int8)?);
        let d = exact.mean.len() / work.n_sequences();
        Ok(Self {
            what: format!("{}, int8 beside f32", source.name()),
            sequences: work.n_sequences(),
            tokens: work.n_tokens(),
            mean: Cosines::between(&exact.mean, &rounded.mean, d),
            cls: Cosines::between(&exact.cls, &rounded.cls, d),
            per_token: Cosines::between(&exact.tokens, &rounded.tokens, d),
        })
    }

    /// One line per kind of vector.
    pub fn print(&self) -> Result<()> {
        print(format!("{}, {} sequences of {} tokens: cosine", self.what, self.sequences, self.tokens))?;
        for (name, cosines) in [("mean", &self.mean), ("cls", &self.cls), ("per token", &self.per_token)] {
            print(format!("{name}: min {:.6}, mean {:.6}", cosines.min, cosines.mean))?;
        }
        Ok(())
    }
}

fn vectors(cpu: &Cpu, encoder: &Encoder<Cpu>, work: &Workload) -> Result<Vectors> {
    let d = encoder.config().d_model;
    let mut space = encoder.workspace(cpu)?;
    let mut all = Vectors { mean: vec![], cls: vec![], tokens: vec![] };
    for batch in &work.batches {
        all.mean.extend(mean_vectors(cpu, encoder, batch, &mut space)?);
        let mut states = vec![0.0; batch.n_tokens() * d];
        let Matrix { view, .. } = space.hidden(cpu, encoder.config(), batch.n_tokens());
        cpu.download(view, &mut states)?;
        batch.sequences().for_each(|rows| all.cls.extend(&states[rows.start * d..][..d]));
        all.tokens.extend(states);
    }
    Ok(all)
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
