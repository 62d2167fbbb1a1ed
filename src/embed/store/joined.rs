//! The tables of records of shards become one: what each record would be had one process read all of them.

use std::collections::BTreeMap;
use std::path::Path;

use super::Part;
use super::claims::{Claim, Claims};
use super::ids::{IdsWriter, NO_ROW, read_groups};
use super::record::{NewRecord, Status};
use super::rejects::Rejects;
use super::writer::{REJECTS, every_record_refused, ids_path, refusal_of};
use crate::error::{Error, Result};
use crate::files::OutputFolder;

/// One table for all shards, being written.
///
/// A shard knows its own records only. Which of them repeat an id or a sequence of an earlier shard is found here, by the
/// rules of [`StoreWriter`](super::StoreWriter). An id that is taken within a shard is taken in the whole, and what a shard
/// could not encode, the whole could not: so every record that is accepted here has a vector.
pub(in crate::embed) struct JoinedTable {
    claims: Claims,
    ids: IdsWriter,
    rejects: Rejects,
    /// Vectors of the shards before the one at hand.
    before: usize,
    vectors: usize,
}

/// What the table amounts to.
pub(in crate::embed) struct Joined {
    /// Distinct sequences.
    pub vectors: usize,
    pub refused: BTreeMap<String, usize>,
    pub ids: Vec<Part>,
}

impl JoinedTable {
    pub fn create(folder: &OutputFolder) -> Result<Self> {
        Ok(Self {
            claims: Claims::new(&folder.staging()),
            ids: IdsWriter::create(folder.place(&ids_path(0))?)?,
            rejects: Rejects::new(folder.place(REJECTS)?),
            before: 0,
            vectors: 0,
        })
    }

    /// Appends the table of a shard that has `vectors`; `reason` gives line and reason of its next refused record.
    pub fn append(
        &mut self,
        path: &Path,
        rows: usize,
        vectors: usize,
        mut reason: impl FnMut() -> Option<(u64, String)>,
    ) -> Result<()> {
        read_groups(path, rows, vectors, |group| {
            for (i, id) in group.ids().enumerate() {
                let refused = (group.status[i] != Status::Ok).then(|| reason().unwrap_or_default());
                let record = NewRecord {
                    id,
                    line: refused.as_ref().map_or(0, |(line, _)| *line),
                    digest: group.digests[i],
                    length: group.lengths[i],
                    unknown: group.unknown[i],
                    flags: group.flags[i],
                };
                let row = (group.rows[i] != NO_ROW).then_some(group.rows[i] as usize);
                self.add(path, &record, group.status[i], row, refused.map(|(_, reason)| reason))?;
            }
            Ok(())
        })
    }

    fn add(
        &mut self,
        path: &Path,
        record: &NewRecord,
        status: Status,
        row: Option<usize>,
        reason: Option<String>,
    ) -> Result<()> {
        // Any other refusal came before the id was looked at.
        let by_id = matches!(status, Status::Ok | Status::DuplicateId | Status::ConflictingId | Status::Nonfinite);
        let claim = self.claims.look(record.id, record.digest)?;
        if let Some((repeated, words)) = refusal_of(claim).filter(|_| by_id) {
            let reason = if repeated == status { reason.unwrap_or_else(|| words.to_owned()) } else { words.to_owned() };
            return self.refuse(record, repeated, &reason);
        }
        match (status, row, claim) {
            (Status::Ok, Some(_), Claim::Known(row)) => self.accept(record, row),
            (Status::Ok, Some(row), _) => {
                let row = u32::try_from(self.before + row).ok().filter(|&row| row != NO_ROW);
                let row = row.ok_or_else(|| Error::data("more than 4 294 967 294 vectors", "merge fewer shards"))?;
                self.vectors += 1;
                self.accept(record, row)
            }
            (Status::DuplicateId | Status::ConflictingId, ..) => Err(Error::format(
                path,
                format!("'{}' is listed as a repeated id, and no record before it has this id", record.id),
                "remove the folder of the shard, and run it again",
            )),
            _ => self.refuse(record, status, &reason.unwrap_or_default()),
        }
    }

    fn accept(&mut self, record: &NewRecord, row: u32) -> Result<()> {
        self.claims.take(record.id, record.digest, row)?;
        self.ids.push(record, Some(row), Status::Ok)
    }

    fn refuse(&mut self, record: &NewRecord, status: Status, reason: &str) -> Result<()> {
        self.rejects.add(record, status, reason)?;
        self.ids.push(record, None, status)
    }

    /// A shard of so many vectors has ended.
    pub fn end_shard(&mut self, vectors: usize) {
        self.before += vectors;
    }

    /// Ends the table.
    ///
    /// # Errors
    /// [`Error::Data`] when no record was accepted; [`Error::Io`].
    pub fn finish(mut self) -> Result<Joined> {
        self.rejects.finish()?;
        if self.vectors == 0 {
            return Err(every_record_refused(&self.rejects));
        }
        let ids = vec![Part { path: ids_path(0), rows: self.ids.finish()? }];
        Ok(Joined { vectors: self.vectors, refused: self.rejects.counts, ids })
    }
}
