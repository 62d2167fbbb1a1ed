//! Whole commands around the embedding store: messages, exit codes, and what is left on the disk.

#![cfg(unix)]

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const GOOD: &str = ">a one\nACGUACGU\n>b\nGGGGCCCC\n>c\nacgtacgt\n";

fn biollmnet() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_biollmnet"));
    command.args(["--threads", "1", "--progress", "none"]);
    command
}

fn embed(input: &Path, out: &Path, more: &[&str]) -> Output {
    let mut command = biollmnet();
    command.arg("embed").arg(input).args(["--encoder", "kmer", "--out"]).arg(out).args(more);
    command.output().unwrap()
}

fn run(arguments: &[&str]) -> Output {
    biollmnet().args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Everything below a folder, as paths.
fn listing(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(listing(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found.sort();
    found
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }
}

#[test]
fn embed_verify_export_and_import_go_together() {
    let bench = Bench::new();
    let (input, out) = (bench.file("in.fa", GOOD), bench.path("store"));
    let made = embed(&input, &out, &["--json"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let summary: serde_json::Value = serde_json::from_str(&stdout(&made)).unwrap();
    assert_eq!((&summary["records"], &summary["vectors"]), (&3.into(), &2.into()));
    let again = embed(&input, &out, &[]);
    assert_eq!((again.status.code(), stdout(&again).contains("up to date")), (Some(0), true));
    let store = out.display().to_string();
    assert_eq!(run(&["verify", &store]).status.code(), Some(0));
    let (npy, csv, parquet) = (bench.path("v.npy"), bench.path("v.csv"), bench.path("v.parquet"));
    for (format, file) in [("npy", &npy), ("csv", &csv), ("parquet", &parquet)] {
        let exported = run(&["export", &store, "--format", format, "--out", &file.display().to_string()]);
        assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
        assert_eq!(run(&["verify", &file.display().to_string()]).status.code(), Some(0));
    }
    let table = fs::read_to_string(bench.path("v.ids.tsv")).unwrap();
    assert!(table.starts_with("id\trow\tdigest\tlength\tstatus\na\t0\t") && table.lines().count() == 4, "{table}");
    // What was exported comes in again, and its export is the same, byte for byte.
    for (name, file) in [("from_csv", &csv), ("from_parquet", &parquet)] {
        let back = bench.path(name).display().to_string();
        let imported = run(&["import-vectors", &file.display().to_string(), "--encoder-name", "x", "--out", &back]);
        assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
        assert_eq!(run(&["export", &back, "--format", "npy"]).status.code(), Some(0));
        assert_eq!(fs::read(bench.path(&format!("{name}.npy"))).unwrap(), fs::read(&npy).unwrap());
    }
}

#[test]
fn inputs_that_cannot_be_embedded_leave_nothing() {
    let bench = Bench::new();
    let out = bench.path("store");
    for (name, content, code, expected) in [
        ("empty.fa", &b""[..], 3, "the file is empty"),
        ("junk.fa", &[0x7f, b'E', b'L', b'F', 0, 1, 2, 3], 3, "not text"),
        ("no_header.fa", b"ACGU\nACGU\n", 3, "before the first '>'"),
        ("late_junk.fa", b">a\nACGU\n>b\nAC\0GU\n", 3, "record 'b'"),
        ("only_headers.fa", b">a\n>b\n", 3, "every record was rejected (2)"),
    ] {
        let made = embed(&bench.file(name, content), &out, &[]);
        let message = stderr(&made);
        assert_eq!(made.status.code(), Some(code), "{name}: {message}");
        assert!(message.contains(expected) && message.contains("help: "), "{name}: {message}");
        assert!(!out.exists(), "{name}");
    }
    let absent = embed(&bench.path("absent.fa"), &out, &[]);
    assert_eq!(absent.status.code(), Some(3));
    assert!(stderr(&absent).contains("absent.fa") && stderr(&absent).contains("help: "), "{}", stderr(&absent));
    for arguments in [&["--encoder", "esm9"][..], &["--pooling", "cls"], &["--modality", "protein"]] {
        let input = bench.file("in.fa", GOOD);
        let mut command = biollmnet();
        command.arg("embed").arg(&input).arg("--out").arg(&out).args(arguments);
        if arguments[0] != "--encoder" {
            command.args(["--encoder", "kmer"]);
        }
        assert_eq!(command.output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
    assert!(!out.exists());
}

#[test]
fn refused_records_are_listed_and_the_rest_is_there() {
    let bench = Bench::new();
    let out = bench.path("store");
    let text = ">a\nACGU\n>none\n>a\nACGU\n>a\nGGGG\n>b\nCCCCC\n";
    let made = embed(&bench.file("in.fa", text), &out, &[]);
    assert_eq!(made.status.code(), Some(1), "{}", stderr(&made));
    let summary = stdout(&made);
    for expected in ["5 records", "2 distinct", "1 conflicting-id", "1 duplicate-id", "1 no-sequence", "rejects.tsv"] {
        assert!(summary.contains(expected), "{summary}");
    }
    let rejects = fs::read_to_string(out.join("rejects.tsv")).unwrap();
    let found: Vec<_> = rejects.lines().skip(1).map(|line| line.split('\t').take(3).collect::<Vec<_>>()).collect();
    assert_eq!(found, [["3", "none", "no-sequence"], ["4", "a", "duplicate-id"], ["6", "a", "conflicting-id"]]);
    let limited = bench.path("limited");
    let made = embed(&bench.path("in.fa"), &limited, &["--max-length", "4"]);
    assert!(stdout(&made).contains("1 too-long"), "{}", stdout(&made));
}

#[test]
fn nothing_that_it_did_not_make_is_overwritten() {
    let bench = Bench::new();
    let input = bench.file("in.fa", GOOD);
    let foreign = bench.path("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.txt"), "years").unwrap();
    let refused = embed(&input, &foreign, &["--force"]);
    assert_eq!((refused.status.code(), listing(&foreign).len()), (Some(2), 1));
    let out = bench.path("store");
    assert_eq!(embed(&input, &out, &[]).status.code(), Some(0));
    let other = bench.file("other.fa", ">z\nACGG\n");
    let refused = embed(&other, &out, &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--force"), "{}", stderr(&refused));
    assert_eq!(embed(&other, &out, &["--force"]).status.code(), Some(0));
    assert_eq!(run(&["verify", &out.display().to_string()]).status.code(), Some(0));
}

#[test]
fn verify_names_the_file_and_exits_with_1() {
    let bench = Bench::new();
    let out = bench.path("store");
    embed(&bench.file("in.fa", GOOD), &out, &[]);
    for name in ["manifest.json", "ids/part-00000.parquet", "vec/part-00000.safetensors"] {
        let path = out.join(name);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        fs::write(&path, bad).unwrap();
        let found = run(&["verify", &out.display().to_string()]);
        assert_eq!(found.status.code(), Some(1), "{}", stderr(&found));
        assert!(stdout(&found).contains(&format!("FAULT  {}", path.display())), "{}", stdout(&found));
        fs::write(&path, good).unwrap();
    }
    let nothing = run(&["verify", &bench.folder.path().display().to_string()]);
    assert_eq!(nothing.status.code(), Some(3), "{}", stdout(&nothing));
}

#[test]
fn a_malicious_pickle_is_refused_by_name() {
    let bench = Bench::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/evil_reduce.pkl");
    let out = bench.path("store");
    let made = biollmnet()
        .arg("import-vectors")
        .arg(&source)
        .args(["--encoder-name", "x", "--out"])
        .arg(&out)
        .output()
        .unwrap();
    assert_eq!(made.status.code(), Some(3));
    assert!(stderr(&made).contains("'posix.system'"), "{}", stderr(&made));
    assert!(!out.exists() && !Path::new("/x").exists());
}

#[test]
fn an_unwritable_place_is_named() {
    let bench = Bench::new();
    let input = bench.file("in.fa", GOOD);
    // Nobody, root included, can make a folder below a file or in /proc.
    for (out, expected) in [(input.join("store"), "in.fa"), (PathBuf::from("/proc/store"), "/proc/store")] {
        let made = embed(&input, &out, &[]);
        assert_eq!(made.status.code(), Some(3), "{}", stderr(&made));
        assert!(stderr(&made).contains(expected), "{}", stderr(&made));
    }
}

#[test]
fn a_full_disk_asks_to_try_again_and_leaves_nothing() {
    let bench = Bench::new();
    let disk = bench.path("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(&disk)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let mut text = String::new();
    for i in 0..200u32 {
        // Every sequence differs, so that each needs a kilobyte of its own.
        let letters: String = (0..32).map(|k| ['A', 'C', 'G', 'U'][(i >> (2 * (k % 4))) as usize & 3]).collect();
        let _ = writeln!(text, ">r{i}\n{letters}");
    }
    let input = bench.file("in.fa", text);
    if mounted {
        let out = disk.join("store");
        let made = embed(&input, &out, &[]);
        let left = listing(&disk);
        let unmounted = Command::new("umount").arg(&disk).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
        assert_eq!(made.status.code(), Some(75), "{}", stderr(&made));
        assert!(stderr(&made).contains("space"), "{}", stderr(&made));
        assert!(left.is_empty(), "{left:?}");
    } else {
        eprintln!("skipped: a small file system cannot be mounted here");
    }
    // The device that is always full.
    let out = bench.path("store");
    assert_eq!(embed(&input, &out, &[]).status.code(), Some(0));
    let store = out.display().to_string();
    for format in ["csv", "parquet"] {
        let full = run(&["export", &store, "--format", format, "--out", "/dev/full"]);
        assert_eq!(full.status.code(), Some(75), "{format}: {}", stderr(&full));
    }
}

#[test]
fn an_interrupt_ends_in_order_and_leaves_nothing() {
    let bench = Bench::new();
    let out = bench.path("store");
    let mut child = biollmnet()
        .args(["embed", "-", "--encoder", "kmer", "--out"])
        .arg(&out)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // Enough for the first chunks; then the input stays open, so that the work is never at its end.
    for i in 0..5000 {
        write!(input, ">r{i}\nACGUACGUAC{}\n", "ACGU".repeat(i % 7)).unwrap();
    }
    input.flush().unwrap();
    let patience = Instant::now();
    while !out.exists() && patience.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(out.exists(), "the work has begun");
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    // The signal is seen when the next chunk is due.
    while child.try_wait().unwrap().is_none() {
        if writeln!(input, ">more\n{}", "ACGU".repeat(1000)).is_err() {
            break;
        }
        assert!(patience.elapsed() < Duration::from_secs(120), "it does not end");
    }
    drop(input);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(75), "{}", stderr(&ended));
    assert!(stderr(&ended).contains("interrupted"), "{}", stderr(&ended));
    assert!(!out.exists());
}
