//! A library folded by one model, kept on disk: embedding stores of the folded rows, one for each member and table.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::folded_model::FoldedModel;
use super::library::Library;
use crate::backend::Activation;
use crate::data::{EncoderIdentity, VectorSource};
use crate::embed::Store;
use crate::embed::store::{DigestOf, Dtype, Flags, Layout, NewRecord, Status, StoreOptions, StoreWriter};
use crate::error::{Error, Result};
use crate::ops::linear::Linear;
use crate::ops::pair_score::PairScore;
use crate::progress::{Progress, check_interrupt};

/// Rows whose largest norm is kept as one number.
const BLOCK: usize = 1024;

/// What a store of folded rows says of its origin.
#[derive(Debug, Serialize, Deserialize)]
struct Origin {
    /// Digest of the vectors and ids that were folded.
    library: String,
    /// Largest norm of the vectors of each block of rows as each member reads them, `[blocks][members]`.
    norms: Vec<Vec<f64>>,
}

/// One store of the library, folded.
struct Folded {
    /// Row of the library that its first one is of.
    first_row: usize,
    n_rows: usize,
    /// For each member the tables of the form.
    stores: Vec<Store>,
    norms: Vec<Vec<f64>>,
}

/// A folded library, memory-mapped.
pub struct FoldedLibrary {
    parts: Vec<Folded>,
    dtype: Dtype,
}

impl FoldedLibrary {
    /// Opens what an earlier run left in `folder` for the same model and library, and makes what is missing.
    ///
    /// # Errors
    /// What the device reports; a number that f16 does not hold; [`Error::Io`]; [`Error::Interrupted`].
    pub(super) fn open<B: PairScore + Linear + Sync>(
        folder: &Path,
        dtype: Dtype,
        model: &FoldedModel<'_, B>,
        library: &Library,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut first_row = 0;
        let mut parts = Vec::new();
        for store in library.stores() {
            let key = key_of(model, store, dtype);
            let place = folder.join(&key[..32]);
            let part = match open(&place, &key, model, store, first_row) {
                Some(part) => part,
                None => {
                    make(&place, &key, dtype, model, store, progress)?;
                    open(&place, &key, model, store, first_row).ok_or_else(|| {
                        Error::data(
                            format!("{}: the folded library cannot be read back", place.display()),
                            "is another process writing there? Remove the folder and try again",
                        )
                    })?
                }
            };
            first_row += part.n_rows;
            parts.push(part);
        }
        Ok(Self { parts, dtype })
    }

    /// True when its numbers lie in half precision.
    pub(super) fn is_half(&self) -> bool {
        self.dtype == Dtype::F16
    }

    /// Rows of every member and table, `[n_members · n_tables · n, row]`, padded with zeros.
    pub(super) fn rows<A: Activation>(&self, rows: &Range<usize>, row: usize) -> Vec<A> {
        let n_stores = self.parts[0].stores.len();
        let mut out = vec![A::default(); n_stores * rows.len() * row];
        for (table, out) in out.chunks_exact_mut((rows.len() * row).max(1)).enumerate() {
            for (at, out) in rows.clone().zip(out.chunks_exact_mut(row)) {
                let part = &self.parts[self.part_of(at)];
                let (store, local) = (&part.stores[table], at - part.first_row);
                if A::NAME == self.dtype.name() {
                    let bytes = store.stored_row(local);
                    bytemuck::cast_slice_mut::<A, u8>(out)[..bytes.len()].copy_from_slice(bytes);
                } else {
                    let mut wide = vec![0.0; store.dim()];
                    store.copy_row(local, &mut wide);
                    out.iter_mut().zip(wide).for_each(|(out, x)| *out = A::rounded(x));
                }
            }
        }
        out
    }

    /// The largest norm of the vectors of some rows, as each member reads them, or a little more.
    pub(super) fn norms(&self, rows: &Range<usize>) -> Vec<f64> {
        let mut largest = vec![0.0; self.parts[0].norms.first().map_or(0, Vec::len)];
        for part in &self.parts[self.part_of(rows.start)..=self.part_of(rows.end.max(rows.start + 1) - 1)] {
            let within = rows.start.max(part.first_row)..rows.end.min(part.first_row + part.n_rows);
            let blocks = (within.start - part.first_row) / BLOCK..(within.end - part.first_row).div_ceil(BLOCK);
            for norms in &part.norms[blocks] {
                largest.iter_mut().zip(norms).for_each(|(most, &norm)| *most = f64::max(*most, norm));
            }
        }
        largest
    }

    fn part_of(&self, row: usize) -> usize {
        self.parts.partition_point(|part| part.first_row + part.n_rows <= row).min(self.parts.len() - 1)
    }
}

/// Digest of all that folded rows depend on.
fn key_of<B: PairScore + Linear>(model: &FoldedModel<'_, B>, store: &Store, dtype: Dtype) -> String {
    let text = format!("folded 1 {} {} {}", model.digest(), store.content_digest(), dtype.name());
    blake3::hash(text.as_bytes()).to_string()
}

fn name(member: usize, table: usize) -> String {
    format!("member-{member}-table-{table}")
}

fn open<B: PairScore + Linear>(
    place: &Path,
    key: &str,
    model: &FoldedModel<'_, B>,
    source: &Store,
    first_row: usize,
) -> Option<Folded> {
    let (members, tables) = (model.network.members.len(), model.network.form.n_tables());
    let open = |i: usize| {
        let store = Store::open(place.join(name(i / tables, i % tables))).ok()?;
        let fits = store.encoder().digest == key && store.n_rows() == source.n_rows();
        (fits && store.dim() == model.network.width).then_some(store)
    };
    let stores = (0..members * tables).map(open).collect::<Option<Vec<Store>>>()?;
    let origin: Origin = serde_json::from_value(stores[0].detail().origin.clone()).ok()?;
    let whole = origin.norms.len() == source.n_rows().div_ceil(BLOCK);
    let sound = whole && origin.norms.iter().all(|norms| norms.len() == members && norms.iter().all(|n| n.is_finite()));
    sound.then_some(Folded { first_row, n_rows: source.n_rows(), stores, norms: origin.norms })
}

fn make<B: PairScore + Linear + Sync>(
    place: &Path,
    key: &str,
    dtype: Dtype,
    model: &FoldedModel<'_, B>,
    source: &Arc<Store>,
    progress: &dyn Progress,
) -> Result<()> {
    let library = Library::new(&[Arc::clone(source)])?;
    let (n_rows, tables) = (library.n_rows(), model.network.form.n_tables());
    let blocks: Vec<Range<usize>> =
        (0..n_rows).step_by(BLOCK).map(|start| start..(start + BLOCK).min(n_rows)).collect();
    let mut norms = Vec::with_capacity(blocks.len());
    let mut writers = Vec::new();
    for i in 0..model.n_tables() {
        let options = StoreOptions {
            encoder: EncoderIdentity {
                name: format!("folded {}", source.encoder().name),
                digest: key.to_owned(),
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
        let folded = wave.par_iter().with_max_len(1).map(|rows| {
            check_interrupt()?;
            let x = model.standardised(0, &library.vectors(rows.clone())?);
            let rows = model.folded_rows(0, rows.len(), &x)?;
            Ok((rows, x.norms().to_vec()))
        });
        let folded: Vec<(Vec<f32>, Vec<f64>)> = folded.collect::<Result<_>>()?;
        for (rows, (values, of_block)) in wave.iter().zip(folded) {
            let width = model.network.width;
            for (writer, values) in writers.iter_mut().zip(values.chunks_exact(rows.len() * width)) {
                for (row, vector) in rows.clone().zip(values.chunks_exact(width)) {
                    push(writer, &library, row, vector)?;
                }
            }
            norms.push(of_block);
            progress.advance(rows.len() as u64);
        }
    }
    progress.finish();
    let origin = Origin { library: source.content_digest().to_owned(), norms };
    let origin = serde_json::to_value(origin).map_err(|e| Error::format(place, e.to_string(), "report this"))?;
    for mut writer in writers {
        writer.set_origin(origin.clone());
        writer.finish()?;
    }
    Ok(())
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
