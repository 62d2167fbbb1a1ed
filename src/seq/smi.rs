//! A streaming reader of SMILES files: one molecule a line.

use std::path::Path;

use super::SequenceRecord;
use super::record::id_of;
use crate::error::{Error, Result};
use crate::files::input::Input;

const NOT_SMILES: &str = "give a SMILES file: on each line a SMILES, white space, and its id";

/// Reads `SMILES<white space>id`, plain or gzip; an iterator over records whose letters are the SMILES as it stands.
///
/// Further words of a line are ignored, and so are blank lines and a first line that is a header (`smiles …`). A
/// molecule without an id has its SMILES for one. `Err` is an end: the file cannot be read on.
#[derive(Debug)]
pub struct Reader {
    input: Input,
    line: u64,
    text: Vec<u8>,
    finished: bool,
}

impl Reader {
    /// Opens a SMILES file, or standard input for `-`.
    ///
    /// # Errors
    /// Those of [`Input::open`].
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self::new(Input::open(path)?))
    }

    /// The same for an input that is open.
    #[must_use]
    pub fn new(input: Input) -> Self {
        Self { input, line: 0, text: Vec::new(), finished: false }
    }

    fn read_record(&mut self) -> Result<Option<SequenceRecord>> {
        loop {
            self.line += 1;
            if !self.input.next_line(&mut self.text, self.line)? {
                return Ok(None);
            }
            let text = self.text.trim_ascii();
            if let Some(&byte) = text.iter().find(|&&byte| byte == 0 || byte == b'\r') {
                let reason = format!("byte {byte:#04x} inside a line: this is not a text with a molecule a line");
                return Err(Error::record(self.input.path(), self.line, "", reason, NOT_SMILES));
            }
            if self.line == 1 && text.starts_with(b">") {
                let help = "molecules come as SMILES: on each line a SMILES, white space, and its id";
                return Err(Error::record(self.input.path(), 1, "", "this is FASTA, not SMILES", help));
            }
            let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let Some(smiles) = words.next() else { continue };
            if self.line == 1 && smiles.eq_ignore_ascii_case(b"smiles") {
                continue;
            }
            return Ok(Some(record(self.line, smiles, words.next())));
        }
    }
}

fn record(line: u64, smiles: &[u8], id: Option<&[u8]>) -> SequenceRecord {
    let (id, fault) = id_of(id.unwrap_or(smiles));
    let sequence = if fault.is_none() { smiles.to_vec() } else { Vec::new() };
    SequenceRecord { id, line, sequence, fault, ..SequenceRecord::default() }
}

impl Iterator for Reader {
    type Item = Result<SequenceRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let record = self.read_record().transpose();
        self.finished = !matches!(record, Some(Ok(_)));
        record
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;
    use crate::seq::{MAX_ID, RecordFault};

    fn read(bytes: impl Into<Vec<u8>>) -> Result<Vec<SequenceRecord>> {
        Reader::new(Input::from_reader("x.smi", Cursor::new(bytes.into()))?).collect()
    }

    fn words(records: &[SequenceRecord]) -> Vec<(u64, &str, &str)> {
        records.iter().map(|r| (r.line, std::str::from_utf8(&r.sequence).unwrap(), r.id.as_str())).collect()
    }

    const EXPECTED: [(u64, &str, &str); 4] =
        [(2, "CCO", "ethanol"), (4, "c1ccccc1", "b1"), (5, "[Na+].[Cl-]", "[Na+].[Cl-]"), (6, "C/C=C/C", "é")];

    #[test]
    fn lines_become_records_whatever_their_ends() {
        let text = "smiles id\nCCO\tethanol pure 99%\n \n  c1ccccc1  b1\n[Na+].[Cl-]\nC/C=C/C é";
        assert_eq!(words(&read(text).unwrap()), EXPECTED);
        assert_eq!(words(&read(text.replace('\n', "\r\n")).unwrap()), EXPECTED);
        assert_eq!(words(&read(format!("\u{feff}{text}\n")).unwrap()), EXPECTED);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        assert_eq!(words(&read(packed.finish().unwrap()).unwrap()), EXPECTED);
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn odd_lines_are_faults_or_ends() {
        let records = read(&b"CC a\nCC \xff\nCC \x01\nC\xffC\nCO c\n"[..]).unwrap();
        let faults: Vec<_> = records.iter().map(|r| r.fault).collect();
        let bad = Some(RecordFault::BadId);
        assert_eq!(faults, [None, bad, bad, bad, None]);
        // A molecule without an id is called by its SMILES, which may be too long for an id.
        let long = "C".repeat(MAX_ID + 1);
        let records = read(format!("{long}\n{long} a\n")).unwrap();
        assert_eq!((records[0].fault, records[0].id.len()), (Some(RecordFault::LongId), MAX_ID));
        assert_eq!((records[1].fault, records[1].sequence.len()), (None, MAX_ID + 1));
        for (bytes, reason) in [(&b">a\nACGU\n"[..], "FASTA"), (b"CC a\n\0\0\n", "0x00"), (b"CC a\rCO b\n", "0x0d")] {
            let error = read(bytes).unwrap_err();
            assert!(error.to_string().contains(reason) && error.help().contains("SMILES"), "{error}");
        }
    }
    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            for record in read(bytes).into_iter().flatten() {
                assert!(record.fault.is_none() || record.sequence.is_empty());
            }
        }

        #[test]
        fn written_molecules_come_back(molecules in proptest::collection::vec(("[CNOc1()=]{1,20}", "[!-~é]{1,12}"), 0..8)) {
            let lines: Vec<String> = molecules.iter().map(|(smiles, id)| format!("{smiles}\t{id}\n")).collect();
            let records = read(lines.concat()).unwrap();
            let found: Vec<_> = words(&records).into_iter().map(|(_, smiles, id)| (smiles, id)).collect();
            let expected: Vec<_> = molecules.iter().map(|(smiles, id)| (smiles.as_str(), id.as_str())).collect();
            assert_eq!(found, expected);
        }
    }
}
