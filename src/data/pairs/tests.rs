use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn read_as(name: &str, text: impl AsRef<[u8]>, columns: &str) -> Result<PairTable> {
    let columns = if columns.is_empty() { Columns::default() } else { columns.parse()? };
    PairTable::from_input(Input::from_reader(name, Cursor::new(text.as_ref().to_vec()))?, &columns)
}

fn read(text: impl AsRef<[u8]>) -> Result<PairTable> {
    read_as("p.tsv", text, "")
}

fn ids(table: &PairTable) -> Vec<(u32, u64, &str, &str)> {
    table.rows.iter().map(|row| (row.row0, row.line, row.rna.as_str(), row.partner.as_str())).collect()
}

fn reasons(table: &PairTable) -> Vec<(u32, u64, &str)> {
    table.rejects.iter().map(|reject| (reject.row0, reject.line, reject.reason.name())).collect()
}

#[test]
fn rows_lines_and_extra_columns() {
    let text = "rna_id\tmol_id\tlabel\tentry\n r 1\tp1\t1\te1\n\n\nr2\tp2\t0\t\n\"r3\"\t'p3\t1\te \"3\"";
    for text in [text.to_owned(), text.replace('\n', "\r\n"), format!("\u{feff}\n{text}\n")] {
        let shift = u64::from(text.starts_with('\u{feff}'));
        let table = read(&text).unwrap();
        let expected = [(0, 2 + shift, "r 1", "p1"), (1, 5 + shift, "r2", "p2"), (2, 6 + shift, "r3", "'p3")];
        assert_eq!(ids(&table), expected);
        assert_eq!(
            (table.label_names.as_slice(), table.extra_names.as_slice()),
            (&["label".to_owned()][..], &["entry".to_owned()][..])
        );
        assert_eq!(table.rows[0].labels, [1.0]);
        let extra: Vec<&str> = table.rows.iter().map(|row| row.extra[0].as_str()).collect();
        assert_eq!(extra, ["e1", "", "e \"3\""]);
        assert_eq!((table.task(), table.rejects.len()), (Some(Task::Binary), 0));
        table.check_trainable().unwrap();
    }
}

#[test]
fn delimiters() {
    for (name, text) in [
        ("p.csv", "a,b,label\nr,p,1\n"),
        ("p.csv", "a\tb\tlabel\nr\tp\t1\n"),
        ("p.tsv", "a,b,label\nr,p,1\n"),
        ("p", "a;b;label\nr;p;1\n"),
        ("p.CSV.gz", "a,b\tc,label\nr,p,1\n"),
        ("p.tsv", "a\tb,c\tlabel\nr\tp\t1\n"),
    ] {
        assert_eq!(ids(&read_as(name, text, "").unwrap()), [(0, 2, "r", "p")], "{name} {text}");
    }
}

#[test]
fn gzip_named_columns_and_no_labels() {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(b"mirna_id\tlncrna_id\tlabel\nm1\tl1\t1\nm2\tl2\t0\n").unwrap();
    let gz = gz.finish().unwrap();
    let table = read_as("p.tsv.gz", &gz, "rna=lncrna_id,partner=mirna_id,label=label").unwrap();
    assert_eq!(ids(&table), [(0, 2, "l1", "m1"), (1, 3, "l2", "m2")]);
    let columns = Columns::default().without_labels();
    let input = Input::from_reader("p", Cursor::new(b"r\tp\tname\nx\ty\tz\n".to_vec())).unwrap();
    let table = PairTable::from_input(input, &columns).unwrap();
    assert_eq!((table.task(), table.rows[0].extra.as_slice()), (None, &["z".to_owned()][..]));
    assert!(table.check_trainable().unwrap_err().to_string().contains("no label column"));
    table.check_rows().unwrap();
    let cut = read_as("p.tsv.gz", &gz[..gz.len() - 2], "").unwrap_err();
    assert!(cut.to_string().contains("cut short"), "{cut}");
}

#[test]
fn wrong_rows_are_rejected_with_a_reason() {
    let text = b"r\tp\tl\na\tb\t1\na\tb\n\tb\t1\na\t \t1\na\tc\tx\na\td\t\na\te\tnan\na\tf\t1e99\na\xff\tg\t1\na\th\t1\t9\na\tb\t1.0\nz\tz\t0\n\"q\tc\t1\nb\x01\tc\t1\ny\ty\t1\n";
    let table = read(text).unwrap();
    assert_eq!(ids(&table), [(0, 2, "a", "b"), (11, 13, "z", "z"), (14, 16, "y", "y")]);
    let expected = [
        (1, 3, "wrong-field-count"),
        (2, 4, "empty-id"),
        (3, 5, "empty-id"),
        (4, 6, "bad-label"),
        (5, 7, "no-label"),
        (6, 8, "bad-label"),
        (7, 9, "bad-label"),
        (8, 10, "bad-id"),
        (9, 11, "wrong-field-count"),
        (10, 12, "duplicate"),
        (12, 14, "wrong-field-count"),
        (13, 15, "bad-id"),
    ];
    assert_eq!(reasons(&table), expected);
    assert_eq!(table.rejects[9].detail, "same as line 2");
    assert_eq!(table.rejected_by_reason()["bad-label"], 3);
    let mut out = Vec::new();
    table.write_rejects(&mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(
        out.starts_with("row0\tline\trna_id\tpartner_id\treason\tdetail\n1\t3\ta\tb\twrong-field-count\t"),
        "{out}"
    );
    assert!(out.contains("\n10\t12\ta\tb\tduplicate\tsame as line 2\n"));
}

#[test]
fn repeats_and_contradictions() {
    let table = read("r\tp\tl\na\tb\t1\nc\td\t0\na\tb\t1\na\tb\t0\na\tb\t0\nc\td\t0\ne\tf\t1\ne\tf\t2\n").unwrap();
    assert_eq!(table.rows.iter().map(|row| row.row0).collect::<Vec<_>>(), [0, 1, 3, 6, 7]);
    assert_eq!(reasons(&table), [(2, 4, "duplicate"), (4, 6, "duplicate"), (5, 7, "duplicate")]);
    assert_eq!(table.rejects[1].detail, "same as line 5");
    let found: Vec<_> = table.contradictory.iter().map(|c| (c.rna.as_str(), c.rows.as_slice())).collect();
    assert_eq!(found, [("a", &[0, 3][..]), ("e", &[6, 7][..])]);
    assert_eq!(table.task(), Some(Task::Regression));
    let mut out = Vec::new();
    table.write_rejects(&mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("\n3\t5\ta\tb\tcontradictory\tkept, label 0\n"));
}

#[test]
fn several_labels() {
    let text = "r\tp\tx\ty\na\tb\t1\t\na\tc\t\t0\na\td\t0\t2\na\te\t0\t1\na\tb\t\t0\na\tb\t0\t\na\tb\t1\t\n";
    let table = read_as("p", text, "label=x,y").unwrap();
    assert_eq!((table.task(), table.label_names.len()), (Some(Task::MultiLabel), 2));
    assert!(table.rows[0].labels[1].is_nan() && table.rows[1].labels[0].is_nan());
    assert_eq!(reasons(&table), [(2, 4, "label-not-binary"), (6, 8, "duplicate")]);
    // (1, ?) and (?, 0) complete each other; (0, ?) contradicts the first.
    assert_eq!(table.contradictory, [Contradiction { rna: "a".into(), partner: "b".into(), rows: vec![0, 4, 5] }]);
    table.check_trainable().unwrap();
    let one_class = read_as("p", "r\tp\tx\ty\na\tb\t1\t\na\tc\t0\t\n", "label=x,y").unwrap();
    let error = one_class.check_trainable().unwrap_err();
    assert!(error.to_string().contains("'y' has no value") && error.help().contains("leave this column out"));
}

#[test]
fn one_class_and_no_usable_row() {
    let error = read("r\tp\tl\na\tb\t1\na\tc\t1\n").unwrap().check_trainable().unwrap_err();
    assert!(error.to_string().contains("'l' has the value 1 only") && error.help().contains("both classes"), "{error}");
    let error = read("r\tp\tl\na\tb\tyes\n").unwrap().check_rows().unwrap_err();
    assert_eq!(error.to_string(), "p.tsv:2: all 1 rows are rejected, the first one as bad-label yes");
}

#[test]
fn what_is_not_a_pairs_file_is_told() {
    for (text, message) in [
        (&b""[..], "p.tsv: the file is empty"),
        (b"\n \n", "p.tsv: the file is empty"),
        (b"r\tp\tl\n", "p.tsv: the file has a header and no row"),
        (b"\nonly\nx\n", "p.tsv:2: the header has 1 column, a pair needs two"),
        (b"\0\x01\tx\n", "p.tsv:1: this is not text"),
        (b"a\tb\t1\nc\td\t0\n", "p.tsv:1: the first line has the number '1' where the name of the label belongs"),
        (b"r\tp\rx\ty\r", "p.tsv:1: lines end with a carriage return alone"),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(!error.help().is_empty());
    }
}

#[test]
fn real_sets() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !data.is_dir() {
        println!("skipped: ../shared is absent");
        return;
    }
    let plant = "rna=lncrna_id,partner=mirna_id,label=label";
    for (set, columns, rows, duplicates, contradictory, task) in [
        ("rpi1460", "", 2920, 0, 0, Task::Binary),
        ("rpi1807", "", 3237, 0, 19, Task::Binary),
        ("plant_ath", plant, 4999, 1, 0, Task::Binary),
        ("plant_gma", plant, 5000, 0, 0, Task::Binary),
        ("robin", "", 4573, 0, 0, Task::Binary),
        ("rsapred_aptamers", "", 520, 0, 0, Task::Regression),
        ("rsapred_ribosomal", "", 295, 0, 1, Task::Regression),
    ] {
        let columns = if columns.is_empty() { Columns::default() } else { columns.parse().unwrap() };
        let table = PairTable::read(&data.join(set).join("pairs.tsv"), &columns).unwrap();
        assert_eq!(table.rows.len(), rows, "{set}");
        assert_eq!(table.rejects.len(), duplicates, "{set}");
        assert!(table.rejects.iter().all(|reject| reject.reason == RejectReason::Duplicate), "{set}");
        assert_eq!((table.contradictory.len(), table.task()), (contradictory, Some(task)), "{set}");
        // This set has its positives only.
        assert_eq!(table.check_trainable().is_err(), set == "robin", "{set}");
        if task == Task::Binary && set != "robin" {
            let positive = table.rows.iter().filter(|row| row.labels[0] == 1.0).count();
            let expected = if set == "rpi1807" { 1801 } else { rows.div_ceil(2) };
            assert!(positive.abs_diff(expected) <= duplicates, "{set}: {positive}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), several in any::<bool>()) {
        let columns = if several { "label=l,m" } else { "" };
        let _ = read_as("p", &bytes, columns);
        let table = read_as("p", [b"r\tp\tl\tm\n".as_slice(), &bytes].concat(), columns);
        if let Ok(table) = table {
            let _ = (table.check_rows(), table.check_trainable(), table.task());
            table.write_rejects(Vec::new()).unwrap();
        }
    }

    /// Every data row is either kept or rejected, once, and keeps its number and line.
    #[test]
    fn no_row_is_lost(rows in proptest::collection::vec(("[ab]{0,1}", "[cd]{0,1}", "[01x]{0,1}"), 1..40), crlf in any::<bool>()) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut text = format!("r\tp\tl{end}");
        for (a, b, l) in &rows {
            text += &[a, "\t", b, "\t", l, end].concat();
        }
        let table = read(&text).unwrap();
        let mut seen: Vec<(u32, u64)> = table.rows.iter().map(|row| (row.row0, row.line)).collect();
        seen.extend(table.rejects.iter().map(|reject| (reject.row0, reject.line)));
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..rows.len()).map(|i| (i as u32, i as u64 + 2)).collect::<Vec<_>>());
        for contradiction in &table.contradictory {
            for row0 in &contradiction.rows {
                let row = table.rows.iter().find(|row| row.row0 == *row0).unwrap();
                prop_assert_eq!((&row.rna, &row.partner), (&contradiction.rna, &contradiction.partner));
            }
        }
    }

    /// What a CSV writer writes is read: ids, labels and other columns, whatever is in them.
    #[test]
    fn written_rows_come_back(
        rows in proptest::collection::vec(("[a-zA-Z0-9,;\"'|é-]{1,8}", "[a-z,\"]{1,4}", any::<bool>(), "[x,\" ;]{0,6}"), 1..20),
        tabs in any::<bool>(),
    ) {
        let mut writer = csv::WriterBuilder::new().delimiter(if tabs { b'\t' } else { b',' }).from_writer(Vec::new());
        writer.write_record(["rna", "partner", "label", "note"]).unwrap();
        for (rna, partner, label, note) in &rows {
            writer.write_record([rna.as_str(), partner, if *label { "1" } else { "0" }, note]).unwrap();
        }
        let text = writer.into_inner().unwrap();
        let table = read_as(if tabs { "p.tsv" } else { "p.csv" }, text, "label=label").unwrap();
        let repeated = table.rejects.iter().filter(|reject| reject.reason == RejectReason::Duplicate).count();
        prop_assert_eq!(table.rows.len() + repeated, rows.len());
        for row in &table.rows {
            let (rna, partner, label, note) = &rows[row.row0 as usize];
            prop_assert_eq!((&row.rna, &row.partner), (rna, partner));
            prop_assert_eq!((row.labels[0], row.extra[0].as_str()), (f32::from(u8::from(*label)), note.trim()));
        }
    }
}
