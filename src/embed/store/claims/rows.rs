//! A map of 16-byte hashes to rows whose memory does not grow with its entries.

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use super::filter::Filter;
use super::run::{Entry, Run, RunWriter};
use crate::error::Result;

/// Entries in memory: what a hash table of 2^18 places takes, 5.5 MB.
const RECENT: usize = 200_000;

/// A hash: its bits are as good as random.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key([u8; 16]);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// The map: the latest entries in memory, the others in sorted runs in temporary files. A run is merged with the one before
/// when that is not over twice as long, so that there are few. A filter of fixed size tells that most new keys are in
/// none of them.
///
/// Memory: 24 MB at most, 8 bytes for 1024 entries besides. Disk: 20 bytes an entry, twice as much during a merge.
pub(super) struct Rows {
    folder: PathBuf,
    recent: FxHashMap<Key, u32>,
    /// The longest first.
    runs: Vec<Run>,
    /// The keys of the runs.
    filter: Option<Filter>,
}

impl Rows {
    /// An empty map; `folder` is where temporary files are made.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), recent: FxHashMap::default(), runs: Vec::new(), filter: None }
    }

    /// The row of a key.
    pub fn get(&mut self, key: [u8; 16]) -> Result<Option<u32>> {
        if let Some(row) = self.recent.get(&Key(key)) {
            return Ok(Some(*row));
        }
        if !self.filter.as_ref().is_some_and(|filter| filter.may_hold(key)) {
            return Ok(None);
        }
        for run in self.runs.iter_mut().rev() {
            if let Some(row) = run.get(key)? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Gives a key a row: the one that it has, if it has one.
    pub fn insert(&mut self, key: [u8; 16], row: u32) -> Result<()> {
        self.recent.insert(Key(key), row);
        if self.recent.len() < RECENT { Ok(()) } else { self.spill() }
    }

    /// Moves what is in memory to a run.
    fn spill(&mut self) -> Result<()> {
        let mut entries: Vec<Entry> = self.recent.drain().map(|(key, row)| Entry::new(key.0, row)).collect();
        entries.sort_unstable_by_key(|entry| entry.key);
        let filter = self.filter.get_or_insert_with(Filter::default);
        let mut run = RunWriter::new(&self.folder)?;
        for entry in &entries {
            filter.add(entry.key);
            run.push(entry)?;
        }
        let mut last = run.finish()?;
        while let Some(before) = self.runs.pop_if(|before| before.len() <= 2 * last.len()) {
            last = Run::merged(before, last, &self.folder)?;
        }
        self.runs.push(last);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn key(i: u32) -> [u8; 16] {
        *blake3::hash(&i.to_le_bytes()).as_bytes().first_chunk().unwrap()
    }

    #[test]
    fn it_is_a_map_in_memory_and_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = Rows::new(folder.path());
        let mut known: HashMap<[u8; 16], u32> = HashMap::new();
        // Keys come in twice, some soon and some late; each keeps its row.
        for i in 0..4 * RECENT as u32 {
            let key = key(if i % 3 == 0 { i / 7 } else { i });
            let found = rows.get(key).unwrap();
            assert_eq!(found, known.get(&key).copied());
            let row = found.unwrap_or(i);
            rows.insert(key, row).unwrap();
            known.insert(key, row);
        }
        assert!(!rows.runs.is_empty() && rows.recent.len() < RECENT);
        assert!(rows.runs.windows(2).all(|pair| pair[0].len() > 2 * pair[1].len()));
        assert!(known.iter().all(|(key, row)| rows.get(*key).unwrap() == Some(*row)));
        assert!((0..1000).all(|i| rows.get(key(u32::MAX - i)).unwrap().is_none()));
        // The files have no names.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let mut rows = Rows::new(Path::new("/no/such/folder"));
        let done = (0..RECENT as u32).try_for_each(|i| rows.insert(key(i), i));
        assert!(done.unwrap_err().to_string().contains("/no/such/folder"));
    }
}
