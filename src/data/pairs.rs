//! The pairs file: ids of an RNA and a partner, labels, and whatever else a row carries.

use std::path::{Path, PathBuf};

use csv::ByteRecord;

use super::columns::Positions;
use super::table::Table;
use super::{Columns, Reject, RejectReason, Task};
use crate::error::{Error, Result};
use crate::files::input::Input;

mod repeats;

const NOT_PAIRS: &str = "give a TSV or CSV file with a header and the columns rna, partner, label";

/// The pairs of one file.
///
/// A row that cannot be used is in `rejects`; every other one is in `rows`, in file order. Of rows with the same ids
/// and labels the first is kept. Rows with the same ids and *different* labels are all kept, since nothing tells
/// which one is right, and listed in `contradictory`.
#[derive(Debug, Clone, PartialEq)]
pub struct PairTable {
    /// The path as it was given.
    pub path: PathBuf,
    /// Names of all columns.
    pub header: Vec<String>,
    /// The usable rows.
    pub rows: Vec<PairRow>,
    /// Names of the label columns; empty without labels.
    pub label_names: Vec<String>,
    /// Names of the columns that are neither id nor label.
    pub extra_names: Vec<String>,
    /// The rows that are left out, in file order.
    pub rejects: Vec<Reject>,
    /// Pairs of ids that occur with different labels.
    pub contradictory: Vec<Contradiction>,
}

/// One usable row.
#[derive(Debug, Clone, PartialEq)]
pub struct PairRow {
    /// 0-based data row of the file; the header and blank lines are not counted, rejected rows are.
    pub row0: u32,
    /// 1-based line of the file.
    pub line: u64,
    /// Id of the RNA.
    pub rna: String,
    /// Id of the partner.
    pub partner: String,
    /// One value per label column; NaN = unknown, with several label columns only.
    pub labels: Vec<f32>,
    /// Fields of the columns that are neither id nor label.
    pub extra: Vec<String>,
}

/// One pair of ids with different labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// Id of the RNA.
    pub rna: String,
    /// Id of the partner.
    pub partner: String,
    /// 0-based data rows ([`PairRow::row0`]) of all kept rows with these ids.
    pub rows: Vec<u32>,
}

impl PairTable {
    /// Reads a pairs file, TSV or CSV, plain or gzip, or standard input for `-`.
    ///
    /// # Errors
    /// Those of [`Input::open`]; [`Error::Format`] and [`Error::Record`] when the file is empty, not text, has no
    /// row, or its header lacks a column. A wrong row is no error: see [`PairTable::rejects`].
    pub fn read(path: &Path, columns: &Columns) -> Result<Self> {
        Self::from_input(Input::open(path)?, columns)
    }

    /// The same for an input that is open.
    ///
    /// # Errors
    /// Those of [`PairTable::read`].
    pub fn from_input(input: Input, columns: &Columns) -> Result<Self> {
        let path = input.path().to_path_buf();
        let mut table = Table::new(input, NOT_PAIRS)?;
        let positions = columns.locate(&table.first, &path, table.first_line)?;
        refuse_missing_header(&table, &positions, &path)?;
        let header = std::mem::take(&mut table.first);
        let names = |places: &[usize]| places.iter().map(|&i| header[i].clone()).collect();
        let id_or_label = |i: &usize| *i == positions.rna || *i == positions.partner || positions.labels.contains(i);
        let extras: Vec<usize> = (0..header.len()).filter(|i| !id_or_label(i)).collect();
        let (label_names, extra_names) = (names(&positions.labels), names(&extras));
        let mut rows = Vec::new();
        let mut rejects = Vec::new();
        let mut row0 = 0;
        while let Some(line) = table.next_row()? {
            match parse_row(&table.row, &positions, &extras, row0, line) {
                Ok(row) => rows.push(row),
                Err(reject) => rejects.push(reject),
            }
            row0 = row0.checked_add(1).ok_or_else(|| {
                Error::record(&path, line, "", "more rows than a 32-bit number counts", "split the file")
            })?;
        }
        if row0 == 0 {
            return Err(Error::format(path, "the file has a header and no row", NOT_PAIRS));
        }
        let mut pairs = Self { path, header, rows, label_names, extra_names, rejects, contradictory: Vec::new() };
        pairs.settle_repeats();
        Ok(pairs)
    }

    /// What the labels ask for: several columns are a multi-label task; one column is binary when all of its values
    /// are 0 or 1, else a regression. `None` without labels.
    #[must_use]
    pub fn task(&self) -> Option<Task> {
        match self.label_names.len() {
            0 => None,
            1 if self.rows.iter().all(|row| is_binary(row.labels[0])) => Some(Task::Binary),
            1 => Some(Task::Regression),
            _ => Some(Task::MultiLabel),
        }
    }

    /// For prediction: refuses a table of which every row was rejected.
    ///
    /// # Errors
    /// [`Error::Record`] with the first rejected row.
    pub fn check_rows(&self) -> Result<()> {
        match self.rejects.first() {
            Some(first) if self.rows.is_empty() => Err(Error::record(
                &self.path,
                first.line,
                "",
                format!(
                    "all {} rows are rejected, the first one as {} {}",
                    self.rejects.len(),
                    first.reason,
                    first.detail
                )
                .trim_end(),
                "check the columns (--columns) and the labels of the file",
            )),
            _ => Ok(()),
        }
    }

    /// For testing: refuses a table without labels.
    ///
    /// # Errors
    /// Those of [`PairTable::check_rows`]; [`Error::Format`] when there is no label column.
    pub fn check_labelled(&self) -> Result<()> {
        self.check_rows()?;
        if self.label_names.is_empty() {
            let help = "add a third column with labels, or name it with --columns label=NAME";
            return Err(Error::format(&self.path, "the file has no label column", help));
        }
        Ok(())
    }

    /// For training: refuses a table from which nothing can be learnt.
    ///
    /// # Errors
    /// Those of [`PairTable::check_labelled`]; [`Error::Format`] when a label column has one value only.
    pub fn check_trainable(&self) -> Result<()> {
        self.check_labelled()?;
        for (i, name) in self.label_names.iter().enumerate() {
            let mut known = self.rows.iter().map(|row| row.labels[i]).filter(|label| !label.is_nan());
            let first = known.next();
            if let Some(first) = first
                && known.any(|label| label != first)
            {
                continue;
            }
            let found = first.map_or("no value".to_owned(), |value| format!("the value {value} only"));
            let help = if self.label_names.len() > 1 {
                "leave this column out of --columns label=…"
            } else {
                "training needs rows of both classes, or different values: add negatives (label 0) and positives (label 1)"
            };
            return Err(Error::format(&self.path, format!("the label column '{name}' has {found}"), help));
        }
        Ok(())
    }
}

fn is_binary(label: f32) -> bool {
    label == 0.0 || label == 1.0
}

/// A header whose label is a number is a row of data, which would be lost silently.
fn refuse_missing_header(table: &Table, positions: &Positions, path: &Path) -> Result<()> {
    match positions.labels.iter().find(|&&i| table.first[i].parse::<f32>().is_ok()) {
        Some(&i) => Err(Error::record(
            path,
            table.first_line,
            "",
            format!("the first line has the number '{}' where the name of the label belongs", table.first[i]),
            "put a header line before the rows, e.g. rna, partner, label",
        )),
        None => Ok(()),
    }
}

fn parse_row(
    fields: &ByteRecord,
    positions: &Positions,
    extras: &[usize],
    row0: u32,
    line: u64,
) -> Result<PairRow, Reject> {
    let text = |i: usize| String::from_utf8_lossy(fields.get(i).unwrap_or_default()).into_owned();
    let (rna, partner) = (text(positions.rna), text(positions.partner));
    let n_columns = 2 + positions.labels.len() + extras.len();
    let bad = |i: usize, id: &str| fields.get(i) != Some(id.as_bytes()) || id.chars().any(char::is_control);
    let fault = if fields.len() != n_columns {
        Some((RejectReason::WrongFieldCount, format!("{} fields, the header has {n_columns}", fields.len())))
    } else if rna.is_empty() || partner.is_empty() {
        Some((RejectReason::EmptyId, String::new()))
    } else if bad(positions.rna, &rna) || bad(positions.partner, &partner) {
        Some((RejectReason::BadId, "not UTF-8, or a control character".to_owned()))
    } else {
        None
    };
    let several = positions.labels.len() > 1;
    let labels = match fault {
        Some(fault) => Err(fault),
        None => positions.labels.iter().map(|&i| parse_label(&text(i), several)).collect(),
    };
    match labels {
        Ok(labels) => {
            Ok(PairRow { row0, line, rna, partner, labels, extra: extras.iter().map(|&i| text(i)).collect() })
        }
        Err((reason, detail)) => Err(Reject { row0, line, rna, partner, reason, detail }),
    }
}

fn parse_label(text: &str, several: bool) -> Result<f32, (RejectReason, String)> {
    match text.parse::<f32>() {
        Ok(label) if label.is_finite() && (!several || is_binary(label)) => Ok(label),
        Ok(label) if label.is_finite() => Err((RejectReason::LabelNotBinary, text.to_owned())),
        _ if text.is_empty() && several => Ok(f32::NAN),
        _ if text.is_empty() => Err((RejectReason::NoLabel, String::new())),
        _ => Err((RejectReason::BadLabel, text.to_owned())),
    }
}

#[cfg(test)]
mod tests;
