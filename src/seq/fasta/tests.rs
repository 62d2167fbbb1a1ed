use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn reader(alphabet: Alphabet, text: impl AsRef<[u8]>) -> Result<Reader> {
    Reader::new(Input::from_reader("x.fa", Cursor::new(text.as_ref().to_vec()))?, alphabet)
}

fn all(alphabet: Alphabet, text: impl AsRef<[u8]>) -> Result<Vec<SequenceRecord>> {
    reader(alphabet, text)?.collect()
}

fn rna(text: impl AsRef<[u8]>) -> Vec<SequenceRecord> {
    all(Alphabet::Rna, text).unwrap()
}

fn good(id: &str, line: u64, sequence: &str) -> SequenceRecord {
    SequenceRecord { id: id.into(), line, sequence: sequence.into(), ..SequenceRecord::default() }
}

/// The input in pieces of one length, as buffers may cut it.
struct Pieces(Vec<u8>, usize, usize);
impl std::io::Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.min(buffer.len()).min(self.0.len() - self.2);
        buffer[..n].copy_from_slice(&self.0[self.2..self.2 + n]);
        self.2 += n;
        Ok(n)
    }
}

#[test]
fn lines_blanks_case_and_line_ends() {
    let expected = [good("a/b..", 2, "ACGTACGT"), good("ü", 7, "TTTTG")];
    let text = "\n>a/b.. some words > here\nacgu\n\nAC GT\n\n>ü\nuUtT\nG";
    assert_eq!(rna(text), expected);
    assert_eq!(rna(text.replace('\n', "\r\n")), expected);
    assert_eq!(rna(format!("\u{feff}{text}\n")), expected);
    for piece in 1..12 {
        let crlf = text.replace('\n', "\r\n").into_bytes();
        let input = Input::from_reader("x.fa", Pieces(crlf, piece, 0)).unwrap();
        let records: Result<Vec<_>> = Reader::new(input, Alphabet::Rna).unwrap().collect();
        assert_eq!(records.unwrap(), expected, "pieces of {piece}");
    }
}

#[test]
fn unknown_letters_gaps_and_stops() {
    let record = &rna(">a\nACXN-.É*7I\n")[0];
    assert_eq!((record.sequence.as_slice(), record.unknown), (&b"ACXN-.~*7I"[..], 4));
    let proteins = all(Alphabet::Protein, ">p\nMKU*\n>q\nM*K\nJ**\n>r\n*\n>s\nMk*\n\n").unwrap();
    assert_eq!(proteins[0], SequenceRecord { dropped_stop: true, ..good("p", 1, "MKU") });
    assert_eq!(proteins[1], SequenceRecord { dropped_stop: true, unknown: 3, ..good("q", 3, "M*KJ*") });
    assert_eq!(proteins[2].fault, Some(RecordFault::NoSequence));
    assert_eq!(proteins[3], SequenceRecord { dropped_stop: true, ..good("s", 8, "MK") });
}

#[test]
fn bad_records_do_not_stop_the_reading() {
    let text = b">none\n>\nAC\n> x\nAC\n>b\xffd\nAC\n>run\nAC>on\nGG\n>b\x01\nA\n>good\nACG\n>last".to_vec();
    let faults: Vec<_> = rna(text).into_iter().map(|r| (r.id, r.line, r.fault, r.sequence.len())).collect();
    let expected = [
        ("none", 1, Some(RecordFault::NoSequence), 0),
        ("", 2, Some(RecordFault::NoId), 0),
        ("", 4, Some(RecordFault::NoId), 0),
        ("b\u{fffd}d", 6, Some(RecordFault::BadId), 0),
        ("run", 8, Some(RecordFault::RunTogether), 0),
        ("b\x01", 11, Some(RecordFault::BadId), 0),
        ("good", 13, None, 3),
        ("last", 15, Some(RecordFault::NoSequence), 0),
    ];
    assert_eq!(faults, expected.map(|(id, line, fault, n)| (id.to_owned(), line, fault, n)));
}

#[test]
fn a_record_beyond_the_limit_is_passed_over_in_bounded_memory() {
    let mut text = b">long\n".to_vec();
    for _ in 0..4 {
        text.resize(text.len() + (1 << 20), b'A');
        text.push(b'\n');
    }
    text.extend_from_slice(b">fits\nACGT\n>next\nACGTA");
    let mut reader = reader(Alphabet::Rna, text).unwrap();
    reader.body.limit = 3 << 20;
    let long = reader.next().unwrap().unwrap();
    assert_eq!((long.fault, long.sequence.len()), (Some(RecordFault::TooLong), 0));
    assert_eq!(reader.next().unwrap().unwrap(), good("fits", 6, "ACGT"));
    assert!(reader.body.letters.capacity() <= KEPT_CAPACITY);
    reader.body.limit = 4;
    assert_eq!(reader.next().unwrap().unwrap().fault, Some(RecordFault::TooLong));
}

#[test]
fn what_is_not_fasta_is_told_where_and_why() {
    for (text, message) in [
        (&b""[..], "x.fa: the file is empty"),
        (b" \n\n", "x.fa: the file is empty"),
        (b"ACGT\n>a\n", "x.fa:1: text before the first '>' header"),
        (b"\n@r\nACGT\n+\nIIII\n", "x.fa:2: this is FASTQ, not FASTA"),
        (b"\x7fELF\x02\x01\0\0", "x.fa:1: this is not text"),
        (b">a\nAC\nA\0G\n", "x.fa:3: record 'a': byte 0x00 in the sequence: this is not text"),
        (b">a\nAC\n>b\0c\nA", "x.fa:3: byte 0x00 in a header: this is not text"),
        (b">a\rACGT\r>b\rACGT\r", "x.fa:1: lines end with a carriage return alone"),
    ] {
        let error = all(Alphabet::Rna, text).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(!error.help().is_empty());
        assert_eq!(error.exit_code(), 3);
    }
}

#[test]
fn truncated_gzip_ends_the_reading_with_an_error() {
    let mut bytes = GzEncoder::new(Vec::new(), Compression::default());
    bytes.write_all(b">a\nACGT\n>b\nGGGG\n").unwrap();
    let mut bytes = bytes.finish().unwrap();
    assert_eq!(all(Alphabet::Rna, &bytes).unwrap().len(), 2);
    bytes.truncate(bytes.len() - 3);
    assert!(all(Alphabet::Rna, bytes).unwrap_err().to_string().contains("cut short"));
}

/// Records and letters of every FASTA file of the real sets, from their provenance notes.
#[test]
fn real_sets() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !data.is_dir() {
        println!("skipped: ../shared is absent");
        return;
    }
    for (file, alphabet, records, unknown) in [
        ("rpi1460/rna.fasta", Alphabet::Rna, 291, 0),
        ("rpi1460/protein.fasta", Alphabet::Protein, 1460, 0),
        ("rpi1807/rna.fasta", Alphabet::Rna, 1072, 0),
        ("rpi1807/protein.fasta", Alphabet::Protein, 3125, 0),
        ("plant_ath/lncrna.fasta", Alphabet::Rna, 3978, 0),
        ("plant_ath/mirna.fasta", Alphabet::Rna, 350, 0),
        ("rsapred_mirna/rna.fasta", Alphabet::Rna, 40, 1),
        ("rsapred_ribosomal/rna.fasta", Alphabet::Rna, 11, 1),
    ] {
        let read: Vec<_> = Reader::open(&data.join(file), alphabet).unwrap().map(Result::unwrap).collect();
        assert_eq!(read.len(), records, "{file}");
        assert!(read.iter().all(|record| record.fault.is_none()), "{file}");
        assert_eq!(read.iter().map(|record| record.unknown).sum::<u32>(), unknown, "{file}");
    }
}

proptest! {
    #[test]
    fn any_bytes_end_in_records_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200), protein in any::<bool>()) {
        let alphabet = if protein { Alphabet::Protein } else { Alphabet::Rna };
        let _ = all(alphabet, &bytes);
        let _ = all(alphabet, [b">a\n".as_slice(), &bytes].concat());
    }

    /// What is written line by line comes back, however it is wrapped, spelled and cut into buffers.
    #[test]
    fn records_come_back(
        sequences in proptest::collection::vec("[ACGTN]{1,70}", 1..6), width in 1usize..20, crlf in any::<bool>(),
        lower in any::<bool>(), uracil in any::<bool>(), piece in 1usize..50,
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut text = String::new();
        for (i, sequence) in sequences.iter().enumerate() {
            write!(text, ">id{i} words{end}").unwrap();
            for line in sequence.as_bytes().chunks(width) {
                let mut line = String::from_utf8_lossy(line).into_owned();
                if uracil { line = line.replace('T', "U"); }
                if lower { line = line.to_lowercase(); }
                text += &(line + end);
            }
        }
        let input = Input::from_reader("x.fa", Pieces(text.into_bytes(), piece, 0)).unwrap();
        let read: Vec<_> = Reader::new(input, Alphabet::Rna).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), sequences.len());
        for (i, (record, sequence)) in read.iter().zip(&sequences).enumerate() {
            prop_assert_eq!(&record.id, &format!("id{i}"));
            prop_assert_eq!(&record.sequence, sequence.as_bytes());
        }
    }
}
