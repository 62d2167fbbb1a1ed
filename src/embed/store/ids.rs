//! The table of records: one Parquet file, plain encoding, no compression, so that every tool reads it.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::record::{Flags, NewRecord, Status, from_hex, to_hex};
use crate::error::{Error, Result};
use crate::files::foreign::quietly;
use crate::files::parquet_column::write_column;
use crate::files::parquet_footer;
use crate::progress::check_interrupt;
use crate::seq::DIGEST_BYTES;

const SCHEMA: &str = "message records {
    required binary id (UTF8);
    optional int64 row;
    required binary digest (UTF8);
    required int32 length (INTEGER(32,false));
    required int32 unknown (INTEGER(32,false));
    required binary flags (UTF8);
    required binary status (UTF8);
}";

/// Most records of a row group, and the bytes of their ids at which it ends: what the writer and a reader hold in memory.
const GROUP: usize = 1 << 16;
const GROUP_IDS: usize = 16 << 20;

/// Writes the table, a row group at a time.
pub(super) struct IdsWriter {
    path: PathBuf,
    file: SerializedFileWriter<BufWriter<File>>,
    group: Columns,
    /// Bytes of the ids in `group`.
    ids: usize,
    rows: usize,
}

#[derive(Default)]
struct Columns {
    id: Texts,
    /// Rows of the accepted records, and for each record whether it has one.
    row: Vec<i64>,
    has_row: Vec<i16>,
    digest: Texts,
    length: Vec<i32>,
    unknown: Vec<i32>,
    flags: Texts,
    status: Texts,
}

/// A column of texts, one after the other, and where each ends: an allocation per text would scatter what is given back.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len());
    }

    /// The texts as Parquet takes them: parts of one allocation.
    fn into_values(self) -> Vec<ByteArray> {
        let whole = ByteArray::from(self.bytes);
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| whole.slice(start, end - start)).collect()
    }
}

impl IdsWriter {
    pub fn create(path: PathBuf) -> Result<Self> {
        let failed = |e| failure("create", &path, e);
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        let properties = WriterProperties::builder()
            .set_created_by(concat!("biollmnet ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::PLAIN)
            .set_statistics_enabled(EnabledStatistics::None)
            // Nobody asks for a page; its index would stay in memory up to the end.
            .set_offset_index_disabled(true)
            .build();
        let schema = parse_message_type(SCHEMA).map_err(failed)?;
        let file = SerializedFileWriter::new(BufWriter::new(file), Arc::new(schema), Arc::new(properties));
        Ok(Self { file: file.map_err(failed)?, path, group: Columns::default(), ids: 0, rows: 0 })
    }

    pub fn push(&mut self, record: &NewRecord, row: Option<u32>, status: Status) -> Result<()> {
        let group = &mut self.group;
        group.id.push(record.id);
        group.row.extend(row.map(i64::from));
        group.has_row.push(i16::from(row.is_some()));
        group.digest.push(&to_hex(&record.digest));
        // Parquet holds unsigned numbers in the bits of signed ones.
        group.length.push(record.length as i32);
        group.unknown.push(record.unknown as i32);
        group.flags.push(&record.flags.names());
        group.status.push(status.name());
        self.ids += record.id.len();
        self.rows += 1;
        if group.length.len() == GROUP || self.ids >= GROUP_IDS { self.write_group() } else { Ok(()) }
    }

    /// Writes the rest; returns the number of records.
    pub fn finish(mut self) -> Result<usize> {
        if !self.group.length.is_empty() {
            self.write_group()?;
        }
        self.file.close().map_err(|e| failure("write", &self.path, e))?;
        Ok(self.rows)
    }

    fn write_group(&mut self) -> Result<()> {
        let group = std::mem::take(&mut self.group);
        self.ids = 0;
        write_columns(&mut self.file, group).map_err(|e| failure("write", &self.path, e))
    }
}

fn write_columns(file: &mut SerializedFileWriter<BufWriter<File>>, group: Columns) -> Result<(), ParquetError> {
    let mut rows = file.next_row_group()?;
    write_column::<ByteArrayType, _>(&mut rows, &group.id.into_values(), None, None)?;
    write_column::<Int64Type, _>(&mut rows, &group.row, Some(&group.has_row), None)?;
    write_column::<ByteArrayType, _>(&mut rows, &group.digest.into_values(), None, None)?;
    write_column::<Int32Type, _>(&mut rows, &group.length, None, None)?;
    write_column::<Int32Type, _>(&mut rows, &group.unknown, None, None)?;
    write_column::<ByteArrayType, _>(&mut rows, &group.flags.into_values(), None, None)?;
    write_column::<ByteArrayType, _>(&mut rows, &group.status.into_values(), None, None)?;
    rows.close().map(|_| ())
}

/// A row group of the table, one vector per column.
#[derive(Default)]
pub(super) struct IdGroup {
    /// All ids, one after the other, and where each ends.
    pub ids: String,
    pub ends: Vec<usize>,
    /// [`NO_ROW`] for refused records.
    pub rows: Vec<u32>,
    pub digests: Vec<[u8; DIGEST_BYTES]>,
    pub lengths: Vec<u32>,
    pub unknown: Vec<u32>,
    pub flags: Vec<Flags>,
    pub status: Vec<Status>,
}

/// The record has no vector.
pub(super) const NO_ROW: u32 = u32::MAX;

/// Reads one part of the table group by group. It must hold `rows` records whose vectors are among `vectors`.
pub(super) fn read_groups(
    path: &Path,
    rows: usize,
    vectors: usize,
    mut each: impl FnMut(&IdGroup) -> Result<()>,
) -> Result<()> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let reader = decoded(path, || parquet_footer::open(file))?;
    let mut found = 0;
    for i in 0..reader.num_row_groups() {
        check_interrupt()?;
        let mut group = IdGroup::default();
        decoded(path, || reader.get_row_group(i).and_then(|columns| group.read(&*columns, vectors)))?;
        found += group.ends.len();
        each(&group)?;
    }
    if found == rows {
        return Ok(());
    }
    Err(damaged(path, &format!("it holds {found} records, the manifest says {rows}")))
}

impl IdGroup {
    /// The ids in their order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.ids[start..end])
    }

    fn read(&mut self, group: &dyn RowGroupReader, vectors: usize) -> Result<(), ParquetError> {
        let n = usize::try_from(group.metadata().num_rows())?;
        if n > GROUP {
            return Err(ParquetError::General(format!("it has a row group of {n} records, more than {GROUP}")));
        }
        let invalid = |what: &str| ParquetError::General(format!("a record has an unknown {what}"));
        for id in read_column::<ByteArrayType>(group, 0, n)?.0 {
            self.ids.push_str(id.as_utf8()?);
            self.ends.push(self.ids.len());
        }
        let (rows, present) = read_column::<Int64Type>(group, 1, n)?;
        let mut rows = rows.into_iter();
        for present in present {
            let row = if present == 1 { rows.next() } else { Some(i64::from(NO_ROW)) };
            let row = row.and_then(|row| u32::try_from(row).ok()).ok_or_else(|| invalid("row"))?;
            if row != NO_ROW && row as usize >= vectors {
                return Err(invalid("row"));
            }
            self.rows.push(row);
        }
        for digest in read_column::<ByteArrayType>(group, 2, n)?.0 {
            self.digests.push(from_hex(digest.data()).ok_or_else(|| invalid("digest"))?);
        }
        self.lengths.extend(read_column::<Int32Type>(group, 3, n)?.0.into_iter().map(|x| x as u32));
        self.unknown.extend(read_column::<Int32Type>(group, 4, n)?.0.into_iter().map(|x| x as u32));
        for flags in read_column::<ByteArrayType>(group, 5, n)?.0 {
            self.flags.push(Flags::from_names(flags.as_utf8()?).ok_or_else(|| invalid("flag"))?);
        }
        for (status, row) in read_column::<ByteArrayType>(group, 6, n)?.0.iter().zip(&self.rows) {
            let status = Status::from_name(status.as_utf8()?).ok_or_else(|| invalid("status"))?;
            if (status == Status::Ok) == (*row == NO_ROW) {
                return Err(invalid("row for its status"));
            }
            self.status.push(status);
        }
        Ok(())
    }
}

/// The `n` values of a column of a row group, and for an optional one whether each is present.
fn read_column<T: DataType>(
    group: &dyn RowGroupReader,
    column: usize,
    n: usize,
) -> Result<(Vec<T::T>, Vec<i16>), ParquetError> {
    let mut reader = parquet::column::reader::get_typed_column_reader::<T>(group.get_column_reader(column)?);
    let (mut values, mut present) = (Vec::new(), Vec::new());
    let (records, _, _) = reader.read_records(n, Some(&mut present), None, &mut values)?;
    if records == n { Ok((values, present)) } else { Err(ParquetError::EOF("a column is short".into())) }
}

fn decoded<T>(path: &Path, decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T> {
    quietly(decode)
        .unwrap_or_else(|| Err(ParquetError::General("it cannot be decoded".into())))
        .map_err(|e| failure("read", path, e))
}

fn failure(action: &'static str, path: &Path, error: ParquetError) -> Error {
    match system_error(error) {
        Ok(io) => Error::io(action, path)(io),
        Err(other) => damaged(path, &other.to_string()),
    }
}

/// What the operating system said, where that is what a Parquet error wraps: a full disk must be told from damage.
pub(crate) fn system_error(error: ParquetError) -> Result<std::io::Error, ParquetError> {
    match error {
        ParquetError::External(inner) => inner.downcast().map(|io| *io).map_err(ParquetError::External),
        other => Err(other),
    }
}

fn damaged(path: &Path, reason: &str) -> Error {
    Error::format(path, format!("damaged table of records: {reason}"), "run 'biollmnet verify' on the store")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(path: &Path, rows: usize) -> Result<Vec<usize>> {
        let mut sizes = Vec::new();
        read_groups(path, rows, 1, |group| {
            sizes.push(group.ends.len());
            Ok(())
        })?;
        Ok(sizes)
    }

    fn texts(text: &str, n: usize) -> Texts {
        let mut texts = Texts::default();
        (0..n).for_each(|_| texts.push(text));
        texts
    }

    #[test]
    fn long_ids_end_a_group_early() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids.parquet");
        let mut writer = IdsWriter::create(path.clone()).unwrap();
        let id = "x".repeat(crate::seq::MAX_ID);
        let digest = [0; DIGEST_BYTES];
        let record = NewRecord { id: &id, line: 1, digest, length: 4, unknown: 0, flags: Flags::default() };
        let whole = GROUP_IDS / id.len();
        (0..=2 * whole).for_each(|_| writer.push(&record, Some(0), Status::Ok).unwrap());
        assert_eq!(writer.finish().unwrap(), 2 * whole + 1);
        assert_eq!(groups(&path, 2 * whole + 1).unwrap(), [whole, whole, 1]);
    }

    #[test]
    fn a_group_beyond_the_limit_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids.parquet");
        for n in [GROUP, GROUP + 1] {
            let mut writer = IdsWriter::create(path.clone()).unwrap();
            let group = Columns {
                id: texts("x", n),
                has_row: vec![0; n],
                digest: texts(&to_hex(&[0; DIGEST_BYTES]), n),
                length: vec![0; n],
                unknown: vec![0; n],
                flags: texts("", n),
                status: texts(Status::NoSequence.name(), n),
                ..Columns::default()
            };
            write_columns(&mut writer.file, group).unwrap();
            writer.finish().unwrap();
            let read = groups(&path, n);
            assert_eq!(read.is_ok(), n == GROUP);
            let refused = |e: Error| e.to_string().contains("a row group of 65537 records, more than 65536");
            assert!(read.is_ok() || read.is_err_and(refused));
        }
    }
}
