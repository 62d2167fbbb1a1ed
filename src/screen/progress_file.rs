//! Where a screen stands, on disk: one that was stopped goes on from there.

use std::path::Path;

use super::candidates::{Candidates, Hit, Pending};
use super::search::Screening;
use crate::error::Result;
use crate::files::words::{WordWriter, Words};
use crate::files::{OutputFolder, ProgressFolder};

/// A note for each tile of targets.
pub struct ProgressFile {
    notes: ProgressFolder,
    k: usize,
}

/// Where a tile stands.
pub(super) struct Stand {
    pub next_row: usize,
    pub candidates: Vec<Candidates>,
}

impl ProgressFile {
    /// The folder beside the table `out`; what another screen wrote there is not read.
    ///
    /// # Errors
    /// [`Error::Busy`](crate::error::Error::Busy) while another process writes the table; [`Error::Io`](crate::error::Error::Io).
    pub fn beside(out: &Path, screening: &Screening<'_>) -> Result<Self> {
        Ok(Self { notes: ProgressFolder::beside(out, ".screening", key_of(screening))?, k: screening.top_k })
    }

    /// The notes of a shard that is being made in `folder`.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub(super) fn within(folder: &OutputFolder, screening: &Screening<'_>) -> Result<Self> {
        Ok(Self { notes: ProgressFolder::within(folder, key_of(screening))?, k: screening.top_k })
    }

    /// Where a tile stands; `None` when nothing of this screen was written, or not whole.
    pub(super) fn read(&self, tile: usize) -> Result<Option<Stand>> {
        Ok(self.notes.read(&name(tile))?.and_then(|bytes| parse(&bytes, self.k)))
    }

    /// Writes down where a tile stands.
    pub(super) fn write(&mut self, tile: usize, next_row: usize, candidates: &[Candidates]) -> Result<()> {
        self.notes.write(&name(tile), bytes_of(next_row, candidates))
    }

    /// The table is written: nothing is left to go on with.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn finish(self) -> Result<()> {
        self.notes.finish()
    }
}

fn name(tile: usize) -> String {
    format!("tile-{tile:06}")
}

/// Digest of all that the candidates depend on.
fn key_of(screening: &Screening<'_>) -> [u8; 32] {
    let rows = format!("{} {:?}", blake3::Hash::from(screening.digest()).to_hex(), screening.rows);
    *blake3::hash(rows.as_bytes()).as_bytes()
}

fn bytes_of(next_row: usize, candidates: &[Candidates]) -> Vec<u8> {
    let mut bytes = WordWriter::default();
    bytes.number(next_row as u64);
    bytes.number(candidates.len() as u64);
    for one in candidates {
        bytes.number(one.floor.to_bits());
        bytes.array(&one.pending);
        bytes.array(&one.settled);
    }
    bytes.finish()
}

fn parse(bytes: &[u8], k: usize) -> Option<Stand> {
    let mut words = Words(bytes);
    let (next_row, n) = (words.number()?, words.number()?);
    let mut candidates = Vec::new();
    for _ in 0..n {
        let mut one = Candidates::new(k, f64::from_bits(words.number()?));
        one.pending = words.array::<Pending>()?;
        one.settled = words.array::<Hit>()?;
        candidates.push(one);
    }
    Some(Stand { next_row: next_row as usize, candidates })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_is_read_back_and_nothing_shorter() {
        let mut one = Candidates::new(3, 0.25);
        one.pending.push(Pending { row: 7, low: 0.5, high: 0.75 });
        let hit = Hit { score: 0.5, logit: 0.0, spread: 0.0, gate_mean: 0.5, value: 0.0, record: 3, padding: 0 };
        one.settled.push(hit);
        let all = vec![one, Candidates::new(3, f64::NEG_INFINITY)];
        let bytes = bytes_of(4096, &all);
        let stand = parse(&bytes, 3).unwrap();
        assert_eq!((stand.next_row, stand.candidates), (4096, all));
        for length in 0..bytes.len() {
            assert!(parse(&bytes[..length], 3).is_none(), "{length} bytes");
        }
    }
}
