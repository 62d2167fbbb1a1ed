//! Delimited text tables, TSV or CSV, as pairs, folds and vectors come in: the first line, then the rows.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};
use memchr::memchr;

use crate::error::{Error, Result};
use crate::files::input::Input;

/// A table whose first line has been read.
///
/// A row is one line: a quoted field may hold the delimiter but no line break, so that an unbalanced quote harms its
/// own row only and every row has a line number that is right.
pub(crate) struct Table {
    /// Fields of the first line that is not blank.
    pub first: Vec<String>,
    /// Its 1-based line.
    pub first_line: u64,
    /// Fields of the row at hand, trimmed.
    pub row: ByteRecord,
    input: Input,
    delimiter: u8,
    text: Vec<u8>,
    line: u64,
}

impl Table {
    /// Reads the first line of `input` and settles the delimiter: the one that the extension promises where the first
    /// line has it, else whichever of tab, comma and semicolon it has.
    pub(crate) fn new(input: Input, help: &str) -> Result<Self> {
        let path = input.path().to_path_buf();
        let (first, row, text) = (Vec::new(), ByteRecord::new(), Vec::new());
        let mut table = Self { first, first_line: 0, row, input, delimiter: b'\t', text, line: 0 };
        if !table.next_text()? {
            return Err(Error::format(path, "the file is empty", help));
        }
        table.first_line = table.line;
        if table.text.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) {
            return Err(Error::record(path, table.line, "", "this is not text", help));
        }
        if table.text.contains(&b'\r') {
            let help = "convert the line ends: tr '\\r' '\\n' < OLD > NEW";
            return Err(Error::record(path, table.line, "", "lines end with a carriage return alone", help));
        }
        table.delimiter = delimiter(&path, &table.text);
        table.split()?;
        table.first = table.row.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
        Ok(table)
    }

    /// Reads the next row into [`Table::row`] and gives its line; `None` at the end. Blank lines are passed over.
    pub(crate) fn next_row(&mut self) -> Result<Option<u64>> {
        if !self.next_text()? {
            return Ok(None);
        }
        self.split()?;
        Ok(Some(self.line))
    }

    /// Reads the next line that is not blank into `text`, without its line end; false at the end.
    fn next_text(&mut self) -> Result<bool> {
        loop {
            if !self.input.next_line(&mut self.text, self.line + 1)? {
                return Ok(false);
            }
            self.line += 1;
            for end in [b'\n', b'\r'] {
                self.text.pop_if(|last| *last == end);
            }
            if self.text.iter().any(|&byte| byte != b' ') {
                return Ok(true);
            }
        }
    }

    fn split(&mut self) -> Result<()> {
        self.row.clear();
        if memchr(b'"', &self.text).is_none() {
            for field in self.text.split(|&byte| byte == self.delimiter) {
                self.row.push_field(field.trim_ascii());
            }
            return Ok(());
        }
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).delimiter(self.delimiter).trim(csv::Trim::All);
        builder.terminator(csv::Terminator::Any(b'\n'));
        builder.from_reader(self.text.as_slice()).read_byte_record(&mut self.row).map(drop).map_err(|error| {
            let help = "write the table as plain TSV";
            Error::record(self.input.path(), self.line, "", error.to_string(), help)
        })
    }
}

fn delimiter(path: &Path, line: &[u8]) -> u8 {
    let has_extension = |path: &Path, wanted: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(wanted));
    let inner = if has_extension(path, "gz") { Path::new(path.file_stem().unwrap_or_default()) } else { path };
    let promised = if has_extension(inner, "csv") { b',' } else { b'\t' };
    [promised, b'\t', b',', b';'].into_iter().find(|delimiter| line.contains(delimiter)).unwrap_or(promised)
}
