//! `rejects.tsv`: the records that were refused, made when there is a first one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use super::record::{NewRecord, Status};
use crate::error::{Error, LONGEST_ID, Result, shortened};

/// Refused records that an error message quotes.
const QUOTED: usize = 3;

pub(super) struct Rejects {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    pub counts: BTreeMap<String, usize>,
    /// The first few, for a message.
    pub quoted: Vec<String>,
}

impl Rejects {
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, counts: BTreeMap::new(), quoted: Vec::new() }
    }

    pub fn add(&mut self, record: &NewRecord, status: Status, reason: &str) -> Result<()> {
        let earlier = !self.counts.is_empty();
        *self.counts.entry(status.name().to_owned()).or_insert(0) += 1;
        if self.quoted.len() < QUOTED {
            self.quoted.push(format!("'{}': {reason}", shortened(record.id, LONGEST_ID)));
        }
        let file = match &mut self.file {
            Some(file) => file,
            slot => {
                let opened = File::options().append(true).create(true).open(&self.path);
                let mut file = BufWriter::new(opened.map_err(Error::io("create", &self.path))?);
                if !earlier {
                    writeln!(file, "line\tid\tstatus\treason").map_err(Error::io("write", &self.path))?;
                }
                slot.insert(file)
            }
        };
        // An id may hold anything; a table has one line a record.
        let id = record.id.replace(['\t', '\n', '\r'], " ");
        let reason = reason.replace(['\t', '\n', '\r'], " ");
        let line = if record.line == 0 { String::new() } else { record.line.to_string() };
        writeln!(file, "{line}\t{id}\t{}\t{reason}", status.name()).map_err(Error::io("write", &self.path))
    }

    /// Goes on behind what an earlier process has listed.
    pub fn take_up(&mut self, counts: BTreeMap<String, usize>) {
        self.counts = counts;
    }

    /// Writes what waits.
    pub fn flush(&mut self) -> Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush).map_err(Error::io("write", &self.path))
    }

    /// Flushes; returns the number of refused records.
    pub fn finish(&mut self) -> Result<usize> {
        self.flush()?;
        Ok(self.counts.values().sum())
    }
}
