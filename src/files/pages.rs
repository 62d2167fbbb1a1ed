//! Pages of a table that may outgrow the memory set aside for it: some in memory, the rest in a temporary file that has
//! no name.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Bytes of a page.
pub const PAGE: usize = 1024;
/// Pages of a table that stays in memory as a whole: 8 MiB.
const IN_MEMORY: usize = 8 << 10;
/// Pages that are kept of a larger one: 4 MiB.
const KEPT: usize = 4 << 10;

/// One page.
pub type Page = [u8; PAGE];

/// Numbered pages, zeros at first.
///
/// Memory: at most 8 MiB, whatever their number. A page that is looked at again soon is still there; what has been changed
/// is written when another page takes its place.
pub struct Pages {
    n: usize,
    /// Where temporary files are made.
    folder: PathBuf,
    /// All pages, or those that are kept of a file.
    memory: Vec<Page>,
    file: Option<Kept>,
}

/// The pages of a file that are in memory: page `p` in place `p % KEPT`.
struct Kept {
    file: File,
    /// What is in each place.
    pages: Vec<Option<usize>>,
    changed: Vec<bool>,
}

impl Pages {
    /// `n` pages; where they are many, in a temporary file in `folder`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn new(n: usize, folder: &Path) -> Result<Self> {
        let in_memory = n <= IN_MEMORY;
        let file = if in_memory {
            None
        } else {
            let file = tempfile::tempfile_in(folder).map_err(Error::io("create a temporary file in", folder))?;
            file.set_len((n * PAGE) as u64).map_err(Error::io("write a temporary file in", folder))?;
            Some(Kept { file, pages: vec![None; KEPT], changed: vec![false; KEPT] })
        };
        let memory = vec![[0; PAGE]; if in_memory { n } else { KEPT }];
        Ok(Self { n, folder: folder.to_path_buf(), memory, file })
    }

    /// Their number.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Page `index < len()`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn get(&mut self, index: usize) -> Result<&Page> {
        let place = self.bring(index)?;
        Ok(&self.memory[place])
    }

    /// Page `index < len()`, to be changed.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn get_mut(&mut self, index: usize) -> Result<&mut Page> {
        let place = self.bring(index)?;
        if let Some(kept) = &mut self.file {
            kept.changed[place] = true;
        }
        Ok(&mut self.memory[place])
    }

    /// The place in memory of page `index`, where it is brought.
    fn bring(&mut self, index: usize) -> Result<usize> {
        let Some(kept) = &mut self.file else { return Ok(index) };
        let place = index % KEPT;
        if kept.pages[place] == Some(index) {
            return Ok(place);
        }
        let page = &mut self.memory[place];
        let mut exchange = || {
            if let Some(old) = kept.pages[place].filter(|_| kept.changed[place]) {
                kept.file.seek(SeekFrom::Start((old * PAGE) as u64))?;
                kept.file.write_all(page)?;
            }
            kept.pages[place] = None;
            kept.changed[place] = false;
            kept.file.seek(SeekFrom::Start((index * PAGE) as u64))?;
            kept.file.read_exact(page)
        };
        exchange().map_err(Error::io("use a temporary file in", &self.folder))?;
        kept.pages[place] = Some(index);
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_beyond_memory_come_back() {
        let folder = tempfile::tempdir().unwrap();
        for n in [10, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY] {
            let mut pages = Pages::new(n, folder.path()).unwrap();
            assert_eq!(pages.len(), n);
            let order = |i: usize| i * 7919 % n;
            for i in 0..n {
                assert_eq!(pages.get(order(i)).unwrap(), &[0; PAGE]);
                let page = pages.get_mut(order(i)).unwrap();
                page[..8].copy_from_slice(&(order(i) as u64).to_le_bytes());
                page[PAGE - 1] = 1;
            }
            let here = (0..n).filter(|&i| {
                let page = pages.get(i).unwrap();
                page[..8] == (i as u64).to_le_bytes() && page[PAGE - 1] == 1
            });
            assert_eq!(here.count(), n);
            assert!(pages.memory.len() <= IN_MEMORY);
        }
        // The file has no name.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Pages::new(IN_MEMORY + 1, Path::new("/no/such/folder")).err().unwrap();
        assert!(error.to_string().contains("/no/such/folder"), "{error}");
    }
}
