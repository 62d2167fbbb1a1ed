//! Whether the stores of an embedding fit on their disk, before anything is written.

use std::fs;
use std::path::{Path, PathBuf};

use super::destination::Destination;
use super::encoder::RecordEncoder;
use super::pipeline::EmbedOptions;
use super::records::Amount;
use super::store::Layout;
use crate::error::{Error, Result, bytes};
use crate::files::space::{nearest, space_of};
use crate::progress::Progress;

/// Bytes of a record in the table of records beside its id: digest, numbers, flags, status.
const RECORD: u64 = 80;
/// Bytes of a small FASTA or SMILES record: its mark, one letter, an id of one letter, the ends of its lines.
const SMALLEST_RECORD: u64 = 4;

/// What the stores take, and what is free.
pub(super) struct Room {
    /// The first store.
    path: PathBuf,
    /// Bytes at most; `None` for an input that cannot be counted.
    needed: Option<u64>,
}

impl Room {
    /// Counts the input, unless its size alone tells that there is room; tells `progress` where the result is large.
    ///
    /// # Errors
    /// [`Error::NoSpace`]; those of the readers.
    pub fn check<E: RecordEncoder>(
        input: &Path,
        encoder: &E,
        wanted: &[Destination],
        options: EmbedOptions,
        amount: Option<Amount>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let path = wanted.first().map(|destination| destination.path.clone()).unwrap_or_default();
        let size = input.is_file().then(|| fs::metadata(input).ok()).flatten().map(|found| found.len());
        let free = nearest(&path).and_then(space_of).map(|space| space.free);
        let (Some(size), Some(free)) = (size, free) else { return Ok(Self { path, needed: None }) };
        // Compressed text is seldom less than a tenth.
        let text = size.saturating_mul(if is_gzip(input) { 10 } else { 1 });
        let most = Amount { records: text / SMALLEST_RECORD + 1, letters: text, ids: text };
        let amount = match amount {
            Some(amount) => amount,
            None if takes(wanted, most) <= free => most,
            None => Amount::of(input, encoder.kind(), options)?,
        };
        let needed = takes(wanted, amount) / options.shard.count as u64;
        if amount != most {
            progress.note(&format!(
                "{}: the result takes at most {}, {} are free there",
                path.display(),
                bytes(needed),
                bytes(free)
            ));
        }
        // What an earlier process has written already is there.
        let there: u64 = wanted.iter().map(Destination::kept_bytes).sum();
        if needed > free.saturating_add(there) {
            return Err(Error::NoSpace { path, needed, free });
        }
        Ok(Self { path, needed: Some(needed) })
    }

    /// A full disk in the midst of the work, with the bytes that the work takes.
    pub fn explain(&self, error: Error) -> Error {
        let free = nearest(&self.path).and_then(space_of).map_or(0, |space| space.free);
        match self.needed {
            Some(needed) if error.is_full_disk() => Error::NoSpace { path: self.path.clone(), needed, free },
            _ => error,
        }
    }
}

/// Bytes that the stores take at most, where no two sequences are the same.
fn takes(wanted: &[Destination], amount: Amount) -> u64 {
    let of = |destination: &Destination| {
        let options = &destination.options;
        let rows = match options.layout {
            Layout::Pooled => amount.records,
            Layout::PerResidue => amount.letters,
        };
        let vectors = rows.saturating_mul((options.dim * options.dtype.size()) as u64);
        vectors.saturating_add(amount.records.saturating_mul(RECORD)).saturating_add(amount.ids)
    };
    wanted.iter().map(of).fold(0, u64::saturating_add)
}

fn is_gzip(input: &Path) -> bool {
    use std::io::Read;
    let mut head = [0; 2];
    fs::File::open(input).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == [0x1f, 0x8b]
}
