//! Where imported vectors go: a store that is begun when the width is known.

use std::path::Path;

use serde_json::json;

use super::{ImportOptions, RowPooling};
use crate::data::EncoderIdentity;
use crate::embed::store::{DigestOf, Flags, Layout, NewRecord, Status, StoreOptions, StoreSummary, StoreWriter};
use crate::error::{Error, Result};
use crate::files::digest::digest_file;
use crate::progress::check_interrupt;
use crate::seq::{RecordFault, digest, id_of};

pub(super) struct Sink<'a> {
    source: &'a Path,
    options: &'a ImportOptions,
    out: &'a Path,
    /// Pooling that the source itself did.
    pub pooled: Option<&'static str>,
    writer: Option<(StoreWriter, usize)>,
}

impl<'a> Sink<'a> {
    pub fn new(source: &'a Path, options: &'a ImportOptions, out: &'a Path) -> Self {
        Self { source, options, out, pooled: None, writer: None }
    }

    /// How several rows become one vector, where it was said.
    pub fn pooling(&self) -> Option<RowPooling> {
        self.options.pooling
    }

    /// Appends the vector of a record.
    pub fn push(&mut self, id: &str, line: u64, vector: &[f32]) -> Result<()> {
        check_interrupt()?;
        let (writer, dim) = match &mut self.writer {
            Some(begun) => begun,
            slot => {
                let identity = identity(self.options, self.pooled, vector.len());
                slot.insert((begin(self.source, self.options, identity, self.out, vector.len())?, vector.len()))
            }
        };
        if vector.len() != *dim {
            return Err(Error::data(
                format!(
                    "{}: the vector of '{id}' has {} numbers, those before it have {dim}",
                    self.source.display(),
                    vector.len()
                ),
                "every vector of a store has the same width; look for a mix of models or a broken row",
            ));
        }
        let (shown, fault) = id_of(id.as_bytes());
        let record = NewRecord {
            id: &shown,
            line,
            digest: digest(bytemuck::cast_slice(vector)),
            length: 0,
            unknown: 0,
            flags: Flags::default(),
        };
        match fault {
            Some(RecordFault::NoId) => writer.refuse(&record, Status::NoId, "it has no id")?,
            Some(RecordFault::LongId) => writer.refuse(&record, Status::LongId, RecordFault::LongId.help())?,
            // Ids made elsewhere may hold control characters: nothing is split at them here.
            _ => writer.push(&record, vector)?,
        };
        Ok(())
    }

    /// Appends a record of `rows` rows, row-major: one is the vector, several are pooled as was asked for.
    pub fn push_rows(&mut self, id: &str, rows: usize, values: &[f32]) -> Result<()> {
        if rows == 1 {
            return self.push(id, 0, values);
        }
        let dim = values.len().checked_div(rows).unwrap_or(0);
        match self.options.pooling {
            _ if dim == 0 => Err(Error::data(
                format!("{}: the array of '{id}' holds no number", self.source.display()),
                "leave this record out",
            )),
            Some(RowPooling::Cls) => self.push(id, 0, &values[..dim]),
            Some(RowPooling::Mean) => {
                let mut sums = vec![0.0f64; dim];
                for row in values.chunks_exact(dim) {
                    for (sum, value) in sums.iter_mut().zip(row) {
                        *sum += f64::from(*value);
                    }
                }
                let mean: Vec<f32> = sums.iter().map(|sum| (sum / rows as f64) as f32).collect();
                self.push(id, 0, &mean)
            }
            None => Err(Error::data(
                format!("{}: '{id}' has {rows} rows of {dim} numbers, not one vector", self.source.display()),
                "say --pooling mean (mean of the rows) or --pooling cls (the first row)",
            )),
        }
    }

    pub fn finish(self) -> Result<StoreSummary> {
        match self.writer {
            Some((writer, _)) => writer.finish(),
            None => Err(Error::data(
                format!("{}: there is no vector in it", self.source.display()),
                "name a file with at least one record",
            )),
        }
    }
}

/// Imports of one name and width are one encoder, whatever file they come from.
fn identity(options: &ImportOptions, pooled: Option<&str>, dim: usize) -> EncoderIdentity {
    let name = options.encoder_name.clone();
    let definition = format!("vectors imported as '{name}', width {dim}");
    let asked = match options.pooling {
        Some(RowPooling::Mean) => "mean",
        Some(RowPooling::Cls) => "cls",
        None => "imported",
    };
    let digest = blake3::hash(definition.as_bytes()).to_hex().to_string();
    EncoderIdentity { name, digest, pooling: pooled.unwrap_or(asked).to_owned() }
}

fn begin(
    source: &Path,
    options: &ImportOptions,
    encoder: EncoderIdentity,
    out: &Path,
    dim: usize,
) -> Result<StoreWriter> {
    let input = if source.is_file() { Some(digest_file(source)?.1) } else { None };
    let options = StoreOptions {
        layout: Layout::Pooled,
        encoder,
        modality: options.modality.clone(),
        dtype: options.dtype,
        dim,
        digest_of: DigestOf::Vector,
        origin: json!({ "imported": input }),
        force: options.force,
    };
    StoreWriter::create(out, options)
}
