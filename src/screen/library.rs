//! All records of one or more stores, vector by vector. Ids stay where the stores have them.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::data::{EncoderIdentity, Entities, VectorSource};
use crate::embed::Store;
use crate::error::{Error, Result};
use crate::files::column::{Column, ColumnWriter};
use crate::progress::check_interrupt;

/// No record.
const NONE: u32 = u32::MAX;
/// Records between two releases of the memory that they take.
const RECORDS: usize = 1 << 16;
/// The same for records that lie far apart: the system maps 64 KiB around each, in each of six columns.
const SCATTERED: usize = 64;

/// All accepted records of some stores. Memory: 8 bytes per record that shares its vector with an earlier one; what the stores
/// hold of the others is on disk.
pub struct Library {
    vectors: Arc<Concatenated>,
    /// Number of the first record of each store, and of all.
    record_starts: Vec<usize>,
    /// The first record that has each row.
    first: Column<u32>,
    /// Row and record of the further ones, in order.
    further: Vec<(u32, u32)>,
    /// Accepted records.
    n_accepted: usize,
    /// Records that the stores had refused.
    pub refused: usize,
    /// Records that repeat an id and a sequence of an earlier store.
    pub repeated: usize,
}

/// The vectors of several stores, one after the other.
struct Concatenated {
    stores: Vec<Arc<Store>>,
    /// First row of each store.
    starts: Vec<usize>,
    rows: usize,
}

impl VectorSource for Concatenated {
    fn dim(&self) -> usize {
        self.stores.first().map_or(0, |store| store.dim())
    }
    fn n_rows(&self) -> usize {
        self.rows
    }
    fn copy_row(&self, row: usize, out: &mut [f32]) {
        let store = self.starts.partition_point(|&start| start <= row) - 1;
        self.stores[store].copy_row(row - self.starts[store], out);
    }
    fn release(&self) {
        self.stores.iter().for_each(|store| store.release_vectors());
    }
}

impl Library {
    /// The accepted records of `stores`, all of them by one encoder.
    ///
    /// # Errors
    /// [`Error::Usage`] when the stores are of different encoders; [`Error::Data`] when no record was accepted, there are
    /// more than 32 bits count, or one id means different sequences in two stores.
    pub fn new(stores: &[Arc<Store>]) -> Result<Self> {
        let Some(head) = stores.first() else {
            return Err(Error::usage("no store was named", "name at least one"));
        };
        let (mut starts, mut record_starts) = (Vec::new(), vec![0]);
        let (mut rows, mut records) = (0, 0);
        for store in stores {
            if store.encoder() != head.encoder() || store.dim() != head.dim() {
                return Err(Error::usage(
                    format!(
                        "{} holds vectors of '{}', {} of '{}'",
                        head.path().display(),
                        head.encoder().name,
                        store.path().display(),
                        store.encoder().name
                    ),
                    "screen stores of one encoder together",
                ));
            }
            starts.push(rows);
            rows += store.n_rows();
            records += store.n_records();
            record_starts.push(records);
        }
        if records >= NONE as usize {
            return Err(Error::data(
                format!("{records} records are more than the {NONE} that one screen takes"),
                "screen the stores in several runs",
            ));
        }
        let vectors = Arc::new(Concatenated { stores: stores.to_vec(), starts, rows });
        let mut library = Self {
            vectors,
            record_starts,
            first: Vec::new().into(),
            further: Vec::new(),
            n_accepted: 0,
            refused: 0,
            repeated: 0,
        };
        library.link(stores)?;
        if library.n_accepted == 0 {
            return Err(Error::data(
                format!("{}: every record was refused when the store was made", head.path().display()),
                "see rejects.tsv in the store",
            ));
        }
        Ok(library)
    }

    /// Finds the records of each row. Rows are numbered in the order of the records that have them first.
    fn link(&mut self, stores: &[Arc<Store>]) -> Result<()> {
        let mut first = ColumnWriter::default();
        for (i, store) in stores.iter().enumerate() {
            for (index, record) in store.records().enumerate() {
                if index % RECORDS == 0 {
                    check_interrupt()?;
                    store.release_records();
                }
                let Some(row) = record.row else {
                    self.refused += 1;
                    continue;
                };
                let (number, row) = ((self.record_starts[i] + index) as u32, self.vectors.starts[i] + row);
                let repeated = is_repeated(&stores[..i], store, record.id, record.digest)?;
                if row == first.len() {
                    first.push(if repeated { NONE } else { number })?;
                } else if !repeated {
                    self.further.push((row as u32, number));
                }
                self.repeated += usize::from(repeated);
                self.n_accepted += usize::from(!repeated);
            }
        }
        self.further.sort_unstable();
        self.first = first.finish()?;
        Ok(())
    }

    /// Accepted records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n_accepted
    }
    /// False: a library without a record is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n_accepted == 0
    }
    /// Distinct vectors.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.vectors.rows
    }
    /// Width of a vector.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.vectors.dim()
    }
    /// What made the vectors.
    #[must_use]
    pub fn encoder(&self) -> &EncoderIdentity {
        self.vectors.stores[0].encoder()
    }
    /// What the manifests of the stores say of them, for a digest of the whole.
    pub(super) fn stores(&self) -> &[Arc<Store>] {
        &self.vectors.stores
    }

    /// The accepted records that have this vector, in their order.
    pub fn records_of(&self, row: usize) -> impl Iterator<Item = u32> + '_ {
        let first = self.first.get(row).copied().filter(|&record| record != NONE);
        let start = self.further.partition_point(|&(of, _)| (of as usize) < row);
        let further = self.further[start..].iter().take_while(move |(of, _)| *of as usize == row);
        first.into_iter().chain(further.map(|&(_, record)| record))
    }

    /// The accepted records in the order of the stores and of their inputs.
    pub fn records(&self) -> impl Iterator<Item = u32> + '_ {
        let accepted = |number: &u32| {
            let (row, number) = (self.row_of(*number), *number);
            row.is_some_and(|row| self.records_of(row).any(|record| record == number))
        };
        let records = self.record_starts.last().copied().unwrap_or_default();
        (0..records as u32).filter(accepted)
    }

    fn place(&self, record: u32) -> (&Store, usize, usize) {
        let store = self.record_starts.partition_point(|&start| start <= record as usize) - 1;
        (&self.vectors.stores[store], store, record as usize - self.record_starts[store])
    }

    /// The vector of a record; `None` for one that its store had refused.
    fn row_of(&self, record: u32) -> Option<usize> {
        let (store, number, index) = self.place(record);
        store.record(index).row.map(|row| self.vectors.starts[number] + row)
    }

    /// The id of a record.
    #[must_use]
    pub fn id(&self, record: u32) -> &str {
        let (store, _, index) = self.place(record);
        store.id(index)
    }

    /// The accepted record with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<u32> {
        let found = self.vectors.stores.iter().zip(&self.record_starts).find_map(|(store, start)| {
            let index = store.lookup(id)?;
            store.record(index).row.map(|_| start + index)
        });
        found.map(|number| number as u32)
    }

    /// The vectors of some rows, `[n, dim]`.
    ///
    /// # Errors
    /// [`Error::Data`] that names a record whose vector holds NaN or an infinity; [`Error::Interrupted`].
    pub(super) fn vectors(&self, rows: impl ExactSizeIterator<Item = usize>) -> Result<Vec<f32>> {
        check_interrupt()?;
        let d = self.dim();
        let mut vectors = vec![0.0; rows.len() * d];
        for (row, vector) in rows.zip(vectors.chunks_exact_mut(d)) {
            self.vectors.copy_row(row, vector);
            if !vector.iter().all(|x| x.is_finite()) {
                let id = self.records_of(row).next().map_or("", |record| self.id(record));
                return Err(Error::data(
                    format!("the vector of '{id}' (row {row}) holds NaN or an infinity"),
                    "make its store again, or leave this record out",
                ));
            }
        }
        self.release();
        Ok(vectors)
    }

    /// Gives back the memory of what has been looked at.
    pub(super) fn release(&self) {
        self.vectors.release();
        self.stores().iter().for_each(|store| store.release_records());
        self.first.release();
    }

    /// The vectors of some accepted records.
    ///
    /// # Errors
    /// As [`vectors`](Self::vectors).
    pub(super) fn vectors_of(&self, records: &[u32]) -> Result<Vec<f32>> {
        self.vectors(records.iter().map(|&record| self.row_of(record).unwrap_or_default()))
    }

    /// Some records as entities.
    #[must_use]
    pub fn entities(&self, chosen: &[u32]) -> Entities {
        let mut entities = Entities {
            ids: Vec::with_capacity(chosen.len()),
            rows: Vec::with_capacity(chosen.len()),
            group: Vec::with_capacity(chosen.len()),
            length: Vec::with_capacity(chosen.len()),
            digest: Vec::with_capacity(chosen.len()),
            source: Arc::clone(&self.vectors) as Arc<dyn VectorSource>,
            encoder: self.encoder().clone(),
        };
        let mut groups = FxHashMap::default();
        for (i, &number) in chosen.iter().enumerate() {
            if i % SCATTERED == 0 {
                self.stores().iter().for_each(|store| store.release_records());
            }
            let (store, at, index) = self.place(number);
            let record = store.record(index);
            let row = self.vectors.starts[at] + record.row.unwrap_or_default();
            let next = groups.len() as u32;
            entities.ids.push(record.id.to_owned());
            entities.rows.push(row);
            entities.group.push(*groups.entry(row).or_insert(next));
            entities.length.push(record.length);
            entities.digest.push(record.digest_hex());
        }
        entities
    }
}

/// Whether an earlier store has this record; within one store ids are distinct.
fn is_repeated(earlier: &[Arc<Store>], store: &Store, id: &str, digest: [u8; 16]) -> Result<bool> {
    let mut found = earlier.iter().filter_map(|earlier| Some(earlier.record(earlier.lookup(id)?)));
    let Some(known) = found.find(|record| record.row.is_some()) else { return Ok(false) };
    if known.digest == digest {
        return Ok(true);
    }
    Err(Error::data(
        format!("{}: '{id}' has another sequence in an earlier store", store.path().display()),
        "rename it in one of them, or screen the stores one by one",
    ))
}
