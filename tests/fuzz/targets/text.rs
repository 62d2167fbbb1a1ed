//! Text that is read as a stream.

use std::io::{Cursor, Read, Write as _, copy, sink};

use biollmnet::error::Result;
use biollmnet::files::input::Input;
use biollmnet::mol;
use biollmnet::seq::{Alphabet, SequenceRecord, fasta, smi};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::read;
use crate::target::Target;

pub const FASTA: Target = Target {
    name: "fasta",
    read: |bytes| {
        [Alphabet::Rna, Alphabet::Protein]
            .map(|alphabet| {
                let records = Input::from_reader("x.fa", Cursor::new(bytes.to_vec()))
                    .and_then(|input| fasta::Reader::new(input, alphabet)?.collect::<Result<Vec<_>>>());
                records.iter().flatten().for_each(check_record);
                read(records)
            })
            .contains(&true)
    },
    seeds: Vec::new,
    words: &[b">", b"\n>", b"\r\n", b"\n", b";", b"*", b"-", b"U", b"N", b" ", b"\xef\xbb\xbf", b"\xff\xfe", b"\0"],
    mend: None,
};

pub const SMILES: Target = Target {
    name: "smiles",
    read: |bytes| {
        let records = Input::from_reader("x.smi", Cursor::new(bytes.to_vec()))
            .and_then(|input| smi::Reader::new(input).collect::<Result<Vec<_>>>());
        let mut parsed = false;
        for record in records.iter().flatten() {
            check_record(record);
            let text = std::str::from_utf8(&record.sequence).unwrap_or_default();
            match mol::parse(text) {
                Ok(_) => parsed = true,
                Err(refusal) => assert!(!refusal.to_string().is_empty()),
            }
        }
        read(records) && parsed
    },
    seeds: Vec::new,
    words: &[
        b"C",
        b"c1ccccc1",
        b"[nH]",
        b"[C@@H]",
        b"[13CH4-2]",
        b"(",
        b")",
        b"%99",
        b"%10",
        b"1",
        b"=",
        b"#",
        b"/",
        b"\\",
        b".",
        b"[Na+]",
        b"*",
        b"[",
        b"]",
        b":",
        b"\n",
        b"\t",
        b"smiles\tid\n",
        b"n",
        b"o",
        b"s",
        b"Br",
        b"@",
    ],
    mend: None,
};

pub const GZIP: Target = Target {
    name: "gzip",
    read: |bytes| {
        let Ok(mut input) = Input::from_reader("x.gz", Cursor::new(bytes.to_vec())) else { return false };
        match copy(&mut input.by_ref().take(1 << 30), &mut sink()) {
            Ok(_) => true,
            Err(error) => read::<()>(Err(input.failure(error))),
        }
    },
    seeds: || {
        let fa = b">a\nACGU\n>b\nGGCC\n".repeat(20);
        let mut members = compressed(&fa);
        members.extend(compressed(&fa));
        vec![compressed(&fa), members, compressed(&vec![0; 1 << 20]), compressed(&[]), fa]
    },
    words: &[
        b"\x1f\x8b\x08\0",
        b"\x1f\x8b",
        b"BZh9",
        b"\x28\xb5\x2f\xfd",
        b"PK\x03\x04",
        b"\xfe\xff",
        b"\x01\0\0\xff\xff",
    ],
    // The text behind a sound header and checksum.
    mend: Some(|bytes| if bytes.starts_with(b"\x1f\x8b") { bytes } else { compressed(&bytes) }),
};

pub fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// What a record promises.
fn check_record(record: &SequenceRecord) {
    assert!(record.line > 0);
    assert!(record.fault.is_none() || record.sequence.is_empty(), "letters of a record at fault: {record:?}");
}
