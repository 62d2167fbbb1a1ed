//! Delimited text tables, TSV or CSV, as pairs, folds and vectors come in: the first line, then the rows.

use std::path::Path;

use csv::ByteRecord;
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
        table.split();
        table.first = table.row.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
        Ok(table)
    }

    /// Reads the next row into [`Table::row`] and gives its line; `None` at the end. Blank lines are passed over.
    pub(crate) fn next_row(&mut self) -> Result<Option<u64>> {
        if !self.next_text()? {
            return Ok(None);
        }
        self.split();
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

    fn split(&mut self) {
        self.row.clear();
        if memchr(b'"', &self.text).is_none() {
            for field in self.text.split(|&byte| byte == self.delimiter) {
                self.row.push_field(field.trim_ascii());
            }
        } else {
            split_quoted(&self.text, self.delimiter, &mut self.row);
        }
    }
}

/// Splits a line whose fields may begin with a quote; `""` within quotes is one quote. What follows a closing quote belongs
/// to the field as it stands, and a quote that is never closed ends with the line.
///
/// By hand, since the reader of the crate `csv` is made for whole files: one made anew for each line costs far
/// more than the line.
fn split_quoted(line: &[u8], delimiter: u8, row: &mut ByteRecord) {
    let mut field = Vec::new();
    let mut rest = Some(line);
    while let Some(mut text) = rest {
        field.clear();
        if let Some(quoted) = text.strip_prefix(b"\"") {
            text = take_quoted(quoted, &mut field);
        }
        let end = memchr(delimiter, text);
        field.extend_from_slice(&text[..end.unwrap_or(text.len())]);
        row.push_field(field.trim_ascii());
        rest = end.map(|end| &text[end + 1..]);
    }
}

/// Appends what stands before the closing quote of `text` to `field`; what is left behind that quote.
fn take_quoted<'a>(mut text: &'a [u8], field: &mut Vec<u8>) -> &'a [u8] {
    while let Some(quote) = memchr(b'"', text) {
        field.extend_from_slice(&text[..quote]);
        text = &text[quote + 1..];
        let Some(after) = text.strip_prefix(b"\"") else { return text };
        field.push(b'"');
        text = after;
    }
    field.extend_from_slice(text);
    &[]
}

fn delimiter(path: &Path, line: &[u8]) -> u8 {
    let has_extension = |path: &Path, wanted: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(wanted));
    let inner = if has_extension(path, "gz") { Path::new(path.file_stem().unwrap_or_default()) } else { path };
    let promised = if has_extension(inner, "csv") { b',' } else { b'\t' };
    [promised, b'\t', b',', b';'].into_iter().find(|delimiter| line.contains(delimiter)).unwrap_or(promised)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Quotes are read as the crate `csv` reads them.
        #[test]
        fn quoted_lines_are_split_as_csv_does(line in "[ab\",; é]{0,30}") {
            prop_assume!(line.contains('"'));
            let mut builder = csv::ReaderBuilder::new();
            builder.has_headers(false).delimiter(b';').trim(csv::Trim::All).terminator(csv::Terminator::Any(b'\n'));
            let mut expected = ByteRecord::new();
            builder.from_reader(line.as_bytes()).read_byte_record(&mut expected).unwrap();
            let mut row = ByteRecord::new();
            split_quoted(line.as_bytes(), b';', &mut row);
            prop_assert_eq!(row.iter().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        }
    }
}
