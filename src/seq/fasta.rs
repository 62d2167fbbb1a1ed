//! A streaming FASTA reader.
//!
//! It is our own because the record is the unit of every promise here: a bad record is a row with a fault and the
//! reading goes on, memory is bounded by one record of at most [`MAX_LETTERS`] letters also for a hostile stream,
//! blanks are dropped and letters judged in the same pass, and each message has its line. Parsers that keep a whole
//! raw record in a growing buffer and stop at the first odd one (as needletail does) cannot give that.

use std::io::BufRead;
use std::path::Path;

use memchr::{memchr, memchr_iter};

use super::alphabet::{BLANK, CONTROL, HEADER, UNKNOWN};
use super::record::id_of;
use super::{Alphabet, RecordFault, SequenceRecord};
use crate::error::{Error, Result};
use crate::files::input::Input;

/// Most letters of one record; a longer one gets [`RecordFault::TooLong`]. Transcripts and proteins stay far below.
pub const MAX_LETTERS: usize = 1 << 27;

/// Bytes of the letters' buffer that outlive a record.
const KEPT_CAPACITY: usize = 1 << 20;

const NOT_FASTA: &str = "give a FASTA file: a line '>id', then lines of sequence, for each record";

/// Reads records one after the other; an iterator over `Result<SequenceRecord>`.
///
/// `Err` is an end: the file cannot be read on. What is wrong with one record alone is in its
/// [`fault`](SequenceRecord::fault).
#[derive(Debug)]
pub struct Reader {
    input: Input,
    alphabet: Alphabet,
    /// Line of the header that comes next.
    line: u64,
    header: Vec<u8>,
    body: Body,
    finished: bool,
}

/// The letters of the record at hand.
#[derive(Debug)]
struct Body {
    /// Most letters, [`MAX_LETTERS`].
    limit: usize,
    letters: Vec<u8>,
    unknown: u32,
    fault: Option<RecordFault>,
}

impl Reader {
    /// Opens a FASTA file, plain or gzip, or standard input for `-`.
    ///
    /// # Errors
    /// Those of [`Input::open`]; [`Error::Format`] and [`Error::Record`] when the file is empty or not FASTA.
    pub fn open(path: &Path, alphabet: Alphabet) -> Result<Self> {
        Self::new(Input::open(path)?, alphabet)
    }

    /// The same for an input that is open.
    ///
    /// # Errors
    /// Those of [`Reader::open`].
    pub fn new(mut input: Input, alphabet: Alphabet) -> Result<Self> {
        let line = find_first_header(&mut input)?;
        let body = Body { limit: MAX_LETTERS, letters: Vec::new(), unknown: 0, fault: None };
        Ok(Self { input, alphabet, line, header: Vec::new(), body, finished: false })
    }

    /// The path as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.input.path()
    }

    /// The input stands behind a `>`.
    fn read_record(&mut self) -> Result<SequenceRecord> {
        let mut record = SequenceRecord { line: self.line, ..SequenceRecord::default() };
        self.input.next_line(&mut self.header, record.line)?;
        (record.id, record.fault) = self.parse_header()?;
        self.line += 1;
        self.body.clear();
        self.read_body(&record)?;
        if self.alphabet == Alphabet::Protein && self.body.letters.last() == Some(&b'*') {
            self.body.letters.pop();
            self.body.unknown -= 1;
            record.dropped_stop = true;
        }
        record.unknown = self.body.unknown;
        let nothing = self.body.letters.is_empty().then_some(RecordFault::NoSequence);
        record.fault = record.fault.or(self.body.fault).or(nothing);
        if record.fault.is_none() {
            record.sequence.extend_from_slice(&self.body.letters);
        }
        Ok(record)
    }

    fn parse_header(&self) -> Result<(String, Option<RecordFault>)> {
        let header = self.header.trim_ascii_end();
        if let Some(&odd) = header.iter().find(|&&byte| byte == b'\r' || byte == 0) {
            let (reason, help) = if odd == 0 {
                ("byte 0x00 in a header: this is not text", NOT_FASTA)
            } else {
                ("lines end with a carriage return alone", "convert the line ends: tr '\\r' '\\n' < OLD > NEW")
            };
            return Err(Error::record(self.path(), self.line, "", reason, help));
        }
        Ok(id_of(header.split(u8::is_ascii_whitespace).next().unwrap_or_default()))
    }

    /// Reads sequence lines up to the next header, which `self.line` then names.
    fn read_body(&mut self, record: &SequenceRecord) -> Result<()> {
        let codes = self.alphabet.codes();
        let mut line_start = true;
        loop {
            let chunk = self.input.chunk()?;
            if chunk.is_empty() {
                self.finished = true;
                return Ok(());
            }
            let mut at = 0;
            let mut odd = None;
            while at < chunk.len() && odd.is_none() {
                if line_start && chunk[at] == b'>' {
                    self.input.consume(at + 1);
                    return Ok(());
                }
                let rest = &chunk[at..];
                let (line, step) = match memchr(b'\n', rest) {
                    Some(end) => (&rest[..end], end + 1),
                    None => (rest, rest.len()),
                };
                odd = self.body.append(codes, line.strip_suffix(b"\r").unwrap_or(line));
                line_start = step > line.len();
                self.line += u64::from(line_start && odd.is_none());
                at += step;
            }
            if let Some(byte) = odd {
                let reason = format!("byte {byte:#04x} in the sequence: this is not text");
                return Err(Error::record(self.path(), self.line, &record.id, reason, NOT_FASTA));
            }
            self.input.consume(at);
        }
    }
}

impl Iterator for Reader {
    type Item = Result<SequenceRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let record = self.read_record();
        self.finished |= record.is_err();
        Some(record)
    }
}

impl Body {
    fn clear(&mut self) {
        self.letters.clear();
        // A long record must not hold its memory for the rest of the file.
        self.letters.shrink_to(KEPT_CAPACITY);
        self.unknown = 0;
        self.fault = None;
    }

    /// Appends the normalised letters of `line`; gives back the first byte that is not text.
    fn append(&mut self, codes: &[u8; 256], line: &[u8]) -> Option<u8> {
        if self.fault == Some(RecordFault::TooLong) {
            return None;
        }
        let start = self.letters.len();
        self.letters.extend(line.iter().map(|&byte| codes[usize::from(byte)]));
        let marks = self.letters[start..].iter().fold(0, |marks, &code| marks | code);
        let odd = if marks & UNKNOWN == 0 { None } else { self.settle_marks(start, line) };
        if self.letters.len() > self.limit {
            self.letters.clear();
            self.fault = Some(RecordFault::TooLong);
        }
        odd
    }

    /// Takes the marks out of the letters from `start` on, which `line` became.
    fn settle_marks(&mut self, start: usize, line: &[u8]) -> Option<u8> {
        let mut kept = start;
        for (i, &byte) in (start..).zip(line) {
            let code = self.letters[i];
            match code {
                BLANK => continue,
                CONTROL => return Some(byte),
                HEADER => self.fault = Some(RecordFault::RunTogether),
                _ => self.unknown += u32::from(code >= UNKNOWN),
            }
            self.letters[kept] = code & !UNKNOWN;
            kept += 1;
        }
        self.letters.truncate(kept);
        None
    }
}

/// Skips blank lines, takes the first `>` and tells its line.
fn find_first_header(input: &mut Input) -> Result<u64> {
    let mut line = 1;
    loop {
        let chunk = input.chunk()?;
        if chunk.is_empty() {
            return Err(Error::format(input.path(), "the file is empty", NOT_FASTA));
        }
        let blank = chunk.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        line += memchr_iter(b'\n', &chunk[..blank]).count() as u64;
        let Some(&first) = chunk.get(blank) else {
            input.consume(blank);
            continue;
        };
        if first == b'>' {
            input.consume(blank + 1);
            return Ok(line);
        }
        let binary = chunk.iter().any(|&byte| byte.is_ascii_control() && !byte.is_ascii_whitespace());
        let (reason, help) = match first {
            _ if binary => ("this is not text", NOT_FASTA),
            b'@' => ("this is FASTQ, not FASTA", "convert it to FASTA first, e.g. with 'seqtk seq -A'"),
            _ => ("text before the first '>' header", NOT_FASTA),
        };
        return Err(Error::record(input.path(), line, "", reason, help));
    }
}

#[cfg(test)]
mod tests;
