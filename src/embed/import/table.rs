//! CSV and TSV: an id, then numbers; a header is told by its second column, which is no number.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

use super::sink::Sink;
use crate::error::{Error, Result};
use crate::files::input::Input;

const HELP: &str = "write one record a line: an id, then the numbers, separated by tabs or commas";

pub(super) fn import(source: &Path, sink: &mut Sink) -> Result<()> {
    let mut input = Input::open(source)?;
    let first_line = input.chunk()?.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if first_line.contains(&0) {
        return Err(Error::format(source, "is neither text nor a known format of vectors", HELP));
    }
    let delimiter = if first_line.contains(&b'\t') { b'\t' } else { b',' };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(input);
    let (mut row, mut vector) = (StringRecord::new(), Vec::new());
    let mut first = true;
    while reader.read_record(&mut row).map_err(|e| failure(source, e))? {
        let line = row.position().map_or(0, csv::Position::line);
        let id = row.get(0).unwrap_or_default();
        let header = std::mem::take(&mut first) && row.get(1).is_some_and(|cell| parse(cell).is_none());
        if header {
            continue;
        }
        vector.clear();
        for (column, cell) in row.iter().enumerate().skip(1) {
            let reason =
                || format!("column {}: '{}' is no number", column + 1, cell.chars().take(40).collect::<String>());
            vector.push(parse(cell).ok_or_else(|| Error::record(source, line, id, reason(), HELP))?);
        }
        if vector.is_empty() {
            return Err(Error::record(source, line, id, "there is no number behind the id", HELP));
        }
        sink.push(id, line, &vector)?;
    }
    Ok(())
}

/// Empty cells are missing numbers: NaN, which refuses the record.
fn parse(cell: &str) -> Option<f32> {
    let cell = cell.trim();
    if cell.is_empty() { Some(f32::NAN) } else { cell.parse().ok() }
}

fn failure(source: &Path, error: csv::Error) -> Error {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(e) => Error::io("read", source)(e),
        csv::ErrorKind::Utf8 { .. } => Error::record(source, line, "", "this is not UTF-8 text", HELP),
        other => Error::record(source, line, "", format!("{other:?}"), HELP),
    }
}
