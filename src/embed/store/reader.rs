//! Reading a store: vectors and the table of records mapped into memory.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rayon::prelude::*;

use super::ids::NO_ROW;
use super::part::{PooledPart, ResiduePart, StoredPart};
use super::record::{Status, StoredRecord};
use super::table::{RecordTable, TableReader};
use super::{Detail, KIND, Layout, Part};
use crate::data::{EncoderIdentity, VectorSource};
use crate::error::{Error, Result};
use crate::files::Manifest;
use crate::files::digest::digest_file;
use crate::progress::check_interrupt;

/// An embedding store, open for reading: one vector per sequence unless said otherwise. Vectors stay on disk; of a large
/// store the table of records is in temporary files, about 40 bytes and the id per record.
pub struct Store<P = PooledPart> {
    path: PathBuf,
    detail: Detail,
    content: String,
    table: RecordTable,
    parts: Vec<P>,
    /// First row of each part.
    starts: Vec<usize>,
    /// Where each row lies in the parts, unless they hold the rows in their order.
    places: Option<Vec<u32>>,
    by_id: OnceLock<Vec<u32>>,
}

/// A store of one vector for each residue of a sequence, or each atom of a molecule.
pub type ResidueStore = Store<ResiduePart>;

impl Store {
    /// Opens a store: checks the manifest, the sizes of all files, the headers of all parts, and every byte of the
    /// table of records. The bytes of the vectors are checked by `verify` alone.
    ///
    /// # Errors
    /// [`Error::Format`] for a folder that is no store of pooled vectors, or a damaged one; [`Error::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_parts(path.as_ref())
    }

    /// What the manifest of the store at `path` says, whatever its layout, without opening its parts.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn describe(path: &Path) -> Result<Detail> {
        read_detail(path, &Manifest::read_kind(path, KIND)?)
    }

    /// True when the store at `path` can be opened as one of this layout.
    #[must_use]
    pub fn is_sound(path: &Path, layout: Layout) -> bool {
        match layout {
            Layout::Pooled => Self::open(path).is_ok(),
            Layout::PerResidue => ResidueStore::open_residues(path).is_ok(),
        }
    }

    /// Gives back the memory of the vectors that have been looked at.
    pub fn release_vectors(&self) {
        self.parts.iter().for_each(PooledPart::release);
    }

    /// The numbers of a vector as they are stored, `row < n_rows()`.
    pub(crate) fn stored_row(&self, row: usize) -> &[u8] {
        let (part, row) = self.locate(row);
        part.row_bytes(row)
    }

    /// Looks at every number.
    ///
    /// # Errors
    /// [`Error::Data`] naming a record whose vector holds NaN or an infinity; [`Error::Interrupted`].
    pub fn check_finite(&self) -> Result<()> {
        let bad = (0..self.detail.vectors).into_par_iter().try_fold(
            || None,
            |found: Option<usize>, row| {
                if row % 4096 == 0 {
                    check_interrupt()?;
                }
                let mut vector = vec![0.0; self.detail.dim];
                self.copy_row(row, &mut vector);
                Ok(found.or_else(|| vector.iter().any(|x| !x.is_finite()).then_some(row)))
            },
        );
        let bad = bad.try_reduce(|| None, |a, b| Ok(a.into_iter().chain(b).min()));
        let Some(row) = bad? else { return Ok(()) };
        let id = self.records().find(|record| record.row == Some(row)).map_or("", |record| record.id);
        Err(Error::data(
            format!("{}: the vector of '{id}' (row {row}) holds NaN or an infinity", self.path.display()),
            "make the store again, or leave this record out",
        ))
    }
}

impl ResidueStore {
    /// The same as [`Store::open`] for a store per residue.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn open_residues(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_parts(path.as_ref())
    }

    /// Number of rows, that is distinct sequences.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.detail.vectors
    }

    /// Number of states of a row, `row < n_rows()`.
    #[must_use]
    pub fn n_states(&self, row: usize) -> usize {
        let (part, row) = self.locate(row);
        part.n_states(row)
    }

    /// Copies the states of a row into `out`, `[n_states(row), dim]`.
    pub fn copy_states(&self, row: usize, out: &mut [f32]) {
        let (part, row) = self.locate(row);
        part.copy_row(row, out);
    }

    /// The states of a row as they are stored.
    pub(crate) fn stored_states(&self, row: usize) -> &[u8] {
        let (part, row) = self.locate(row);
        part.row_bytes(row)
    }
}

impl<P: StoredPart> Store<P> {
    fn open_parts(path: &Path) -> Result<Self> {
        let path = path.to_path_buf();
        let manifest = Manifest::read_kind(&path, KIND)?;
        let detail = read_detail(&path, &manifest)?;
        if detail.layout != P::LAYOUT.name() {
            return Err(Error::format(
                path,
                format!("this store is {}, not {}", detail.layout, P::LAYOUT.name()),
                "name a store of one vector per sequence ('biollmnet embed --pooling mean' makes one)",
            ));
        }
        for part in detail.parts.iter().chain(&detail.ids) {
            check_size(&path, &manifest, part)?;
        }
        // A merged store may have more: vectors of sequences that several shards had.
        let rows = detail.parts.iter().map(|part| part.rows).sum();
        let mut table = TableReader::default();
        for part in &detail.ids {
            let file = path.join(&part.path);
            check_digest(&file, manifest.file(&part.path).map_or("", |entry| &entry.blake3))?;
            table.append(&file, part.rows, rows)?;
        }
        let mut starts = Vec::with_capacity(detail.parts.len());
        let mut parts = Vec::with_capacity(detail.parts.len());
        let mut row = 0;
        for part in &detail.parts {
            starts.push(row);
            row += part.rows;
            parts.push(P::open(&path.join(&part.path), part.rows, detail.dim, detail.dtype)?);
        }
        let (table, places) = table.finish(rows)?;
        let n_rows = places.as_ref().map_or(rows, Vec::len);
        if n_rows != detail.vectors || table.len() != detail.records {
            return Err(damaged(&path, "the parts do not add up to the manifest's totals"));
        }
        let content = content_digest(&manifest);
        Ok(Self { content, path, detail, table, parts, starts, places, by_id: OnceLock::new() })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// What the manifest says.
    #[must_use]
    pub fn detail(&self) -> &Detail {
        &self.detail
    }
    /// Digest of the checksums of all files: stores of the same vectors and records have the same one.
    #[must_use]
    pub fn content_digest(&self) -> &str {
        &self.content
    }
    /// What made the vectors.
    #[must_use]
    pub fn encoder(&self) -> &EncoderIdentity {
        &self.detail.encoder
    }
    /// Number of input records, refused ones included.
    #[must_use]
    pub fn n_records(&self) -> usize {
        self.table.len()
    }

    /// Record `index` in input order, `index < n_records()`.
    #[must_use]
    pub fn record(&self, index: usize) -> StoredRecord<'_> {
        self.table.record(index)
    }

    /// All records in input order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = StoredRecord<'_>> {
        (0..self.n_records()).map(|i| self.record(i))
    }

    /// Index of the record with this id: the accepted one, or the first refused one where none was accepted.
    #[must_use]
    pub fn lookup(&self, id: &str) -> Option<usize> {
        let order = self.by_id.get_or_init(|| self.sorted_by_id());
        let at = order.partition_point(|&i| self.id(i as usize) < id);
        order.get(at).map(|&i| i as usize).filter(|&i| self.id(i) == id)
    }

    fn locate(&self, row: usize) -> (&P, usize) {
        let row = self.places.as_ref().map_or(row, |places| places[row] as usize);
        let part = self.starts.partition_point(|&start| start <= row) - 1;
        (&self.parts[part], row - self.starts[part])
    }

    /// Id of a record, `index < n_records()`.
    #[must_use]
    pub fn id(&self, index: usize) -> &str {
        self.table.id(index)
    }

    /// Gives back the memory of the records that have been looked at.
    pub fn release_records(&self) {
        self.table.release();
    }

    fn sorted_by_id(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.n_records() as u32).collect();
        let key = |i: u32| (self.id(i as usize), self.table.status(i as usize) != Status::Ok, i);
        order.par_sort_unstable_by(|&a, &b| key(a).cmp(&key(b)));
        order
    }
}

impl VectorSource for Store {
    fn dim(&self) -> usize {
        self.detail.dim
    }
    fn n_rows(&self) -> usize {
        self.detail.vectors
    }
    fn copy_row(&self, row: usize, out: &mut [f32]) {
        let (part, row) = self.locate(row);
        part.copy_row(row, out);
    }
    fn release(&self) {
        self.release_vectors();
    }
}

impl<P> std::fmt::Debug for Store<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).field("detail", &self.detail).finish_non_exhaustive()
    }
}

/// Refuses a file of other bytes than were written.
pub(in crate::embed) fn check_digest(path: &Path, blake3: &str) -> Result<()> {
    if digest_file(path)?.1 == blake3 {
        return Ok(());
    }
    Err(damaged(path, "its bytes have changed since it was written"))
}

/// What the manifest of a store, or of a shard of one, says; refused where it names impossible sizes.
pub(in crate::embed) fn read_detail(path: &Path, manifest: &Manifest) -> Result<Detail> {
    let detail: Detail = serde_json::from_value(manifest.detail.clone())
        .map_err(|e| damaged(path, &format!("its manifest cannot be read: {e}")))?;
    if ![Layout::Pooled, Layout::PerResidue].iter().any(|layout| layout.name() == detail.layout) {
        return Err(Error::format(
            path,
            format!("its layout '{}' is not known", detail.layout),
            format!("it was written by {}; use that version", manifest.tool),
        ));
    }
    let enormous = |parts: &[Part]| parts.iter().try_fold(0, |sum: usize, part| sum.checked_add(part.rows)).is_none();
    let narrow = detail.dim == 0 || detail.dim.checked_mul(detail.dtype.size()).is_none();
    if narrow || enormous(&detail.parts) || enormous(&detail.ids) || detail.vectors >= NO_ROW as usize {
        return Err(damaged(path, "its manifest names impossible sizes"));
    }
    Ok(detail)
}

fn content_digest(manifest: &Manifest) -> String {
    let mut hasher = blake3::Hasher::new();
    for file in &manifest.files {
        hasher.update(format!("{} {}\n", file.blake3, file.path).as_bytes());
    }
    hasher.finalize().to_string()
}

fn check_size(folder: &Path, manifest: &Manifest, part: &Part) -> Result<()> {
    let path = folder.join(&part.path);
    let Some(entry) = manifest.file(&part.path) else {
        return Err(damaged(&path, "the manifest has no checksum for it"));
    };
    let bytes = std::fs::metadata(&path).map_err(Error::io("read", &path))?.len();
    if bytes == entry.bytes {
        return Ok(());
    }
    Err(damaged(&path, &format!("{bytes} bytes where {} were written", entry.bytes)))
}

fn damaged(path: &Path, reason: &str) -> Error {
    Error::format(path, reason, "run 'biollmnet verify' on the store, then make it again or restore it from a copy")
}
