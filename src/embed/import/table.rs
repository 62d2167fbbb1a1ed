//! CSV and TSV: an id, then numbers; a header is told by its second column, which is no number.

use std::path::Path;

use super::sink::Sink;
use crate::data::table::Table;
use crate::error::{Error, Result};
use crate::files::input::Input;

const HELP: &str = "write one record a line: an id, then the numbers, separated by tabs or commas";

/// Memory: one line, of at most [`MAX_LINE`](crate::files::input::MAX_LINE) bytes, some 80 000 numbers.
pub(super) fn import(source: &Path, sink: &mut Sink) -> Result<()> {
    let mut input = Input::open(source)?;
    if input.chunk()?.split(|&byte| byte == b'\n').next().unwrap_or_default().contains(&0) {
        return Err(Error::format(source, "is neither text nor a known format of vectors", HELP));
    }
    let mut table = Table::new(input, HELP)?;
    let (mut next, mut vector) = (Some(table.first_line), Vec::new());
    while let Some(line) = next {
        let mut cells = Vec::with_capacity(table.row.len());
        for cell in &table.row {
            let cell = std::str::from_utf8(cell);
            cells.push(cell.map_err(|_| Error::record(source, line, "", "this is not UTF-8 text", HELP))?);
        }
        let id = cells.first().copied().unwrap_or_default();
        let header = line == table.first_line && cells.get(1).is_some_and(|cell| parse(cell).is_none());
        if !header {
            vector.clear();
            for (cell, column) in cells.iter().zip(1..).skip(1) {
                let reason =
                    || format!("column {column}: '{}' is no number", cell.chars().take(40).collect::<String>());
                vector.push(parse(cell).ok_or_else(|| Error::record(source, line, id, reason(), HELP))?);
            }
            if vector.is_empty() {
                return Err(Error::record(source, line, id, "there is no number behind the id", HELP));
            }
            sink.push(id, line, &vector)?;
        }
        next = table.next_row()?;
    }
    Ok(())
}

/// Empty cells are missing numbers: NaN, which refuses the record.
fn parse(cell: &str) -> Option<f32> {
    if cell.is_empty() { Some(f32::NAN) } else { cell.parse().ok() }
}
