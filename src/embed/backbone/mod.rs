//! Language models of sequences, as the pipeline sees them: packing, memory, windows, pooling.

mod device;
mod open;
#[cfg(test)]
mod tests;
mod windows;

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::encoder::{Measure, Prepared, ReadAhead, RecordEncoder, RecordKind, Refusal};
use super::pooling::Pooling;
use super::store::{Flags, Layout, Status};
use super::vectors::Vectors;
use crate::data::EncoderIdentity;
use crate::error::Result;
use crate::progress::{Progress, check_interrupt};
use crate::seq::SequenceRecord;
use crate::tokens::{SPECIAL_TOKENS, TokenBatch, Vocabulary, pack};
pub use device::OnDevice;
pub use open::Variant;
use windows::{WindowAverage, windows};

/// Records that are read before the first of them is computed: enough of like length come together.
const RECORDS_AHEAD: usize = 4096;
/// Batches that are read before the first is computed.
const BATCHES_AHEAD: usize = 64;
/// Most bytes of states per residue that wait to be written.
const STATES_AHEAD: u64 = 256 << 20;

/// A network that turns packed tokens into one state for each.
///
/// The state of a token depends on the tokens of its sequence alone, to the last bit.
pub trait TokenEncoder: Send + Sync {
    /// Width of a state.
    fn d_model(&self) -> usize;
    /// Bytes of work space that a batch of so many tokens takes.
    fn workspace_bytes(&self, n_tokens: usize) -> u64;
    /// Computes the states of a batch, which the next two read.
    ///
    /// # Errors
    /// Those of the ops.
    fn forward(&mut self, batch: &TokenBatch) -> Result<()>;
    /// Averages of the states over ranges of tokens that are not empty: `out` is `[segments, d_model]`.
    ///
    /// # Errors
    /// Those of the ops.
    fn segment_means(&mut self, segments: &[Range<usize>], out: &mut [f32]) -> Result<()>;
    /// Copies the states of a range of tokens: `out` is `[tokens, d_model]`.
    ///
    /// # Errors
    /// Those of the ops.
    fn copy_states(&mut self, tokens: Range<usize>, out: &mut [f32]) -> Result<()>;
}

/// What is known of a backbone beside its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackboneCard {
    /// `esm2-650m`, …
    pub name: String,
    /// Digest of the weights and of the precision that they are computed in.
    pub digest: String,
    /// Residues that it saw at once in training. Longer sequences are computed all the same, and flagged.
    pub trained_residues: usize,
}

/// How a backbone works. None of it but the window changes the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackboneOptions {
    /// Tokens that are computed together; a longer sequence is computed alone.
    pub max_tokens: usize,
    /// Most bytes of work space and states of a sequence.
    pub max_memory: u64,
    /// Residues of a window; a longer sequence is the average over overlapping windows. `None` = sequences are
    /// computed whole.
    pub window: Option<usize>,
}

/// A language model of sequences.
pub struct BackboneEncoder<N> {
    network: N,
    vocabulary: Vocabulary,
    /// Its digest with that of the vocabulary and the width of the windows.
    card: BackboneCard,
    options: BackboneOptions,
}

impl<N: TokenEncoder> BackboneEncoder<N> {
    /// Of this network. A budget of tokens whose work space is beyond the memory allowed is made smaller.
    #[must_use]
    pub fn new(network: N, vocabulary: Vocabulary, mut card: BackboneCard, mut options: BackboneOptions) -> Self {
        while options.max_tokens > 1 && network.workspace_bytes(options.max_tokens) > options.max_memory {
            options.max_tokens /= 2;
        }
        let mut digest = blake3::Hasher::new();
        digest.update(card.digest.as_bytes()).update(vocabulary.digest().as_bytes());
        if let Some(width) = options.window {
            digest.update(b"windows").update(&(width as u64).to_le_bytes());
        }
        card.digest = digest.finalize().to_hex().to_string();
        Self { network, vocabulary, card, options }
    }

    fn windowed(&self, residues: usize) -> bool {
        self.options.window.is_some_and(|width| residues > width)
    }

    /// Bytes of the states of one residue that wait until its sequence is done.
    fn waiting_bytes(&self, poolings: &[Pooling], windowed: bool) -> u64 {
        let kept = poolings.iter().filter(|pooling| pooling.layout() == Layout::PerResidue).count();
        (kept + usize::from(windowed)) as u64 * 4 * self.network.d_model() as u64
    }

    /// Fills `batch` with the tokens of `pieces`.
    fn tokenise(&self, items: &[&[u8]], pieces: &[&Piece], batch: &mut TokenBatch) {
        batch.clear();
        let mut ids = Vec::new();
        for piece in pieces {
            ids.clear();
            self.vocabulary.encode_into(&items[piece.item][piece.residues.clone()], &mut ids);
            batch.push(&ids);
        }
    }
}

/// What is computed as one sequence: all residues of an item, or one window of them.
#[derive(Debug)]
struct Piece {
    item: usize,
    residues: Range<usize>,
    windowed: bool,
    /// What it adds to the progress.
    cost: u64,
}

/// Tokens of a piece that stands at `rows` of a batch, by pooling.
fn segment(pooling: Pooling, rows: &Range<usize>) -> Range<usize> {
    match pooling {
        Pooling::Cls => rows.start..rows.start + 1,
        Pooling::MeanWithSpecial => rows.clone(),
        _ => rows.start + 1..rows.end - 1,
    }
}

impl<N: TokenEncoder> RecordEncoder for BackboneEncoder<N> {
    type Item<'a> = &'a [u8];

    fn kind(&self) -> RecordKind {
        RecordKind::Sequences(self.vocabulary.alphabet())
    }
    fn poolings(&self) -> &[Pooling] {
        &[Pooling::Mean, Pooling::Cls, Pooling::MeanWithSpecial, Pooling::PerResidue]
    }
    fn identity(&self, pooling: Pooling) -> EncoderIdentity {
        EncoderIdentity {
            name: self.card.name.clone(),
            digest: self.card.digest.clone(),
            pooling: pooling.name().to_owned(),
        }
    }
    fn dim(&self, _pooling: Pooling) -> usize {
        self.network.d_model()
    }
    fn read_ahead(&self, poolings: &[Pooling]) -> ReadAhead {
        let most = self.options.max_tokens.saturating_mul(BATCHES_AHEAD);
        let waiting = self.waiting_bytes(poolings, self.options.window.is_some());
        let fits = STATES_AHEAD.min(self.options.max_memory / 4).checked_div(waiting).map_or(most, |n| n as usize);
        ReadAhead { records: RECORDS_AHEAD, letters: most.min(fits).max(1) }
    }
    fn measure(&self) -> Measure {
        Measure::Tokens
    }
    fn window(&self) -> Option<usize> {
        self.options.window
    }
    fn count_unknown(&self, record: &SequenceRecord) -> u32 {
        self.vocabulary.count_unknown(&record.sequence)
    }

    fn prepare<'a>(&self, letters: &'a [u8], poolings: &[Pooling]) -> Result<Prepared<&'a [u8]>, Refusal> {
        let windowed = self.windowed(letters.len());
        let at_once = letters.len().min(self.options.window.unwrap_or(usize::MAX));
        let work = self.network.workspace_bytes(at_once + SPECIAL_TOKENS);
        let bytes = work.saturating_add(self.waiting_bytes(poolings, windowed).saturating_mul(letters.len() as u64));
        if bytes > self.options.max_memory {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            let reason = format!(
                "{} letters take {} MiB, --max-memory is {} MiB: give more, or --max-length N --long window",
                letters.len(),
                mib(bytes),
                mib(self.options.max_memory)
            );
            return Err(Refusal { status: Status::TooLarge, reason });
        }
        let mut flags = Flags::default();
        if windowed {
            flags = flags.with(Flags::WINDOWED);
        }
        if at_once > self.card.trained_residues {
            flags = flags.with(Flags::BEYOND_TRAINING);
        }
        Ok(Prepared { item: letters, flags })
    }

    fn rows(&self, item: &&[u8], pooling: Pooling) -> usize {
        match pooling.layout() {
            Layout::Pooled => 1,
            Layout::PerResidue => item.len(),
        }
    }

    fn encode(
        &mut self,
        items: &[&[u8]],
        poolings: &[Pooling],
        vectors: &mut [Vectors],
        progress: &dyn Progress,
    ) -> Result<()> {
        let pieces = cut(items, self.options.window);
        let lengths: Vec<usize> = pieces.iter().map(|piece| piece.residues.len() + SPECIAL_TOKENS).collect();
        let mut averages: FxHashMap<usize, WindowAverage> = FxHashMap::default();
        let mut batch = TokenBatch::default();
        for part in pack(&lengths, self.options.max_tokens) {
            check_interrupt()?;
            let part: Vec<&Piece> = part.into_iter().map(|i| &pieces[i]).collect();
            self.tokenise(items, &part, &mut batch);
            self.network.forward(&batch)?;
            let placed: Vec<(&Piece, Range<usize>)> = part.iter().copied().zip(batch.sequences()).collect();
            let (windows, whole): (Vec<_>, Vec<_>) = placed.into_iter().partition(|(piece, _)| piece.windowed);
            for (&pooling, vectors) in poolings.iter().zip(vectors.iter_mut()) {
                self.pool(&whole, pooling, vectors)?;
            }
            for (piece, rows) in windows {
                let (item, d_model) = (piece.item, self.network.d_model());
                let average = averages.entry(item).or_insert_with(|| WindowAverage::new(items[item].len(), d_model));
                let mut states = vec![0.0; rows.len() * d_model];
                self.network.copy_states(rows, &mut states)?;
                average.add(&piece.residues, &states);
                if piece.residues.end == items[item].len()
                    && let Some(average) = averages.remove(&item)
                {
                    let average = average.finish();
                    for (&pooling, vectors) in poolings.iter().zip(vectors.iter_mut()) {
                        average.pool(pooling, vectors.get_mut(item));
                    }
                }
            }
            progress.advance(part.iter().map(|piece| piece.cost).sum());
        }
        Ok(())
    }
}

impl<N: TokenEncoder> BackboneEncoder<N> {
    /// Pools sequences that were computed whole.
    fn pool(&mut self, whole: &[(&Piece, Range<usize>)], pooling: Pooling, vectors: &mut Vectors) -> Result<()> {
        if pooling.layout() == Layout::PerResidue {
            for (piece, rows) in whole {
                self.network.copy_states(segment(pooling, rows), vectors.get_mut(piece.item))?;
            }
            return Ok(());
        }
        let segments: Vec<_> = whole.iter().map(|(_, rows)| segment(pooling, rows)).collect();
        let d_model = self.network.d_model();
        let mut means = vec![0.0; segments.len() * d_model];
        self.network.segment_means(&segments, &mut means)?;
        for ((piece, _), mean) in whole.iter().zip(means.chunks_exact(d_model)) {
            vectors.get_mut(piece.item).copy_from_slice(mean);
        }
        Ok(())
    }
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
