//! A map of 16-byte hashes to rows whose memory does not grow with its entries.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::files::pages::{PAGE, Page, Pages};

/// A hash: its bits are as good as random.
pub(super) type Key = [u8; 16];

/// Bytes of an entry: the key, and the row plus one; zeros where there is none.
const ENTRY: usize = 20;
/// Entries of a page.
const ENTRIES: usize = PAGE / ENTRY;
/// Pages at first.
const FIRST: usize = 4;

/// The map: pages of entries, a page for each range of keys. An entry whose page is full is in the next one with room.
/// Memory: that of [`Pages`], and while the map grows once more as much.
pub(super) struct Rows {
    pages: Pages,
    folder: PathBuf,
    len: usize,
}

impl Rows {
    /// An empty map; `folder` is where temporary files are made.
    pub fn new(folder: &Path) -> Result<Self> {
        Ok(Self { pages: Pages::new(FIRST, folder)?, folder: folder.to_path_buf(), len: 0 })
    }

    /// The row of a key.
    pub fn get(&mut self, key: &Key) -> Result<Option<u32>> {
        let mut index = first_page(key, self.pages.len());
        loop {
            let page = self.pages.get(index)?;
            let found = entries(page).find(|entry| entry[..16] == *key || is_free(entry));
            match found {
                Some(entry) if is_free(entry) => return Ok(None),
                Some(entry) => return Ok(Some(row_of(entry))),
                None => index = (index + 1) % self.pages.len(),
            }
        }
    }

    /// Gives a key a row, `row < u32::MAX`; one that it has stays.
    pub fn insert(&mut self, key: Key, row: u32) -> Result<()> {
        // Full pages are seldom up to a load of two thirds.
        if (self.len + 1) * 3 > self.pages.len() * ENTRIES * 2 {
            self.grow()?;
        }
        self.len += usize::from(put(&mut self.pages, &key, row)?);
        Ok(())
    }

    /// Twice the pages. Those of the old ones are read in their order, which is also that of the new ones.
    fn grow(&mut self) -> Result<()> {
        let mut larger = Pages::new(2 * self.pages.len(), &self.folder)?;
        for index in 0..self.pages.len() {
            let page = *self.pages.get(index)?;
            for entry in entries(&page).take_while(|entry| !is_free(entry)) {
                let key = std::array::from_fn(|i| entry[i]);
                put(&mut larger, &key, row_of(entry))?;
            }
        }
        self.pages = larger;
        Ok(())
    }
}

/// The page where a key is looked for first: keys in their order are on pages in their order.
fn first_page(key: &Key, n_pages: usize) -> usize {
    let [a, b, c, d, e, f, g, h, ..] = *key;
    let high = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    ((u128::from(high) * n_pages as u128) >> 64) as usize
}

fn entries(page: &Page) -> impl Iterator<Item = &[u8]> {
    page.chunks_exact(ENTRY)
}

fn is_free(entry: &[u8]) -> bool {
    entry[16..] == [0; 4]
}

fn row_of(entry: &[u8]) -> u32 {
    entry[16..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)).wrapping_sub(1)
}

/// Puts an entry in its place; false where the key is there already.
fn put(pages: &mut Pages, key: &Key, row: u32) -> Result<bool> {
    let mut index = first_page(key, pages.len());
    loop {
        let page = pages.get(index)?;
        let found = entries(page).position(|entry| entry[..16] == *key || is_free(entry));
        let Some(at) = found else {
            index = (index + 1) % pages.len();
            continue;
        };
        if !is_free(&page[at * ENTRY..][..ENTRY]) {
            return Ok(false);
        }
        let entry = &mut pages.get_mut(index)?[at * ENTRY..][..ENTRY];
        entry[..16].copy_from_slice(key);
        entry[16..].copy_from_slice(&(row + 1).to_le_bytes());
        return Ok(true);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Keys that crowd at both ends of the range, and such as are spread.
    fn key(i: u64) -> Key {
        let mut key: Key = *blake3::hash(&i.to_le_bytes()).as_bytes().first_chunk().unwrap();
        match i % 5 {
            0 => key[..4].fill(0),
            1 => key[..4].fill(255),
            _ => {}
        }
        key
    }

    #[test]
    fn it_is_a_map() {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = Rows::new(folder.path()).unwrap();
        let mut known: HashMap<Key, u32> = HashMap::new();
        for i in 0..30_000u64 {
            let key = key(i * i % 20_011);
            assert_eq!(rows.get(&key).unwrap(), known.get(&key).copied());
            let row = i as u32;
            rows.insert(key, row).unwrap();
            known.entry(key).or_insert(row);
            assert_eq!(rows.get(&key).unwrap(), known.get(&key).copied());
        }
        assert_eq!(rows.len, known.len());
        assert!(known.iter().all(|(key, row)| rows.get(key).unwrap() == Some(*row)));
    }

    #[test]
    fn it_outgrows_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = Rows::new(folder.path()).unwrap();
        let key = |i: u32| *blake3::hash(&i.to_le_bytes()).as_bytes().first_chunk().unwrap();
        let n = 400_000;
        for i in 0..n {
            rows.insert(key(i), i).unwrap();
        }
        assert!(rows.pages.len() * PAGE > 10 << 20);
        assert!((0..n).all(|i| rows.get(&key(i)).unwrap() == Some(i)));
        assert!((n..n + 1000).all(|i| rows.get(&key(i)).unwrap().is_none()));
    }
}
