//! `biollmnet bench attention`: self-attention over packed sequences.

use std::path::PathBuf;

use biollmnet::backend::{Activation, Matrix, MatrixMut};
use biollmnet::error::{Error, Result};
use biollmnet::ops::attention::{Heads, attention};
use biollmnet::ops::linear::Precision;
use biollmnet::tokens::SPECIAL_TOKENS;
use clap::Args;

use super::ceilings::{CeilingFlags, Ceilings};
use super::random::numbers;
use super::table::{Cost, Line, Table};
use super::timing::{Measuring, Timed};
use super::workload::read_lengths;
use super::{Job, PrecisionFlag, on_device, precision};
use crate::cli::Context;
use crate::cli::device::Opened;
use crate::cli::output::print_json;

/// Arguments of `bench attention`.
#[derive(Debug, Args)]
pub struct AttentionArgs {
    /// Tokens of every sequence, several with commas.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "64,128,256,512,1024,4096",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    length: Vec<u32>,
    /// Also sequences of these lengths in letters, one a line, over and over until there are --tokens.
    #[arg(long, value_name = "FILE")]
    lengths: Option<PathBuf>,
    /// Tokens of all sequences together, about; 32768 on a CUDA device and 4096 on the CPU where it is not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    tokens: Option<u32>,
    /// Heads.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=256))]
    heads: u16,
    /// Width of a head.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(8..=256))]
    d_head: u16,
    /// Type of the states; f16 on a CUDA device and f32 on the CPU where it is not given. Of int8 it is f32.
    #[arg(long, value_enum)]
    precision: Option<PrecisionFlag>,
    #[command(flatten)]
    ceilings: CeilingFlags,
    #[command(flatten)]
    measuring: Measuring,
}

/// Measures and prints.
pub fn run(args: &AttentionArgs, context: &Context) -> Result<()> {
    let opened = context.backend()?;
    let precision = match precision(args.precision, opened)? {
        Precision::Int8 => Precision::F32,
        Precision::Fp8 => Precision::F16,
        other => other,
    };
    let tokens = args.tokens.map_or(if matches!(opened, Opened::Cpu) { 4096 } else { 32_768 }, |n| n as usize);
    let mut work: Vec<(String, Vec<usize>)> = args
        .length
        .iter()
        .map(|&length| (format!("uniform {length}"), vec![length as usize; (tokens / length as usize).max(1)]))
        .collect();
    if let Some(path) = &args.lengths {
        work.push(("mixed".to_owned(), repeated(&read_lengths(path)?, tokens)));
    }
    let table = on_device(Sequences { args, opened, precision, work }, opened, precision)?;
    args.measuring.export(&table)?;
    if context.json { print_json(&table) } else { table.print() }
}

/// Tokens of sequences of these lengths in letters, from the first again after the last, as many as `tokens` hold, at
/// least one.
fn repeated(letters: &[usize], tokens: usize) -> Vec<usize> {
    let mut left = tokens;
    let mut lengths: Vec<usize> = letters
        .iter()
        .cycle()
        .map(|n| n + SPECIAL_TOKENS)
        .map_while(|n| {
            left = left.checked_sub(n)?;
            Some(n)
        })
        .collect();
    if lengths.is_empty() {
        lengths.push(letters[0] + SPECIAL_TOKENS);
    }
    lengths
}

struct Sequences<'a> {
    args: &'a AttentionArgs,
    opened: &'a Opened,
    precision: Precision,
    /// Tokens of each sequence, by name.
    work: Vec<(String, Vec<usize>)>,
}

impl Job for Sequences<'_> {
    type Output = Table;

    fn run<B: Timed, A: Activation>(self, backend: &B) -> Result<Table> {
        let Self { args, opened, precision, work } = self;
        let heads = Heads { n_heads: usize::from(args.heads), d_head: usize::from(args.d_head) };
        if !heads.d_head.is_multiple_of(8) {
            return Err(Error::usage("--d-head is no multiple of 8", "choose 16, 24, 32, 64 or 128"));
        }
        backend.check_heads(heads)?;
        let ceilings = Ceilings::take(opened, precision, &args.ceilings)?;
        let line = |(name, lengths): (String, Vec<usize>)| {
            measure::<B, A>(backend, name, &lengths, heads, &args.measuring, &ceilings)
        };
        let lines = work.into_iter().map(line).collect::<Result<_>>()?;
        let what = format!("attention, {} heads of {}", heads.n_heads, heads.d_head);
        Ok(Table { what, precision: precision.name(), lines, ceilings })
    }
}

fn measure<B: Timed, A: Activation>(
    backend: &B,
    name: String,
    lengths: &[usize],
    heads: Heads,
    measuring: &Measuring,
    ceilings: &Ceilings,
) -> Result<Line> {
    let (tokens, d) = (lengths.iter().sum::<usize>(), heads.n_heads * heads.d_head);
    let ends = lengths.iter().scan(0, |end, &length| {
        *end += length as u32;
        Some(*end)
    });
    let cu_seqlens: Vec<u32> = std::iter::once(0).chain(ends).collect();
    let mut sequences = backend.no_sequences()?;
    backend.admit_sequences::<A>(&mut sequences, &cu_seqlens, heads)?;
    // Logits of SD 1: no key takes all the weight.
    let sd = (heads.d_head as f32).powf(-0.25);
    let qkv = backend.uploaded(&numbers::<A>(tokens * 3 * d, 1, sd))?;
    let mut out = backend.zeros::<A>(tokens * d)?;
    let runs = measuring.sustained(backend, || {
        let (qkv, out) = (Matrix::of(backend, &qkv, tokens, 3 * d), MatrixMut::of(backend, &mut out, tokens, d));
        attention(backend, qkv, &sequences, heads, out)
    })?;
    Ok(Line::new(name, tokens, false, cost(lengths, d, size_of::<A>()), runs, ceilings))
}

/// `q·kᵀ` and `p·v` of each sequence; queries, keys and values read once and the result written.
fn cost(lengths: &[usize], d: usize, state: usize) -> Cost {
    let pairs: f64 = lengths.iter().map(|&n| (n as f64).powi(2)).sum();
    let tokens: usize = lengths.iter().sum();
    Cost { flop: 4.0 * d as f64 * pairs, bytes: (4 * tokens * d * state) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_repeated_up_to_the_tokens() {
        assert_eq!(repeated(&[3, 8], 26), [5, 10, 5]);
        assert_eq!(repeated(&[3, 8], 15), [5, 10]);
        assert_eq!(repeated(&[30], 4), [32]);
    }

    #[test]
    fn operations_are_counted_within_each_sequence() {
        assert_eq!(cost(&[10, 20], 64, 2), Cost { flop: 4.0 * 64.0 * 500.0, bytes: 4.0 * 30.0 * 64.0 * 2.0 });
    }
}
