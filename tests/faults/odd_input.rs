//! Row 11: odd input; every record gets a documented status, and no id becomes a path.

use std::fs;

use anyhow::ensure;
use biollmnet::embed::store::Store;

use crate::job::contents;
use crate::row::Row;
use crate::support::{Bench, Ran};
use crate::workshop::workshop;

const FAULT: &str = "odd input";

/// Name, text, exit code, and the rows: id, status, letters that are unknown.
type Case = (&'static str, Vec<u8>, i32, Vec<(&'static str, &'static str, u32)>);

#[test]
fn odd_input_has_documented_rows() {
    matrix_row(Row::fast(11, FAULT));
}

#[test]
#[ignore = "a row of the whole matrix"]
fn odd_input_has_documented_rows_in_full() {
    matrix_row(Row::full(11, FAULT));
}

fn cases() -> Vec<Case> {
    let case = |name, text: &[u8], code, rows: &[(&'static str, &'static str, u32)]| {
        (name, text.to_vec(), code, rows.to_vec())
    };
    let long = format!(">long\n{}\n>next\nACGU\n", "ACGU".repeat(25_000));
    let of_length = |letters: usize| format!(">{}\nACGU\n", "x".repeat(letters)).into_bytes();
    let mut cases = vec![
        case("an empty file", b"", 3, &[]),
        case("blank lines alone", b"\n\n\n", 3, &[]),
        case("no header", b"ACGU\n", 3, &[]),
        case("CRLF", b">a one\r\nACGU\r\nACGU\r\n>b\r\nGGGG\r\n", 0, &[("a", "ok", 0), ("b", "ok", 0)]),
        case("a byte order mark", b"\xef\xbb\xbf>a\nACGU\n", 0, &[("a", "ok", 0)]),
        case("lower case, U and T", b">a\nacgu\n>b\nACGT\n", 0, &[("a", "ok", 0), ("b", "ok", 0)]),
        case(
            "gaps and stops",
            b">a\nAC-GU\n>b\nACGU*\n>c\nAC.GU\n",
            0,
            &[("a", "ok", 0), ("b", "ok", 1), ("c", "ok", 0)],
        ),
        case("blanks in lines", b">a\nAC GU\tAC\n", 0, &[("a", "ok", 0)]),
        case("IUPAC letters", b">a\nRYSWKMBDHVN\n", 0, &[("a", "ok", 0)]),
        case(
            "length 0 and 1",
            b">a\n>b\nA\n>c\n\n",
            1,
            &[("a", "no-sequence", 0), ("b", "ok", 0), ("c", "no-sequence", 0)],
        ),
        case("length 100 000", long.as_bytes(), 0, &[("long", "ok", 0), ("next", "ok", 0)]),
        case("no newline at the end", b">a\nACGU\n>b\nGGGG", 0, &[("a", "ok", 0), ("b", "ok", 0)]),
        case("an id without text", b">\nACGU\n>b\nACGU\n", 1, &[("", "no-id", 0), ("b", "ok", 0)]),
        case("the same id, the same sequence", b">a\nACGU\n>a\nacgt\n", 1, &[("a", "ok", 0), ("a", "duplicate-id", 0)]),
        case(
            "the same id, another sequence",
            b">a\nACGU\n>a\nGGGG\n",
            1,
            &[("a", "ok", 0), ("a", "conflicting-id", 0)],
        ),
        case("one sequence, two ids", b">a\nACGU\n>b\nACGU\n", 0, &[("a", "ok", 0), ("b", "ok", 0)]),
        case(
            "ids that look like paths",
            b">../../escape\nACGU\n>/etc/passwd\nGGGG\n>a/b/c\nCCCC\n>..\nAAAA\n>.\nUUUU\n>C:\\x\nACAC\n",
            0,
            &[
                ("../../escape", "ok", 0),
                ("/etc/passwd", "ok", 0),
                ("a/b/c", "ok", 0),
                ("..", "ok", 0),
                (".", "ok", 0),
                ("C:\\x", "ok", 0),
            ],
        ),
        case("an id with a space ends there", b">a b\nACGU\n", 0, &[("a", "ok", 0)]),
        case("unicode", ">µ-é-中\nACGU\n".as_bytes(), 0, &[("µ-é-中", "ok", 0)]),
        case("an id that is not text", b">a\xff\nACGU\n>b\nGGGG\n", 1, &[("a\u{fffd}", "bad-id", 0), ("b", "ok", 0)]),
        case("NUL in an id", b">a\0b\nACGU\n", 3, &[]),
        case("NUL in a sequence", b">a\nAC\0GU\n", 3, &[]),
        case("a carriage return in an id", b">a\rb\nACGU\n", 3, &[]),
        case("an escape in an id", b">a\x1b[31m\nACGU\n>b\nGGGG\n", 1, &[("a\x1b[31m", "bad-id", 0), ("b", "ok", 0)]),
        case("a header inside a line", b">a\nACGU>b\nGGGG\n", 3, &[]),
        case("letters beyond ASCII", ">a\nACµGU\n>b\nGGGG\n".as_bytes(), 0, &[("a", "ok", 1), ("b", "ok", 0)]),
    ];
    let longest: &str = Box::leak("x".repeat(4096).into_boxed_str());
    cases.push(("an id of 4 096 letters", of_length(4096), 0, vec![(longest, "ok", 0)]));
    cases.push(("an id of 10 000 letters", of_length(10_000), 3, Vec::new()));
    cases
}

fn matrix_row(mut row: Row) {
    for (name, text, code, rows) in cases() {
        row.trial(|| name.to_owned(), || try_case(workshop(), &text, code, &rows));
    }
    row.end();
}

/// The store and its exports hold the rows; nothing is written anywhere else.
fn try_case(bench: &Bench, text: &[u8], code: i32, rows: &[(&str, &str, u32)]) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let inner = folder.path().join("deep/inside");
    fs::create_dir_all(&inner)?;
    fs::write(inner.join("in.fa"), text)?;
    let run = |line: &str| -> anyhow::Result<Ran> {
        let mut command = bench.program();
        Ok(command.current_dir(&inner).args(line.split_whitespace()).output()?.into())
    };
    let ran = run("embed in.fa --encoder kmer --out out")?;
    ensure!(ran.code == Some(code) && !ran.err.contains("panicked"), "it ends with {:?}: {}", ran.code, ran.err);
    if code < 2 {
        let store = Store::open(inner.join("out"))?;
        let found: Vec<_> = store.records().map(|record| (record.id, record.status.name(), record.unknown)).collect();
        ensure!(found == rows, "the rows are {found:?}");
        for format in ["npy", "csv", "parquet"] {
            let exported = run(&format!("export out --format {format} --out v.{format}"))?;
            ensure!(exported.code == Some(0), "{}", exported.err);
        }
    } else {
        ensure!(ran.err.contains("error: ") && ran.err.contains("help: ") && ran.err.len() < 2000, "{}", ran.err);
    }
    let known = ["in.fa", "out", "v.npy", "v.csv", "v.parquet", "v.ids.tsv"];
    let stray: Vec<_> = contents(folder.path())
        .into_keys()
        .filter(|path| {
            let below = path.strip_prefix("deep/inside").ok().and_then(|below| below.components().next());
            let name = below.map(|part| part.as_os_str().to_string_lossy().into_owned()).unwrap_or_default();
            !known.contains(&name.trim_end_matches(".b3"))
        })
        .collect();
    ensure!(stray.is_empty(), "{stray:?} was written");
    Ok(())
}
