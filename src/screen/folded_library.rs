//! A library folded by one model, kept on disk: embedding stores of the folded rows, one for each member and table.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::folded_model::{FoldedModel, Tables};
use super::library::Library;
use crate::backend::Activation;
use crate::data::{EncoderIdentity, VectorSource};
use crate::embed::Store;
use crate::embed::store::{DigestOf, Dtype, Flags, Layout, NewRecord, Status, StoreOptions, StoreWriter};
use crate::error::{Error, Result};
use crate::files::OutputFolder;
use crate::models::fusion::fold::{Features, Reach};
use crate::ops::pair_score::PairScore;
use crate::progress::{Progress, check_interrupt};

/// Rows whose largest sizes are kept together.
const BLOCK: usize = 1024;

/// What a store of folded rows says of its origin.
#[derive(Debug, Serialize, Deserialize)]
struct Origin {
    /// Digest of the vectors and ids that were folded.
    library: String,
    /// Sizes of the rows of each block, `[blocks][members]`.
    reach: Vec<Vec<Reach>>,
}

/// Rows of one store of the library, folded.
struct Folded {
    /// Row of the library that the first one is of.
    first_row: usize,
    n_rows: usize,
    /// For each member the tables of the form.
    stores: Vec<Store>,
    reach: Vec<Vec<Reach>>,
}

/// A folded library, memory-mapped.
pub struct FoldedLibrary {
    parts: Vec<Folded>,
}

impl FoldedLibrary {
    /// Opens what an earlier run left in `folder` for the same model and library, and makes what is missing of these `rows`.
    ///
    /// # Errors
    /// What the device reports; a number that f16 does not hold; [`Error::Io`]; [`Error::Interrupted`].
    pub(super) fn open<B: PairScore + Sync>(
        folder: &Path,
        dtype: Dtype,
        model: &FoldedModel<'_, B>,
        library: &Library,
        rows: &Range<usize>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut first_row = 0;
        let mut parts = Vec::new();
        for store in library.stores() {
            let whole = first_row..first_row + store.n_rows();
            let wanted = rows.start.max(whole.start)..rows.end.min(whole.end);
            first_row = whole.end;
            if wanted.is_empty() {
                continue;
            }
            let wanted = wanted.start - whole.start..wanted.end - whole.start;
            let fold = |rows: Range<usize>| Fold { folder, dtype, model, source: store, first_row: whole.start, rows };
            // What a whole screen has left serves a shard too.
            let part = match fold(0..store.n_rows()).open() {
                Some(part) => part,
                None => fold(wanted).open_or_make(progress)?,
            };
            parts.push(part);
        }
        Ok(Self { parts })
    }

    /// Some rows of every member and table, padded with zeros to `row`; `A` is the type that they lie in.
    pub(super) fn tables<A: Activation>(&self, rows: &Range<usize>, row: usize) -> Tables<A> {
        let n_stores = self.parts[0].stores.len();
        let mut values = vec![A::default(); n_stores * rows.len() * row];
        for (table, out) in values.chunks_exact_mut((rows.len() * row).max(1)).enumerate() {
            for (at, out) in rows.clone().zip(out.chunks_exact_mut(row)) {
                let part = &self.parts[self.part_of(at)];
                let bytes = part.stores[table].stored_row(at - part.first_row);
                bytemuck::cast_slice_mut::<A, u8>(out)[..bytes.len()].copy_from_slice(bytes);
            }
        }
        // What has been copied need not stay in memory.
        self.parts.iter().flat_map(|part| &part.stores).for_each(Store::release_vectors);
        Tables { rows: values, reach: self.reach(rows) }
    }

    /// The sizes of some rows, or a little more.
    fn reach(&self, rows: &Range<usize>) -> Vec<Reach> {
        let mut largest = vec![Reach::default(); self.parts[0].reach.first().map_or(0, Vec::len)];
        for part in &self.parts[self.part_of(rows.start)..=self.part_of(rows.end.max(rows.start + 1) - 1)] {
            let within = rows.start.max(part.first_row)..rows.end.min(part.first_row + part.n_rows);
            let blocks = (within.start - part.first_row) / BLOCK..(within.end - part.first_row).div_ceil(BLOCK);
            for reach in &part.reach[blocks] {
                let sizes = largest.as_flattened_mut().iter_mut().zip(reach.as_flattened());
                sizes.for_each(|(most, size)| *most = most.max(*size));
            }
        }
        largest
    }

    fn part_of(&self, row: usize) -> usize {
        self.parts.partition_point(|part| part.first_row + part.n_rows <= row).min(self.parts.len() - 1)
    }
}

fn name(member: usize, table: usize) -> String {
    format!("member-{member}-table-{table}")
}

/// Some rows of a store to be folded, and where they are kept.
struct Fold<'a, B: PairScore> {
    folder: &'a Path,
    dtype: Dtype,
    model: &'a FoldedModel<'a, B>,
    source: &'a Arc<Store>,
    /// Row of the library that the store's first one is.
    first_row: usize,
    /// Rows of the store.
    rows: Range<usize>,
}

impl<B: PairScore + Sync> Fold<'_, B> {
    /// Digest of all that the folded rows depend on.
    fn key(&self) -> String {
        let Self { source, rows, .. } = self;
        let mut text = format!("folded 1 {} {} {}", self.model.digest(), source.content_digest(), self.dtype.name());
        if *rows != (0..source.n_rows()) {
            let _ = write!(text, " rows {rows:?}");
        }
        blake3::hash(text.as_bytes()).to_string()
    }

    /// Its folder by its key.
    fn place(&self, key: &str) -> PathBuf {
        self.folder.join(&key[..32])
    }

    fn open(&self) -> Option<Folded> {
        let (key, model) = (self.key(), self.model);
        let place = self.place(&key);
        let (members, tables) = (model.network.members.len(), model.network.form.n_tables());
        let open = |i: usize| {
            let path = place.join(name(i / tables, i % tables));
            OutputFolder::settle(&path).ok()?;
            let store = Store::open(path).ok()?;
            let fits = store.encoder().digest == key && store.n_rows() == self.rows.len();
            (fits && store.dim() == model.network.width).then_some(store)
        };
        let stores = (0..members * tables).map(open).collect::<Option<Vec<Store>>>()?;
        let origin: Origin = serde_json::from_value(stores[0].detail().origin.clone()).ok()?;
        let whole = origin.reach.len() == self.rows.len().div_ceil(BLOCK);
        let sound = whole && origin.reach.iter().all(|reach| reach.len() == members);
        let first_row = self.first_row + self.rows.start;
        sound.then_some(Folded { first_row, n_rows: self.rows.len(), stores, reach: origin.reach })
    }

    fn open_or_make(&self, progress: &dyn Progress) -> Result<Folded> {
        if let Some(found) = self.open() {
            return Ok(found);
        }
        self.make(progress)?;
        self.open().ok_or_else(|| {
            Error::data(
                format!("{}: the folded library cannot be read back", self.place(&self.key()).display()),
                "is another process writing there? Remove the folder and try again",
            )
        })
    }

    fn make(&self, progress: &dyn Progress) -> Result<()> {
        let Self { dtype, model, source, .. } = *self;
        let key = self.key();
        let place = self.place(&key);
        let library = Library::new(&[Arc::clone(source)])?;
        let (n_rows, tables) = (self.rows.len(), model.network.form.n_tables());
        let starts = self.rows.clone().step_by(BLOCK);
        let blocks: Vec<Range<usize>> = starts.map(|start| start..(start + BLOCK).min(self.rows.end)).collect();
        let mut reach = Vec::with_capacity(blocks.len());
        let mut writers = Vec::new();
        for i in 0..model.n_tables() {
            let options = StoreOptions {
                encoder: EncoderIdentity {
                    name: format!("folded {}", source.encoder().name),
                    digest: key.clone(),
                    pooling: name(i / tables, i % tables),
                },
                modality: source.detail().modality.clone(),
                layout: Layout::Pooled,
                dtype,
                dim: model.network.width,
                digest_of: DigestOf::Vector,
                origin: serde_json::Value::Null,
                force: true,
            };
            writers.push(StoreWriter::create(place.join(name(i / tables, i % tables)), options)?);
        }
        progress.begin("folding", "vectors", Some(n_rows as u64));
        for wave in blocks.chunks(4 * model.calls_together()) {
            let fold = |rows: &Range<usize>| {
                check_interrupt()?;
                model.features(0, &library.vectors(rows.clone())?)
            };
            let folded: Vec<Vec<Features>> = wave.par_iter().with_max_len(1).map(fold).collect::<Result<_>>()?;
            for (rows, features) in wave.iter().zip(folded) {
                for (i, writer) in writers.iter_mut().enumerate() {
                    let (features, table) = (&features[i / tables], i % tables);
                    for (at, row) in rows.clone().enumerate() {
                        let vector: Vec<f32> = features.row(table, at).iter().map(|&x| x as f32).collect();
                        push(writer, &library, row, &vector)?;
                    }
                }
                reach.push(match dtype {
                    Dtype::F16 => model.tables::<f16>(rows.len(), &features).reach,
                    Dtype::F32 => model.tables::<f32>(rows.len(), &features).reach,
                });
                progress.advance(rows.len() as u64);
            }
        }
        progress.finish();
        let origin = Origin { library: source.content_digest().to_owned(), reach };
        let origin = serde_json::to_value(origin).map_err(|e| Error::format(&place, e.to_string(), "report this"))?;
        for mut writer in writers {
            writer.set_origin(origin.clone());
            writer.finish()?;
        }
        Ok(())
    }
}

/// A folded row under the id of the first record that has it.
fn push(writer: &mut StoreWriter, library: &Library, row: usize, vector: &[f32]) -> Result<()> {
    let id =
        library.records_of(row).next().map_or_else(|| format!("row {row}"), |record| library.id(record).to_owned());
    // Rows of equal numbers stay rows of their own.
    let digest = *blake3::hash(&(row as u64).to_le_bytes()).as_bytes();
    let digest = digest.first_chunk().copied().unwrap_or_default();
    let record = NewRecord { id: &id, line: 0, digest, length: 0, unknown: 0, flags: Flags::default() };
    match writer.push(&record, vector)? {
        Status::Ok => Ok(()),
        status => Err(Error::data(
            format!("the folded row of '{id}' cannot be stored: {}", status.name()),
            "keep the folded library in f32: --folded-dtype f32",
        )),
    }
}
