//! The ops of encoders that only move numbers.

use biollmnet::backend::{Activation, Matrix, MatrixMut};
use biollmnet::error::Result;
use biollmnet::ops::embed_tokens::embed_tokens;
use biollmnet::ops::layer_norm::layer_norm;
use biollmnet::ops::segment_mean::segment_mean;

use super::ceilings::Ceilings;
use super::random::numbers;
use super::table::{Cost, Line};
use super::timing::{Measuring, Timed};

/// Rows of the table of embeddings.
const VOCABULARY: usize = 33;
/// Tokens of a sequence.
const LENGTH: usize = 256;

/// Layer norm, embedding and the means of sequences over `[tokens, width]`, with cold caches.
pub fn lines<B: Timed, A: Activation>(
    backend: &B,
    tokens: usize,
    width: usize,
    measuring: &Measuring,
    ceilings: &Ceilings,
) -> Result<Vec<Line>> {
    let (n, states) = (tokens * width, (tokens * width * size_of::<A>()) as f64);
    let line = |name: &str, bytes: f64, work: &mut dyn FnMut() -> Result<()>| {
        let runs = measuring.cold(backend, work)?;
        Ok(Line::new(name.to_owned(), tokens, true, Cost { flop: 0.0, bytes }, runs, ceilings))
    };
    let (x, mut y) = (backend.uploaded(&numbers::<A>(n, 1, 1.0))?, backend.zeros::<A>(n)?);
    let factors = backend.uploaded(&numbers::<f32>(width, 2, 1.0))?;
    let norm = line("layer norm", 2.0 * states, &mut || {
        let (x, factors) = (Matrix::of(backend, &x, tokens, width), Matrix::of(backend, &factors, 1, width));
        layer_norm(backend, x, factors, factors, 1e-5, MatrixMut::of(backend, &mut y, tokens, width))
    })?;

    let table = backend.uploaded(&numbers::<f32>(VOCABULARY * width, 3, 1.0))?;
    let ids: Vec<u32> = (0..tokens).map(|i| (i * 7 % VOCABULARY) as u32).collect();
    let (ids, scales) = (backend.uploaded(&ids)?, backend.uploaded(&vec![1f32; tokens])?);
    let embedding = line("embedding", states, &mut || {
        let (ids, scales) = (Matrix::of(backend, &ids, tokens, 1), Matrix::of(backend, &scales, tokens, 1));
        let table = Matrix::of(backend, &table, VOCABULARY, width);
        embed_tokens(backend, ids, scales, table, MatrixMut::of(backend, &mut y, tokens, width))
    })?;

    let segments: Vec<u32> =
        (0..tokens).step_by(LENGTH).flat_map(|first| [first as u32, tokens.min(first + LENGTH) as u32]).collect();
    let n_segments = segments.len() / 2;
    let (segments, mut means) = (backend.uploaded(&segments)?, backend.zeros::<f32>(n_segments * width)?);
    let means = line("means of sequences", states, &mut || {
        let (x, segments) = (Matrix::of(backend, &x, tokens, width), Matrix::of(backend, &segments, n_segments, 2));
        segment_mean(backend, x, segments, MatrixMut::of(backend, &mut means, n_segments, width))
    })?;
    Ok(vec![norm, embedding, means])
}
