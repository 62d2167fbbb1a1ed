//! Parquet: a column of ids, and either one list column or columns of numbers.

use std::fs::File;
use std::path::Path;

use half::f16;
use parquet::basic::{LogicalType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::sink::Sink;
use crate::error::{Error, Result};
use crate::files::foreign::quietly;
use crate::files::parquet_footer;

/// Records read at once.
const BATCH: usize = 1024;
const HELP: &str = "write a text column 'id' and either one list<float> column or one float column per dimension";

pub(super) fn import(source: &Path, sink: &mut Sink) -> Result<()> {
    quietly(|| read(source, sink)).unwrap_or_else(|| Err(Error::format(source, "is a damaged Parquet file", HELP)))
}

fn read(source: &Path, sink: &mut Sink) -> Result<()> {
    let failed = |e: ParquetError| {
        Error::format(source, format!("cannot be read as Parquet: {e}"), "write it again, uncompressed or with snappy")
    };
    let file = File::open(source).map_err(Error::io("read", source))?;
    let reader = parquet_footer::open(file).map_err(failed)?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let (id, vectors) = choose(source, schema)?;
    for i in 0..reader.num_row_groups() {
        let group = reader.get_row_group(i).map_err(failed)?;
        let open = |i: usize| {
            let level = schema.column(i).max_def_level();
            group.get_column_reader(i).map(|reader| Column::new(reader, level)).map_err(failed)
        };
        let mut ids = open(id)?;
        let mut columns = vectors.iter().map(|&column| open(column)).collect::<Result<Vec<_>>>()?;
        loop {
            let names = ids.read_texts(BATCH).map_err(failed)?;
            if names.is_empty() {
                break;
            }
            let mut rows = vec![Vec::new(); names.len()];
            for column in &mut columns {
                column.append_numbers(&mut rows).map_err(failed)?;
            }
            for (name, row) in names.iter().zip(&rows) {
                sink.push(name, 0, row)?;
            }
        }
    }
    Ok(())
}

/// The column of ids, and those of the vectors.
fn choose(source: &Path, schema: &SchemaDescriptor) -> Result<(usize, Vec<usize>)> {
    let columns = schema.columns();
    let flat = |column: &ColumnDescriptor| column.max_rep_level() == 0;
    let named = columns.iter().position(|column| flat(column) && column.name().eq_ignore_ascii_case("id"));
    let text = || columns.iter().position(|column| flat(column) && column.physical_type() == Type::BYTE_ARRAY);
    let id = named.or_else(text).ok_or_else(|| Error::format(source, "it has no column of ids", HELP))?;
    let numeric = |i: usize, column: &ColumnDescriptor| i != id && is_number(column);
    let pick = |lists: bool| -> Vec<usize> {
        let wanted = |(i, column): &(usize, &std::sync::Arc<ColumnDescriptor>)| {
            numeric(*i, column) && (column.max_rep_level() == 1) == lists && column.max_rep_level() <= 1
        };
        columns.iter().enumerate().filter(wanted).map(|(i, _)| i).collect()
    };
    match pick(true).as_slice() {
        [list] => Ok((id, vec![*list])),
        [] if !pick(false).is_empty() => Ok((id, pick(false))),
        [] => Err(Error::format(source, "it has no column of numbers", HELP)),
        several => Err(Error::format(source, format!("it has {} list columns", several.len()), HELP)),
    }
}

fn is_number(column: &ColumnDescriptor) -> bool {
    match column.physical_type() {
        Type::FLOAT | Type::DOUBLE | Type::INT32 | Type::INT64 => true,
        Type::FIXED_LEN_BYTE_ARRAY => column.logical_type_ref() == Some(&LogicalType::Float16),
        _ => false,
    }
}

/// One column of a row group, and its levels as they were read last.
struct Column {
    reader: ColumnReader,
    /// Level of a value that is present; 0 where all are.
    full: i16,
    defined: Vec<i16>,
    repeated: Vec<i16>,
}

impl Column {
    fn new(reader: ColumnReader, full: i16) -> Self {
        Self { reader, full, defined: Vec::new(), repeated: Vec::new() }
    }

    /// The next ids, at most `n`; empty for absent ones.
    fn read_texts(&mut self, n: usize) -> Result<Vec<String>, ParquetError> {
        self.defined.clear();
        let mut texts = Vec::new();
        let defined = &mut self.defined;
        match &mut self.reader {
            ColumnReader::ByteArrayColumnReader(reader) => {
                let mut values: Vec<ByteArray> = Vec::new();
                reader.read_records(n, Some(defined), None, &mut values)?;
                for value in values {
                    texts.push(value.as_utf8()?.to_owned());
                }
            }
            ColumnReader::Int64ColumnReader(reader) => {
                let mut values = Vec::new();
                reader.read_records(n, Some(defined), None, &mut values)?;
                texts.extend(values.iter().map(i64::to_string));
            }
            ColumnReader::Int32ColumnReader(reader) => {
                let mut values = Vec::new();
                reader.read_records(n, Some(defined), None, &mut values)?;
                texts.extend(values.iter().map(i32::to_string));
            }
            _ => return Err(ParquetError::General("the column of ids holds neither text nor integers".into())),
        }
        if self.defined.is_empty() {
            return Ok(texts);
        }
        let mut texts = texts.into_iter();
        Ok(self.defined.iter().map(|&level| if level > 0 { texts.next() } else { None }.unwrap_or_default()).collect())
    }

    /// Appends the next numbers of this column to each of `rows`; NaN where one is absent.
    fn append_numbers(&mut self, rows: &mut [Vec<f32>]) -> Result<(), ParquetError> {
        let (defined, repeated) = (&mut self.defined, &mut self.repeated);
        let n = rows.len();
        let values: Vec<f32> = match &mut self.reader {
            ColumnReader::FloatColumnReader(reader) => levels(reader, n, defined, repeated)?,
            ColumnReader::DoubleColumnReader(reader) => {
                levels(reader, n, defined, repeated)?.into_iter().map(|x| x as f32).collect()
            }
            ColumnReader::Int32ColumnReader(reader) => {
                levels(reader, n, defined, repeated)?.into_iter().map(|x| x as f32).collect()
            }
            ColumnReader::Int64ColumnReader(reader) => {
                levels(reader, n, defined, repeated)?.into_iter().map(|x| x as f32).collect()
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                let half =
                    |x: &FixedLenByteArray| x.data().try_into().map_or(f32::NAN, |b| f16::from_le_bytes(b).to_f32());
                levels(reader, n, defined, repeated)?.iter().map(half).collect()
            }
            _ => return Err(ParquetError::General("a column of the vectors holds no numbers".into())),
        };
        let full = self.full;
        let count = if full > 0 { self.defined.len() } else { values.len().max(self.repeated.len()) };
        let (mut values, mut row) = (values.into_iter(), 0);
        for i in 0..count {
            // A new record begins where nothing is repeated.
            row += usize::from(i > 0 && self.repeated.get(i).is_none_or(|&level| level == 0));
            let present = full == 0 || self.defined.get(i).is_some_and(|&level| level == full);
            let value = if present { values.next() } else { Some(f32::NAN) };
            let short = || ParquetError::General("a column is longer or shorter than the others".into());
            rows.get_mut(row).ok_or_else(short)?.push(value.ok_or_else(short)?);
        }
        Ok(())
    }
}

/// The values of the next `n` records, and their levels.
fn levels<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    n: usize,
    defined: &mut Vec<i16>,
    repeated: &mut Vec<i16>,
) -> Result<Vec<T::T>, ParquetError> {
    defined.clear();
    repeated.clear();
    let mut values = Vec::new();
    reader.read_records(n, Some(defined), Some(repeated), &mut values)?;
    Ok(values)
}
