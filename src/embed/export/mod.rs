//! A store for other tools: NumPy, Parquet or CSV.

mod npy;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::store::{ResidueStore, Store, system_error};
use crate::data::VectorSource;
use crate::error::{Error, Result};
use crate::files::AtomicFile;
use crate::files::parquet_column::write_column;
use crate::progress::{Progress, check_interrupt};

/// Records per Parquet row group, and between two looks at the interrupt flag.
const GROUP: usize = 4096;

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// The vectors as they are stored, `[vectors, dim]`, and `<name>.ids.tsv`: id, row, digest, length, status of every
    /// record in input order.
    Npy,
    /// One row per accepted record: `id`, and `vector`, a list of floats.
    Parquet,
    /// One line per accepted record: id, then the numbers, under a header.
    Csv,
}

impl ExportFormat {
    /// Suffix of the file.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Parquet => "parquet",
            Self::Csv => "csv",
        }
    }
}

/// Writes `store` as `format` to `out`, each file with its `.b3`; returns the files.
///
/// # Errors
/// [`Error::Io`]; [`Error::Interrupted`] after a signal. The files then are as they were before.
pub fn export(store: &Store, format: ExportFormat, out: &Path, progress: &dyn Progress) -> Result<Vec<PathBuf>> {
    let mut file = AtomicFile::create(out)?;
    let steps = if format == ExportFormat::Npy { store.n_rows() } else { store.n_records() };
    progress.begin("export", "rows", Some(steps as u64));
    let mut files = vec![out.to_path_buf()];
    let mut beside = None;
    match format {
        ExportFormat::Npy => {
            let detail = store.detail();
            npy::write_header(&mut file, npy::code(detail.dtype), &[store.n_rows(), detail.dim], out)?;
            for row in 0..store.n_rows() {
                file.write_all(store.stored_row(row)).map_err(Error::io("write", out))?;
                tick(row, progress)?;
            }
            beside = Some(npy::write_ids(store.records(), out)?);
        }
        ExportFormat::Parquet => write_parquet(store, &mut file, out, progress)?,
        ExportFormat::Csv => write_csv(store, &mut file, out, progress)?,
    }
    let mut written = vec![file];
    if let Some((table, path)) = beside {
        written.push(table);
        files.push(path);
    }
    AtomicFile::commit_together(written)?;
    progress.finish();
    Ok(files)
}

/// The same for a store per residue, as NumPy arrays: the states, `[ΣL, dim]`; `<name>.offsets.npy`, `[rows + 1]`, where
/// the states of each row begin and end; and the table of records.
///
/// # Errors
/// Those of [`export`]; [`Error::Usage`] for other formats.
pub fn export_residues(
    store: &ResidueStore,
    format: ExportFormat,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Vec<PathBuf>> {
    if format != ExportFormat::Npy {
        return Err(Error::usage(
            format!("a store per residue cannot be exported as {}", format.suffix()),
            "choose --format npy: the states of all residues, and where each sequence begins",
        ));
    }
    progress.begin("export", "rows", Some(store.n_rows() as u64));
    let mut offsets = vec![0i64];
    let mut end = 0;
    offsets.extend((0..store.n_rows()).map(|row| {
        end += store.n_states(row) as i64;
        end
    }));
    let mut file = AtomicFile::create(out)?;
    let detail = store.detail();
    npy::write_header(&mut file, npy::code(detail.dtype), &[end as usize, detail.dim], out)?;
    for row in 0..store.n_rows() {
        file.write_all(store.stored_states(row)).map_err(Error::io("write", out))?;
        tick(row, progress)?;
    }
    let offsets_path = out.with_extension("offsets.npy");
    let mut offsets_file = AtomicFile::create(&offsets_path)?;
    npy::write_header(&mut offsets_file, "<i8", &[offsets.len()], &offsets_path)?;
    offsets_file.write_all(bytemuck::cast_slice(&offsets)).map_err(Error::io("write", &offsets_path))?;
    let (table, ids) = npy::write_ids(store.records(), out)?;
    AtomicFile::commit_together(vec![file, offsets_file, table])?;
    progress.finish();
    Ok(vec![out.to_path_buf(), offsets_path, ids])
}

fn write_csv(store: &Store, file: &mut AtomicFile, out: &Path, progress: &dyn Progress) -> Result<()> {
    let mut table = csv::Writer::from_writer(file);
    let failed = |e: csv::Error| match e.into_kind() {
        csv::ErrorKind::Io(e) => Error::io("write", out)(e),
        other => Error::format(out, format!("{other:?}"), "choose another format"),
    };
    let header = std::iter::once("id".to_owned()).chain((0..store.dim()).map(|i| format!("v{i}")));
    table.write_record(header).map_err(failed)?;
    let mut vector = vec![0.0; store.dim()];
    for (i, record) in store.records().enumerate() {
        tick(i, progress)?;
        let Some(row) = record.row else { continue };
        store.copy_row(row, &mut vector);
        // The shortest digits that lead back to the same number.
        let cells = std::iter::once(record.id.to_owned()).chain(vector.iter().map(f32::to_string));
        table.write_record(cells).map_err(failed)?;
    }
    table.flush().map_err(Error::io("write", out))
}

fn write_parquet(store: &Store, file: &mut AtomicFile, out: &Path, progress: &dyn Progress) -> Result<()> {
    let failed = |e: ParquetError| match system_error(e) {
        Ok(e) => Error::io("write", out)(e),
        Err(other) => Error::format(out, other.to_string(), "choose another format"),
    };
    let schema = parse_message_type(
        "message vectors { required binary id (UTF8);
           required group vector (LIST) { repeated group list { required float element; } } }",
    );
    let properties = WriterProperties::builder()
        .set_created_by(concat!("biollmnet ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_dictionary_enabled(false)
        .build();
    let schema = Arc::new(schema.map_err(failed)?);
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(failed)?;
    let accepted: Vec<u32> =
        (0..store.n_records() as u32).filter(|&i| store.record(i as usize).row.is_some()).collect();
    let dim = store.dim();
    for group in accepted.chunks(GROUP) {
        check_interrupt()?;
        let ids: Vec<ByteArray> = group.iter().map(|&i| store.record(i as usize).id.into()).collect();
        let mut values = vec![0.0; group.len() * dim];
        for (vector, &i) in values.chunks_exact_mut(dim).zip(group) {
            store.copy_row(store.record(i as usize).row.unwrap_or_default(), vector);
        }
        // Every value is present; a record begins where nothing is repeated.
        let defined = vec![1; values.len()];
        let repeated: Vec<i16> = (0..values.len()).map(|i| i16::from(i % dim != 0)).collect();
        let mut rows = writer.next_row_group().map_err(failed)?;
        write_column::<ByteArrayType, _>(&mut rows, &ids, None, None).map_err(failed)?;
        write_column::<FloatType, _>(&mut rows, &values, Some(&defined), Some(&repeated)).map_err(failed)?;
        rows.close().map_err(failed)?;
        progress.advance(group.len() as u64);
    }
    writer.close().map(|_| ()).map_err(failed)
}

fn tick(row: usize, progress: &dyn Progress) -> Result<()> {
    if row.is_multiple_of(GROUP) {
        check_interrupt()?;
        progress.advance(GROUP as u64);
    }
    Ok(())
}
