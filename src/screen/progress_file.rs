//! Where a screen stands, on disk: one that was stopped goes on from there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::candidates::{Candidates, Hit, Pending};
use super::search::Screening;
use crate::error::{Error, Result};
use crate::files::atomic::write_file;
use crate::files::folder_lock::make_and_lock;

/// A folder with one file per tile of targets.
pub struct ProgressFile {
    folder: PathBuf,
    /// Digest of all that the result depends on.
    key: [u8; 32],
    k: usize,
    keep: bool,
    /// Held for the lock on the folder: one process at a time writes the table.
    _lock: Option<File>,
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
    /// [`Error::Busy`] while another process writes the table; [`Error::Io`].
    pub fn beside(out: &Path, screening: &Screening<'_>) -> Result<Self> {
        Self::with_key(out, key_of(screening), screening.top_k)
    }

    fn with_key(out: &Path, key: [u8; 32], k: usize) -> Result<Self> {
        let mut name = out.as_os_str().to_owned();
        name.push(".screening");
        let folder = PathBuf::from(name);
        let lock = make_and_lock(&folder).map_err(|error| match error {
            Error::Busy { .. } => Error::Busy { path: out.to_path_buf() },
            other => other,
        })?;
        Ok(Self { folder, key, k, keep: false, _lock: lock })
    }

    fn path(&self, tile: usize) -> PathBuf {
        self.folder.join(format!("tile-{tile:06}"))
    }

    /// Where a tile stands; `None` when nothing of this screen was written, or not whole.
    pub(super) fn read(&self, tile: usize) -> Result<Option<Stand>> {
        let path = self.path(tile);
        match fs::read(&path) {
            Ok(bytes) => Ok(self.parse(&bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", path)(e)),
        }
    }

    fn parse(&self, bytes: &[u8]) -> Option<Stand> {
        let (content, digest) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
        let rest = content.strip_prefix(&self.key)?;
        if blake3::hash(content).as_bytes() != digest {
            return None;
        }
        let mut words = Words(rest);
        let (next_row, n) = (words.number()?, words.number()?);
        let mut candidates = Vec::new();
        for _ in 0..n {
            let floor = f64::from_bits(words.number()?);
            let (n_pending, n_settled) = (words.number()?, words.number()?);
            let mut one = Candidates::new(self.k, floor);
            one.pending = words.array::<Pending>(n_pending)?;
            one.settled = words.array::<Hit>(n_settled)?;
            candidates.push(one);
        }
        Some(Stand { next_row: next_row as usize, candidates })
    }

    /// Writes down where a tile stands.
    pub(super) fn write(&mut self, tile: usize, next_row: usize, candidates: &[Candidates]) -> Result<()> {
        let mut bytes = self.key.to_vec();
        let number = |bytes: &mut Vec<u8>, x: u64| bytes.extend(x.to_le_bytes());
        number(&mut bytes, next_row as u64);
        number(&mut bytes, candidates.len() as u64);
        for one in candidates {
            number(&mut bytes, one.floor.to_bits());
            number(&mut bytes, one.pending.len() as u64);
            number(&mut bytes, one.settled.len() as u64);
            bytes.extend_from_slice(bytemuck::cast_slice(&one.pending));
            bytes.extend_from_slice(bytemuck::cast_slice(&one.settled));
        }
        let digest = *blake3::hash(&bytes).as_bytes();
        bytes.extend(digest);
        self.keep = true;
        write_file(self.path(tile), &bytes)
    }

    /// The table is written: nothing is left to go on with.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<()> {
        self.keep = true;
        fs::remove_dir_all(&self.folder).map_err(Error::io("remove", &self.folder))
    }
}

impl Drop for ProgressFile {
    /// A folder without a file is of no use.
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

/// Digest of all that the candidates of a screen depend on.
fn key_of(screening: &Screening<'_>) -> [u8; 32] {
    // Not where the folded library is kept: candidates hold for any.
    let Screening { model, targets, library, targets_side, label, top_k, min_score, excluded, folded: _ } = screening;
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: String| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    add(env!("CARGO_PKG_VERSION").to_owned());
    add(format!("{targets_side:?} {label} {top_k} {:?}", min_score.map(f64::to_bits)));
    for member in &model.members {
        add(format!("{:?} {:?}", member.network.config, member.label_scale.to_bits()));
        add(blake3::hash(bytemuck::cast_slice(&member.parameters)).to_string());
        for scale in [&member.scale.rna, &member.scale.partner] {
            add(blake3::hash(bytemuck::cast_slice(&scale.mean)).to_string());
            add(blake3::hash(bytemuck::cast_slice(&scale.inverse_sd)).to_string());
        }
    }
    for store in targets.stores().iter().chain(library.stores()) {
        // The checksums of the parts stand for the vectors, the table of records for the ids.
        add(store.content_digest().to_owned());
    }
    let mut excluded: Vec<(u32, u32)> = excluded.iter().copied().collect();
    excluded.sort_unstable();
    add(format!("{excluded:?}"));
    *hasher.finalize().as_bytes()
}

/// What is left to read.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn number(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*word))
    }
    fn array<T: bytemuck::Pod>(&mut self, n: u64) -> Option<Vec<T>> {
        let len = usize::try_from(n).ok()?.checked_mul(size_of::<T>())?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytemuck::pod_collect_to_vec(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_is_read_back_and_a_damaged_or_foreign_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("hits.tsv");
        let mut one = Candidates::new(3, 0.25);
        one.pending.push(Pending { row: 7, low: 0.5, high: 0.75 });
        let hit = Hit { score: 0.5, logit: 0.0, spread: 0.0, gate_mean: 0.5, value: 0.0, record: 3, padding: 0 };
        one.settled.push(hit);
        let all = vec![one, Candidates::new(3, f64::NEG_INFINITY)];
        let mut file = ProgressFile::with_key(&out, [1; 32], 3).unwrap();
        assert!(file.read(0).unwrap().is_none());
        file.write(0, 4096, &all).unwrap();
        let stand = file.read(0).unwrap().unwrap();
        assert_eq!((stand.next_row, stand.candidates), (4096, all));
        // One process at a time.
        assert!(matches!(ProgressFile::with_key(&out, [2; 32], 3), Err(Error::Busy { .. })));
        drop(file);
        assert!(ProgressFile::with_key(&out, [2; 32], 3).unwrap().read(0).unwrap().is_none());
        let file = ProgressFile::with_key(&out, [1; 32], 3).unwrap();
        let path = file.path(0);
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert!(file.read(0).unwrap().is_none(), "byte {at}");
            fs::write(&path, &bytes[..at]).unwrap();
            assert!(file.read(0).unwrap().is_none(), "{at} bytes");
        }
        file.finish().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_left_where_nothing_was_done() {
        let folder = tempfile::tempdir().unwrap();
        drop(ProgressFile::with_key(&folder.path().join("hits.tsv"), [1; 32], 3).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
