//! Language models of sequences, as the pipeline sees them: packing, memory, windows, pooling.

mod batches;
mod device;
mod open;
#[cfg(test)]
mod tests;
mod windows;

use std::ops::Range;

use super::encoder::{Measure, Prepared, ReadAhead, RecordEncoder, RecordKind, Refusal};
use super::pooling::Pooling;
use super::store::{Flags, Layout, Status};
use super::vectors::Vectors;
use crate::data::EncoderIdentity;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::progress::Progress;
use crate::seq::SequenceRecord;
use crate::tokens::{SPECIAL_TOKENS, TokenBatch, Vocabulary};
pub use device::OnDevice;
pub use open::{Variant, load};

/// Records that are read before the first of them is computed, at least: enough of like length come together.
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
    /// Begins to compute the states of a batch, and of them what is `wanted`.
    ///
    /// # Errors
    /// Those of the ops. When the device has no memory for it ([`Error::is_device_memory`]) the batch is as if it had never
    /// been asked for.
    fn begin(&mut self, batch: &TokenBatch, wanted: &[Wanted]) -> Result<()>;
    /// Waits for the oldest batch that has been begun and not ended: what it wanted, in that order.
    ///
    /// # Errors
    /// Those of the ops.
    fn end(&mut self) -> Result<Vec<Vec<f32>>>;
}

impl<N: TokenEncoder + ?Sized> TokenEncoder for Box<N> {
    fn d_model(&self) -> usize {
        (**self).d_model()
    }
    fn workspace_bytes(&self, n_tokens: usize) -> u64 {
        (**self).workspace_bytes(n_tokens)
    }
    fn begin(&mut self, batch: &TokenBatch, wanted: &[Wanted]) -> Result<()> {
        (**self).begin(batch, wanted)
    }
    fn end(&mut self) -> Result<Vec<Vec<f32>>> {
        (**self).end()
    }
}

/// What of the states of a batch is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Averages over ranges of tokens that are not empty, `[segments, d_model]`.
    Means(Vec<Range<usize>>),
    /// The states of a range of tokens, `[tokens, d_model]`.
    States(Range<usize>),
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
        ReadAhead { records: RECORDS_AHEAD.max(self.options.max_tokens), letters: most.min(fits).max(1) }
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
    ) -> Result<Vec<(usize, Refusal)>> {
        let BackboneOptions { max_tokens, window, .. } = &mut self.options;
        let (network, vocabulary) = (&mut self.network, &self.vocabulary);
        batches::encode(network, vocabulary, max_tokens, *window, items, (poolings, vectors), progress)
    }
}
