//! Entries in the order of their keys, in a temporary file without a name.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytemuck::{Pod, Zeroable};

use crate::error::{Error, Result};

/// Entries between two keys that are kept in memory.
const STRIDE: usize = 1024;
/// Bytes that are read or written at once.
const BUFFER: usize = 256 << 10;

/// A key and its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Entry {
    pub key: [u8; 16],
    row: [u8; 4],
}

impl Entry {
    pub fn new(key: [u8; 16], row: u32) -> Self {
        Self { key, row: row.to_le_bytes() }
    }
}

/// A run being written.
pub(super) struct RunWriter {
    file: BufWriter<File>,
    folder: PathBuf,
    len: usize,
    fences: Vec<u64>,
}

/// A sorted run.
pub(super) struct Run {
    file: File,
    folder: PathBuf,
    len: usize,
    /// The first half of every [`STRIDE`]th key.
    fences: Vec<u64>,
}

impl RunWriter {
    pub fn new(folder: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(folder).map_err(Error::io("create a temporary file in", folder))?;
        let file = BufWriter::with_capacity(BUFFER, file);
        Ok(Self { file, folder: folder.to_path_buf(), len: 0, fences: Vec::new() })
    }

    /// Appends an entry whose key is not below the one before.
    pub fn push(&mut self, entry: &Entry) -> Result<()> {
        if self.len.is_multiple_of(STRIDE) {
            self.fences.push(half(&entry.key));
        }
        self.len += 1;
        self.file.write_all(bytemuck::bytes_of(entry)).map_err(Error::io("write a temporary file in", &self.folder))
    }

    pub fn finish(self) -> Result<Run> {
        let Self { file, folder, len, fences } = self;
        let file = file.into_inner().map_err(|e| Error::io("write a temporary file in", &folder)(e.into_error()))?;
        Ok(Run { file, folder, len, fences })
    }
}

impl Run {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The row of a key.
    pub fn get(&mut self, key: [u8; 16]) -> Result<Option<u32>> {
        // Keys of the same half may begin in the stride before the first fence of it.
        let first = self.fences.partition_point(|&fence| fence < half(&key)).saturating_sub(1);
        let last = self.fences.partition_point(|&fence| fence <= half(&key)).max(first + 1);
        let range = first * STRIDE..(last * STRIDE).min(self.len);
        let mut entries = vec![Entry::zeroed(); range.len()];
        let start = SeekFrom::Start((range.start * size_of::<Entry>()) as u64);
        let read = self.file.seek(start).and_then(|_| self.file.read_exact(bytemuck::cast_slice_mut(&mut entries)));
        read.map_err(Error::io("read a temporary file in", &self.folder))?;
        let found = entries.binary_search_by_key(&key, |entry| entry.key).ok();
        Ok(found.map(|at| u32::from_le_bytes(entries[at].row)))
    }

    /// Both runs as one; a key of both has the same row in both.
    pub fn merged(a: Self, b: Self, folder: &Path) -> Result<Self> {
        let mut writer = RunWriter::new(folder)?;
        let (mut a, mut b) = (RunReader::new(a)?, RunReader::new(b)?);
        let (mut first, mut second) = (a.next()?, b.next()?);
        loop {
            let order = match (&first, &second) {
                (None, None) => return writer.finish(),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(first), Some(second)) => first.key.cmp(&second.key),
            };
            let entry = if order.is_gt() { second } else { first };
            entry.map_or(Ok(()), |entry| writer.push(&entry))?;
            if order.is_le() {
                first = a.next()?;
            }
            if order.is_ge() {
                second = b.next()?;
            }
        }
    }
}

/// The first half of a key, in the order of the keys.
fn half(key: &[u8; 16]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *key;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The entries of a run, one by one.
struct RunReader {
    file: BufReader<File>,
    folder: PathBuf,
    left: usize,
}

impl RunReader {
    fn new(run: Run) -> Result<Self> {
        let Run { mut file, folder, len, .. } = run;
        file.rewind().map_err(Error::io("read a temporary file in", &folder))?;
        Ok(Self { file: BufReader::with_capacity(BUFFER, file), folder, left: len })
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut entry = Entry::zeroed();
        let read = self.file.read_exact(bytemuck::bytes_of_mut(&mut entry));
        read.map_err(Error::io("read a temporary file in", &self.folder))?;
        Ok(Some(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(folder: &Path, entries: &[Entry]) -> Run {
        let mut writer = RunWriter::new(folder).unwrap();
        for entry in entries {
            writer.push(entry).unwrap();
        }
        writer.finish().unwrap()
    }

    /// Keys that are spread, and many of one half.
    fn entries(n: u32, of: u32) -> Vec<Entry> {
        let key = |i: u32| {
            let mut key: [u8; 16] = *blake3::hash(&i.to_le_bytes()).as_bytes().first_chunk().unwrap();
            if i.is_multiple_of(3) {
                key[..8].fill((i % 2) as u8 * 255);
            }
            key
        };
        let mut entries: Vec<Entry> = (0..n).map(|i| i * of).map(|i| Entry::new(key(i), i)).collect();
        entries.sort_unstable_by_key(|entry| entry.key);
        entries
    }

    #[test]
    fn every_entry_is_found_also_in_a_merged_run() {
        let folder = tempfile::tempdir().unwrap();
        for (n, m) in [(0, 0), (1, 0), (1023, 3), (1024, 1024), (5000, 1200)] {
            let (a, b) = (entries(n, 2), entries(m, 3));
            let merged = Run::merged(run(folder.path(), &a), run(folder.path(), &b), folder.path());
            for (mut run, held) in [(run(folder.path(), &a), vec![&a]), (merged.unwrap(), vec![&a, &b])] {
                for entry in held.iter().copied().flatten() {
                    assert_eq!(run.get(entry.key).unwrap(), Some(u32::from_le_bytes(entry.row)));
                }
                assert!(run.get([1; 16]).unwrap().is_none() && run.get([255; 16]).unwrap().is_none());
                let distinct: std::collections::HashSet<_> = held.iter().copied().flatten().map(|e| e.key).collect();
                assert_eq!(run.len(), distinct.len());
            }
        }
    }
}
