//! A table of predictions as TSV, CSV or Parquet, in memory that does not grow with it.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde::{Deserialize, Serialize};

use crate::embed::store::system_error;
use crate::error::{Error, Result};
use crate::files::AtomicFile;
use crate::files::parquet_column::write_column;

/// Rows of a Parquet row group.
const GROUP: usize = 1 << 16;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// f64, or nothing.
    Real,
    /// i32.
    Whole,
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// UTF-8 text.
    Text(String),
    /// f64, or nothing.
    Real(Option<f64>),
    /// i32.
    Whole(i32),
}

impl Cell {
    /// The cell of this text; `None` for a text that no such cell has.
    pub(super) fn parse(text: &str, kind: Kind) -> Option<Self> {
        match kind {
            Kind::Text => Some(Self::Text(text.to_owned())),
            Kind::Real if text.is_empty() => Some(Self::Real(None)),
            Kind::Real => text.parse().ok().map(|value| Self::Real(Some(value))),
            Kind::Whole => text.parse().ok().map(Self::Whole),
        }
    }

    /// As text: the shortest digits that lead back to the same number, empty for nothing.
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Real(value) => value.map_or(String::new(), |value| value.to_string()),
            Self::Whole(value) => value.to_string(),
        }
    }
}

/// A table being written.
pub struct TableFile {
    path: PathBuf,
    sink: Sink,
}

enum Sink {
    /// Standard output.
    Stream(csv::Writer<BufWriter<io::Stdout>>),
    Text(csv::Writer<AtomicFile>),
    Parquet {
        file: SerializedFileWriter<AtomicFile>,
        group: Vec<Vec<Cell>>,
        kinds: Vec<Kind>,
    },
}

impl TableFile {
    /// Begins the table at `path`: Parquet for `.parquet`, commas for `.csv`, tabs for everything else and for `-`,
    /// which is standard output. An existing file keeps its content until [`finish`](Self::finish).
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(path: &Path, columns: &[(String, Kind)]) -> Result<Self> {
        let has = |wanted: &str| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(wanted));
        let names = columns.iter().map(|(name, _)| name);
        let mut text = csv::WriterBuilder::new();
        text.delimiter(if has("csv") { b',' } else { b'\t' });
        let sink = if path == Path::new("-") {
            let mut writer = text.from_writer(BufWriter::new(io::stdout()));
            writer.write_record(names).map_err(|e| text_failure(path, e))?;
            Sink::Stream(writer)
        } else if has("parquet") {
            let failed = |e| parquet_failure(path, e);
            let properties = WriterProperties::builder()
                .set_created_by(concat!("biollmnet ", env!("CARGO_PKG_VERSION")).to_owned())
                .build();
            let schema = schema(columns).map_err(failed)?;
            let file = SerializedFileWriter::new(AtomicFile::create(path)?, Arc::new(schema), Arc::new(properties));
            let kinds = columns.iter().map(|(_, kind)| *kind).collect();
            Sink::Parquet { file: file.map_err(failed)?, group: Vec::new(), kinds }
        } else {
            let mut writer = text.from_writer(AtomicFile::create(path)?);
            writer.write_record(names).map_err(|e| text_failure(path, e))?;
            Sink::Text(writer)
        };
        Ok(Self { path: path.to_path_buf(), sink })
    }

    /// Appends a row, one cell per column.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn push(&mut self, row: Vec<Cell>) -> Result<()> {
        let Self { path, sink } = self;
        let texts = |row: Vec<Cell>| row.into_iter().map(Cell::into_text);
        match sink {
            Sink::Stream(writer) => writer.write_record(texts(row)).map_err(|e| text_failure(path, e)),
            Sink::Text(writer) => writer.write_record(texts(row)).map_err(|e| text_failure(path, e)),
            Sink::Parquet { file, group, kinds } => {
                group.push(row);
                if group.len() < GROUP {
                    return Ok(());
                }
                write_group(file, &std::mem::take(group), kinds).map_err(|e| parquet_failure(path, e))
            }
        }
    }

    /// Puts the file in place, and its `.b3` beside it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<()> {
        self.close()?.map_or(Ok(()), AtomicFile::commit_with_digest)
    }

    /// Puts the file in place in a folder whose manifest will have its digest.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn finish_in_folder(self) -> Result<()> {
        self.close()?.map_or(Ok(()), AtomicFile::commit)
    }

    /// The whole file, where it is one.
    fn close(self) -> Result<Option<AtomicFile>> {
        let Self { path, sink } = self;
        match sink {
            Sink::Stream(mut writer) => writer.flush().map_err(Error::io("write", &path)).map(|()| None),
            Sink::Text(writer) => writer.into_inner().map(Some).map_err(|e| Error::io("write", &path)(e.into_error())),
            Sink::Parquet { mut file, group, kinds } => {
                let failed = |e| parquet_failure(&path, e);
                if !group.is_empty() {
                    write_group(&mut file, &group, &kinds).map_err(failed)?;
                }
                let mut file = file.into_inner().map_err(failed)?;
                file.flush().map_err(Error::io("write", &path))?;
                Ok(Some(file))
            }
        }
    }
}

fn schema(columns: &[(String, Kind)]) -> Result<Type, ParquetError> {
    let field = |(name, kind): &(String, Kind)| {
        let builder = match kind {
            Kind::Text => {
                Type::primitive_type_builder(name, Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::String))
            }
            Kind::Real => Type::primitive_type_builder(name, Physical::DOUBLE),
            Kind::Whole => Type::primitive_type_builder(name, Physical::INT32),
        };
        let repetition = if *kind == Kind::Real { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        builder.with_repetition(repetition).build().map(Arc::new)
    };
    let fields = columns.iter().map(field).collect::<Result<_, _>>()?;
    Type::group_type_builder("predictions").with_fields(fields).build()
}

fn write_group(
    file: &mut SerializedFileWriter<AtomicFile>,
    group: &[Vec<Cell>],
    kinds: &[Kind],
) -> Result<(), ParquetError> {
    let mut rows = file.next_row_group()?;
    for (i, kind) in kinds.iter().enumerate() {
        let cells = || group.iter().map(|row| &row[i]);
        match kind {
            Kind::Text => {
                let text = |cell: &Cell| cell.clone().into_text().into_bytes().into();
                write_column::<ByteArrayType, _>(
                    &mut rows,
                    &cells().map(text).collect::<Vec<ByteArray>>(),
                    None,
                    None,
                )?;
            }
            Kind::Real => {
                let real = |cell: &Cell| if let Cell::Real(value) = cell { *value } else { None };
                let present: Vec<i16> = cells().map(|cell| i16::from(real(cell).is_some())).collect();
                write_column::<DoubleType, _>(
                    &mut rows,
                    &cells().filter_map(real).collect::<Vec<f64>>(),
                    Some(&present),
                    None,
                )?;
            }
            Kind::Whole => {
                let whole = |cell: &Cell| if let Cell::Whole(value) = cell { *value } else { 0 };
                write_column::<Int32Type, _>(&mut rows, &cells().map(whole).collect::<Vec<i32>>(), None, None)?;
            }
        }
    }
    rows.close().map(|_| ())
}

fn text_failure(path: &Path, error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(e) => Error::io("write", path)(e),
        other => Error::format(path, format!("{other:?}"), "choose Parquet"),
    }
}

fn parquet_failure(path: &Path, error: ParquetError) -> Error {
    match system_error(error) {
        Ok(e) => Error::io("write", path)(e),
        Err(other) => Error::format(path, other.to_string(), "choose TSV"),
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;

    #[test]
    fn every_format_holds_the_same_cells() {
        let folder = tempfile::tempdir().unwrap();
        let columns = [("id", Kind::Text), ("a score", Kind::Real), ("rank", Kind::Whole)];
        let columns = columns.map(|(name, kind)| (name.to_owned(), kind));
        let rows = [("a,\tb", Some(0.1 + 0.2), 1), ("c\"d", None, -2)];
        for (name, want) in [
            ("t.tsv", "id\ta score\trank\n\"a,\tb\"\t0.30000000000000004\t1\n\"c\"\"d\"\t\t-2\n"),
            ("t.csv", "id,a score,rank\n\"a,\tb\",0.30000000000000004,1\n\"c\"\"d\",,-2\n"),
            ("t.parquet", ""),
        ] {
            let path = folder.path().join(name);
            let mut table = TableFile::create(&path, &columns).unwrap();
            for (id, score, rank) in rows {
                table.push(vec![Cell::Text(id.to_owned()), Cell::Real(score), Cell::Whole(rank)]).unwrap();
            }
            assert!(!path.exists());
            table.finish().unwrap();
            assert!(folder.path().join(format!("{name}.b3")).exists());
            if !want.is_empty() {
                assert_eq!(std::fs::read_to_string(&path).unwrap(), want);
                continue;
            }
            let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
            let read: Vec<Vec<Field>> = reader
                .get_row_iter(None)
                .unwrap()
                .map(|row| row.unwrap().get_column_iter().map(|(_, field)| field.clone()).collect())
                .collect();
            let real = |value: Option<f64>| value.map_or(Field::Null, Field::Double);
            let want = rows.map(|(id, score, rank)| vec![Field::Str(id.to_owned()), real(score), Field::Int(rank)]);
            assert_eq!(read, want);
        }
    }
}
