//! Rows of a pairs file that are left out, and why.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use super::PairTable;

/// A row of a pairs file that is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// 0-based data row (the header is not counted).
    pub row0: u32,
    /// 1-based line of the file.
    pub line: u64,
    /// RNA id, as far as it could be read.
    pub rna: String,
    /// Partner id, as far as it could be read.
    pub partner: String,
    /// Why.
    pub reason: RejectReason,
    /// The offending text or the row that it repeats; may be empty.
    pub detail: String,
}

/// Why a row is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RejectReason {
    /// More or fewer fields than the header.
    WrongFieldCount,
    /// One of the ids is empty.
    EmptyId,
    /// An id is not UTF-8 or holds control characters.
    BadId,
    /// The only label is empty.
    NoLabel,
    /// A label is not a finite number.
    BadLabel,
    /// One of several labels is none of 0, 1 and empty.
    LabelNotBinary,
    /// The same ids and labels as an earlier row.
    Duplicate,
    /// No vector for the RNA id.
    UnknownRna,
    /// No vector for the partner id.
    UnknownPartner,
}

impl RejectReason {
    /// Stable name for tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongFieldCount => "wrong-field-count",
            Self::EmptyId => "empty-id",
            Self::BadId => "bad-id",
            Self::NoLabel => "no-label",
            Self::BadLabel => "bad-label",
            Self::LabelNotBinary => "label-not-binary",
            Self::Duplicate => "duplicate",
            Self::UnknownRna => "unknown-rna",
            Self::UnknownPartner => "unknown-partner",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PairTable {
    /// Number of rejected rows by reason.
    #[must_use]
    pub fn rejected_by_reason(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for reject in &self.rejects {
            *counts.entry(reject.reason.name()).or_default() += 1;
        }
        counts
    }

    /// Writes the rejected rows, then the contradictory ones (which are kept), as TSV with a header.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_rejects(&self, out: impl Write) -> io::Result<()> {
        let mut out = csv::WriterBuilder::new().delimiter(b'\t').from_writer(out);
        out.write_record(["row0", "line", "rna_id", "partner_id", "reason", "detail"])?;
        for r in &self.rejects {
            let (row0, line) = (r.row0.to_string(), r.line.to_string());
            out.write_record([&row0, &line, &r.rna, &r.partner, r.reason.name(), &r.detail])?;
        }
        let by_row0 = |row0: &u32| self.rows.binary_search_by_key(row0, |row| row.row0).ok();
        for i in self.contradictory.iter().flat_map(|pair| &pair.rows).filter_map(by_row0) {
            let row = &self.rows[i];
            let labels: Vec<String> = row.labels.iter().map(f32::to_string).collect();
            let detail = format!("kept, label {}", labels.join(","));
            let (row0, line) = (row.row0.to_string(), row.line.to_string());
            out.write_record([&row0, &line, &row.rna, &row.partner, "contradictory", &detail])?;
        }
        out.flush()
    }
}
