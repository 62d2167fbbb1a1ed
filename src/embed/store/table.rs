//! The table of records of an open store: one column each, on disk where it is long.

use std::path::Path;

use super::ids::{NO_ROW, read_groups};
use super::record::{Flags, Status, StoredRecord};
use crate::error::Result;
use crate::files::column::{Column, ColumnWriter};
use crate::seq::DIGEST_BYTES;

/// All records of a store.
pub(super) struct RecordTable {
    /// All ids, one after the other, and where each ends.
    ids: Column<u8>,
    ends: Column<u64>,
    /// [`NO_ROW`] for refused records.
    rows: Column<u32>,
    digests: Column<[u8; DIGEST_BYTES]>,
    /// Letters, and those outside the alphabet.
    lengths: Column<[u32; 2]>,
    /// Flags and status.
    marks: Column<[u8; 2]>,
}

/// The table being read from its parts.
#[derive(Default)]
pub(super) struct TableReader {
    ids: ColumnWriter<u8>,
    ends: ColumnWriter<u64>,
    rows: ColumnWriter<u32>,
    digests: ColumnWriter<[u8; DIGEST_BYTES]>,
    lengths: ColumnWriter<[u32; 2]>,
    marks: ColumnWriter<[u8; 2]>,
    /// The row that comes next, as long as rows are in the order of the records that have them.
    next: u32,
    strayed: bool,
}

impl TableReader {
    /// Appends one part, which must hold `rows` records whose vectors are among `vectors`.
    pub fn append(&mut self, path: &Path, rows: usize, vectors: usize) -> Result<()> {
        read_groups(path, rows, vectors, |group| {
            let before = self.ids.len() as u64;
            self.ids.extend(group.ids.as_bytes())?;
            self.ends.extend(&group.ends.iter().map(|&end| before + end as u64).collect::<Vec<_>>())?;
            self.rows.extend(&group.rows)?;
            self.digests.extend(&group.digests)?;
            let lengths: Vec<_> = group.lengths.iter().zip(&group.unknown).map(|(&n, &unknown)| [n, unknown]).collect();
            self.lengths.extend(&lengths)?;
            let marks: Vec<_> =
                group.flags.iter().zip(&group.status).map(|(flags, status)| [flags.bits(), *status as u8]).collect();
            self.marks.extend(&marks)?;
            for &row in group.rows.iter().filter(|row| **row != NO_ROW) {
                self.strayed |= row > self.next;
                self.next += u32::from(row == self.next);
            }
            Ok(())
        })
    }

    /// The table, with the rows numbered in the order in which records first have them. That is the order of the vectors in
    /// their parts unless shards were merged that have sequences in common; then where each row lies among `vectors` is
    /// returned, too.
    pub fn finish(self, vectors: usize) -> Result<(RecordTable, Option<Vec<u32>>)> {
        let mut table = RecordTable {
            ids: self.ids.finish()?,
            ends: self.ends.finish()?,
            rows: self.rows.finish()?,
            digests: self.digests.finish()?,
            lengths: self.lengths.finish()?,
            marks: self.marks.finish()?,
        };
        if !self.strayed && self.next as usize == vectors {
            return Ok((table, None));
        }
        let (rows, places) = number_rows(&table.rows, vectors)?;
        table.rows = rows;
        Ok((table, Some(places)))
    }
}

impl RecordTable {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Record `index < len()`.
    pub fn record(&self, index: usize) -> StoredRecord<'_> {
        let (row, [length, unknown], [flags, status]) = (self.rows[index], self.lengths[index], self.marks[index]);
        StoredRecord {
            id: self.id(index),
            row: (row != NO_ROW).then_some(row as usize),
            digest: self.digests[index],
            length,
            unknown,
            flags: Flags::from_bits(flags),
            status: Status::ALL[usize::from(status)],
        }
    }

    /// Its id.
    pub fn id(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        // It was text when it was read.
        std::str::from_utf8(&self.ids[start as usize..self.ends[index] as usize]).unwrap_or_default()
    }

    /// What became of it.
    pub fn status(&self, index: usize) -> Status {
        Status::ALL[usize::from(self.marks[index][1])]
    }

    /// Gives back the memory of what has been looked at.
    pub fn release(&self) {
        self.ids.release();
        self.ends.release();
        self.rows.release();
        self.digests.release();
        self.lengths.release();
        self.marks.release();
    }
}

/// The rows of records, numbered in the order in which records first have them, and where each of these lies among the
/// `vectors`.
fn number_rows(of_records: &[u32], vectors: usize) -> Result<(Column<u32>, Vec<u32>)> {
    let mut numbers = vec![NO_ROW; vectors];
    let mut places = Vec::new();
    let mut rows = ColumnWriter::default();
    for &row in of_records {
        if row == NO_ROW {
            rows.push(NO_ROW)?;
            continue;
        }
        let number = &mut numbers[row as usize];
        if *number == NO_ROW {
            *number = places.len() as u32;
            places.push(row);
        }
        rows.push(*number)?;
    }
    Ok((rows.finish()?, places))
}
