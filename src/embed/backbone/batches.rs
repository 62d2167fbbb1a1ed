//! Sequences through a network: cut into pieces, packed, tokenised ahead on a thread of their own, and begun before the
//! batch before has ended, so that a device never waits for the host.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};

use rustc_hash::FxHashMap;

use super::windows::{WindowAverage, windows};
use super::{TokenEncoder, Wanted};
use crate::embed::encoder::Refusal;
use crate::embed::pooling::Pooling;
use crate::embed::store::{Layout, Status};
use crate::embed::vectors::Vectors;
use crate::error::{Error, Result};
use crate::progress::{Progress, check_interrupt};
use crate::tokens::{SPECIAL_TOKENS, TokenBatch, Vocabulary, pack};

/// Batches that are tokenised before they are begun.
const TOKENISED_AHEAD: usize = 2;
/// Batches that are begun before the oldest of them is waited for.
const BEGUN_AHEAD: usize = 1;

/// What is computed as one sequence: all residues of an item, or one window of them.
#[derive(Debug)]
struct Piece {
    item: usize,
    residues: Range<usize>,
    windowed: bool,
    /// What it adds to the progress.
    cost: u64,
}

/// The pieces of all items. Those of one item stand in order and are of one length, so that they are computed in order.
fn cut(items: &[&[u8]], window: Option<usize>) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(items.len());
    for (item, letters) in items.iter().enumerate() {
        let width = window.unwrap_or(usize::MAX);
        let mut done = 0;
        for residues in windows(letters.len(), width) {
            let special = if done == 0 { SPECIAL_TOKENS } else { 0 };
            let cost = (residues.end - done + special) as u64;
            done = residues.end;
            pieces.push(Piece { item, residues, windowed: letters.len() > width, cost });
        }
    }
    pieces
}

/// Tokens of a piece that stands at `rows` of a batch, by pooling.
fn segment(pooling: Pooling, rows: &Range<usize>) -> Range<usize> {
    match pooling {
        Pooling::Cls => rows.start..rows.start + 1,
        Pooling::MeanWithSpecial => rows.clone(),
        _ => rows.start + 1..rows.end - 1,
    }
}

/// One batch: pieces, and the rows of each.
struct Batch<'a> {
    pieces: Vec<&'a Piece>,
    tokens: TokenBatch,
}

impl<'a> Batch<'a> {
    fn tokenise(vocabulary: &Vocabulary, items: &[&[u8]], pieces: Vec<&'a Piece>) -> Self {
        let mut tokens = TokenBatch::default();
        let mut ids = Vec::new();
        for piece in &pieces {
            ids.clear();
            vocabulary.encode_into(&items[piece.item][piece.residues.clone()], &mut ids);
            tokens.push(&ids);
        }
        Self { pieces, tokens }
    }

    fn placed(&self) -> impl Iterator<Item = (&'a Piece, Range<usize>)> + '_ {
        self.pieces.iter().copied().zip(self.tokens.sequences())
    }

    /// Means for each pooling that averages, of the pieces that are whole; then all states where something needs them.
    fn wanted(&self, poolings: &[Pooling]) -> Vec<Wanted> {
        let whole = |pooling: Pooling| {
            self.placed().filter(|(piece, _)| !piece.windowed).map(move |(_, rows)| segment(pooling, &rows)).collect()
        };
        let pooled = poolings.iter().filter(|pooling| pooling.layout() == Layout::Pooled);
        let mut wanted: Vec<Wanted> = pooled.map(|&pooling| Wanted::Means(whole(pooling))).collect();
        if self.needs_states(poolings) {
            wanted.push(Wanted::States(0..self.tokens.n_tokens()));
        }
        wanted
    }

    fn needs_states(&self, poolings: &[Pooling]) -> bool {
        poolings.iter().any(|pooling| pooling.layout() == Layout::PerResidue)
            || self.pieces.iter().any(|piece| piece.windowed)
    }
}

/// Where results go.
struct Sink<'a, 'v> {
    items: &'a [&'a [u8]],
    poolings: &'a [Pooling],
    vectors: &'v mut [Vectors],
    d_model: usize,
    /// Of items whose windows are not all there.
    averages: FxHashMap<usize, WindowAverage>,
}

impl Sink<'_, '_> {
    /// Puts what came of `batch` in its place.
    fn take(&mut self, batch: &Batch<'_>, results: Vec<Vec<f32>>) {
        let (d, mut results) = (self.d_model, results.into_iter());
        let mut means: Vec<Option<Vec<f32>>> = Vec::new();
        for pooling in self.poolings {
            means.push(if pooling.layout() == Layout::Pooled { results.next() } else { None });
        }
        let states = results.next().unwrap_or_default();
        for ((&pooling, means), vectors) in self.poolings.iter().zip(means).zip(self.vectors.iter_mut()) {
            let whole = batch.placed().filter(|(piece, _)| !piece.windowed);
            if let Some(means) = means {
                for ((piece, _), mean) in whole.zip(means.chunks_exact(d)) {
                    vectors.get_mut(piece.item).copy_from_slice(mean);
                }
            } else {
                for (piece, rows) in whole {
                    let Range { start, end } = segment(pooling, &rows);
                    vectors.get_mut(piece.item).copy_from_slice(&states[start * d..end * d]);
                }
            }
        }
        for (piece, rows) in batch.placed().filter(|(piece, _)| piece.windowed) {
            self.add_window(piece, &states[rows.start * d..rows.end * d]);
        }
    }

    fn add_window(&mut self, piece: &Piece, states: &[f32]) {
        let (item, length) = (piece.item, self.items[piece.item].len());
        let average = self.averages.entry(item).or_insert_with(|| WindowAverage::new(length, self.d_model));
        average.add(&piece.residues, states);
        if piece.residues.end == length
            && let Some(average) = self.averages.remove(&item)
        {
            let average = average.finish();
            for (&pooling, vectors) in self.poolings.iter().zip(self.vectors.iter_mut()) {
                average.pool(pooling, vectors.get_mut(item));
            }
        }
    }
}

/// Encodes `items` in batches of at most `max_tokens`, which is halved when the device has no memory for a batch.
/// Returns the items that it has no memory for even alone.
pub(super) fn encode<N: TokenEncoder>(
    network: &mut N,
    vocabulary: &Vocabulary,
    max_tokens: &mut usize,
    window: Option<usize>,
    items: &[&[u8]],
    (poolings, vectors): (&[Pooling], &mut [Vectors]),
    progress: &dyn Progress,
) -> Result<Vec<(usize, Refusal)>> {
    let pieces = cut(items, window);
    let mut left: Vec<&Piece> = pieces.iter().collect();
    let mut refused: Vec<(usize, Refusal)> = Vec::new();
    let d_model = network.d_model();
    let mut sink = Sink { items, poolings, vectors, d_model, averages: FxHashMap::default() };
    while !left.is_empty() {
        let lengths: Vec<usize> = left.iter().map(|piece| piece.residues.len() + SPECIAL_TOKENS).collect();
        let parts: Vec<Vec<&Piece>> =
            pack(&lengths, *max_tokens).into_iter().map(|part| part.into_iter().map(|i| left[i]).collect()).collect();
        let stopped = std::thread::scope(|scope| {
            let (send, batches) = sync_channel(TOKENISED_AHEAD);
            let tokenised = parts.iter().map(|part| Batch::tokenise(vocabulary, items, part.clone()));
            scope.spawn(move || tokenised.map(|batch| send.send(batch)).find(Result::is_err));
            run(network, batches, &mut sink, progress)
        })?;
        let Some((done, memory)) = stopped else { break };
        left = parts[done..].concat();
        if let [alone] = parts[done][..] {
            refused.push((alone.item, too_large(items[alone.item].len(), &memory)));
            let lost = left.iter().filter(|piece| piece.item == alone.item).map(|piece| piece.cost).sum();
            progress.advance(lost);
            left.retain(|piece| piece.item != alone.item);
            sink.averages.remove(&alone.item);
        } else {
            let tokens: usize = parts[done].iter().map(|piece| piece.residues.len() + SPECIAL_TOKENS).sum();
            *max_tokens = tokens / 2;
        }
    }
    Ok(refused)
}

/// Runs the batches. `None` when all are done; else how many are, and why the device had no memory for the next.
fn run<N: TokenEncoder>(
    network: &mut N,
    batches: Receiver<Batch<'_>>,
    sink: &mut Sink<'_, '_>,
    progress: &dyn Progress,
) -> Result<Option<(usize, Error)>> {
    let poolings = sink.poolings;
    let mut begun = VecDeque::new();
    let mut stopped = None;
    let mut end_oldest = |network: &mut N, batch: Batch<'_>| -> Result<()> {
        sink.take(&batch, network.end()?);
        progress.advance(batch.pieces.iter().map(|piece| piece.cost).sum());
        Ok(())
    };
    for (i, batch) in batches.into_iter().enumerate() {
        check_interrupt()?;
        match network.begin(&batch.tokens, &batch.wanted(poolings)) {
            Ok(()) => begun.push_back(batch),
            Err(memory) if memory.is_device_memory() => {
                stopped = Some((i, memory));
                break;
            }
            Err(error) => return Err(error),
        }
        if begun.len() > BEGUN_AHEAD
            && let Some(oldest) = begun.pop_front()
        {
            end_oldest(network, oldest)?;
        }
    }
    for batch in begun {
        end_oldest(network, batch)?;
    }
    Ok(stopped)
}

fn too_large(letters: usize, memory: &Error) -> Refusal {
    let reason = format!("{letters} letters: {memory}; choose another device, or --max-length N --long window");
    Refusal { status: Status::TooLarge, reason }
}
