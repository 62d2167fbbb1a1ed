//! Writing and reading a store as one.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::writer::small_parts;
use super::*;
use crate::data::VectorSource;
use crate::error::Result;
use crate::files::verify::verify;
use crate::progress::Silent;
use crate::seq::digest;

fn options(dtype: Dtype) -> StoreOptions {
    let encoder = EncoderIdentity { name: "kmer".into(), digest: "d".into(), pooling: "mean".into() };
    StoreOptions {
        encoder,
        modality: "rna".into(),
        layout: Layout::Pooled,
        dtype,
        dim: 2,
        digest_of: DigestOf::Sequence,
        origin: json!({"input": "x"}),
        force: false,
    }
}

fn record<'a>(id: &'a str, sequence: &str) -> NewRecord<'a> {
    NewRecord {
        id,
        line: 1,
        digest: digest(sequence.as_bytes()),
        length: sequence.len() as u32,
        unknown: 0,
        flags: Flags::default(),
    }
}

/// Five accepted records, four of them distinct, in three parts; one refused of each kind.
fn write(path: &Path, dtype: Dtype) -> Result<StoreSummary> {
    let mut writer = small_parts(path, options(dtype), 2)?;
    assert_eq!(writer.push(&record("a", "A"), &[1.0, 2.0])?, Status::Ok);
    assert_eq!(writer.push(&record("b", "C"), &[3.0, 4.0])?, Status::Ok);
    assert!(writer.knows(digest(b"A")).unwrap() && !writer.knows(digest(b"G")).unwrap());
    assert_eq!(writer.push(&record("same", "A"), &[9.0, 9.0])?, Status::Ok);
    assert_eq!(writer.push(&record("a", "A"), &[1.0, 2.0])?, Status::DuplicateId);
    assert_eq!(writer.push(&record("a", "G"), &[5.0, 6.0])?, Status::ConflictingId);
    assert_eq!(writer.push(&record("nan", "T"), &[f32::NAN, 0.0])?, Status::Nonfinite);
    assert_eq!(writer.refuse(&record("long", ""), Status::TooLong, "too\tlong")?, Status::TooLong);
    assert_eq!(writer.push(&record("../é b", "GG"), &[7.0, 8.0])?, Status::Ok);
    assert_eq!(writer.push(&record("e", "TT"), &[-1.0, -2.0])?, Status::Ok);
    writer.finish()
}

#[test]
fn what_is_written_is_read() {
    for dtype in [Dtype::F32, Dtype::F16] {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("s");
        let summary = write(&path, dtype).unwrap();
        assert_eq!((summary.records, summary.vectors, summary.n_refused()), (9, 4, 4));
        let store = Store::open(&path).unwrap();
        assert_eq!(store.detail().parts.len(), 2);
        assert_eq!((store.n_rows(), store.dim(), store.n_records()), (4, 2, 9));
        assert_eq!(store.encoder().name, "kmer");
        let statuses: Vec<_> = store.records().map(|r| r.status.name()).collect();
        let expected = ["ok", "ok", "ok", "duplicate-id", "conflicting-id", "nonfinite", "too-long", "ok", "ok"];
        assert_eq!(statuses, expected);
        let rows: Vec<_> = store.records().filter_map(|r| r.row).collect();
        assert_eq!(rows, [0, 1, 0, 2, 3]);
        assert_eq!(store.record(7).id, "../é b");
        assert_eq!(store.record(7).digest_hex(), crate::seq::digest_hex(b"GG"));
        assert_eq!(store.record(7).length, 2);
        let mut out = [0.0; 2];
        for (row, expected) in [[1.0, 2.0], [3.0, 4.0], [7.0, 8.0], [-1.0, -2.0]].into_iter().enumerate() {
            store.copy_row(row, &mut out);
            assert_eq!(out, expected);
        }
        assert_eq!(store.lookup("a"), Some(0));
        assert_eq!(store.lookup("nan"), Some(5));
        assert_eq!(store.lookup("e"), Some(8));
        for absent in ["", "aa", "zzz"] {
            assert_eq!(store.lookup(absent), None);
        }
        store.check_finite().unwrap();
        assert_eq!(Store::describe(&path).unwrap(), *store.detail());
        let rejects = fs::read_to_string(path.join("rejects.tsv")).unwrap();
        assert_eq!(rejects.lines().count(), 5);
        assert!(rejects.contains("1\tlong\ttoo-long\ttoo long\n"), "{rejects}");
    }
}

#[test]
fn the_same_records_give_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = (root.path().join("a"), root.path().join("b"));
    write(&a, Dtype::F16).unwrap();
    write(&b, Dtype::F16).unwrap();
    assert_eq!(fs::read(a.join("manifest.json")).unwrap(), fs::read(b.join("manifest.json")).unwrap());
}

/// Changes one byte in place, which is much quicker than to write the file anew.
fn change(path: &Path, at: usize, byte: u8) {
    use std::io::{Seek, SeekFrom, Write};
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[byte]).unwrap();
}

#[test]
fn every_flipped_byte_is_found_by_verify_and_never_makes_open_panic() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("s");
    write(&path, Dtype::F32).unwrap();
    assert!(verify(&path, &Silent).unwrap().faults.is_empty());
    let mut files = vec!["manifest.json".to_owned()];
    files.extend(crate::files::Manifest::read(&path).unwrap().files.into_iter().map(|file| file.path));
    assert_eq!(files.len(), 5);
    for name in files {
        let file = path.join(&name);
        let good = fs::read(&file).unwrap();
        for (at, byte) in good.iter().enumerate() {
            change(&file, at, byte ^ 1 << (at % 8));
            assert_eq!(verify(&path, &Silent).unwrap().faults.len(), 1, "{name} byte {at}");
            // Only the vectors' own bytes, and the list of rejects, are left to verify.
            let opened = Store::open(&path);
            assert!(opened.is_err() || name.starts_with("vec/") || name == "rejects.tsv", "{name} byte {at}");
            change(&file, at, *byte);
        }
        fs::write(&file, &good[..good.len() - 1]).unwrap();
        assert!(Store::open(&path).is_err() || name == "rejects.tsv");
        fs::write(&file, &good).unwrap();
    }
}

#[test]
fn a_vector_that_became_nan_is_named() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("s");
    write(&path, Dtype::F32).unwrap();
    let part = path.join("vec/part-00001.safetensors");
    let mut bytes = fs::read(&part).unwrap();
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&part, bytes).unwrap();
    let error = Store::open(&path).unwrap().check_finite().unwrap_err().to_string();
    assert!(error.contains("'e'"), "{error}");
}

#[test]
fn nothing_is_left_of_a_store_that_was_not_finished_or_is_empty() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("s");
    let mut writer = StoreWriter::create(&path, options(Dtype::F32)).unwrap();
    writer.push(&record("a", "A"), &[1.0, 2.0]).unwrap();
    assert!(writer.push(&record("b", "C"), &[1.0]).is_err());
    drop(writer);
    assert!(!path.exists());
    let mut writer = StoreWriter::create(&path, options(Dtype::F32)).unwrap();
    writer.refuse(&record("x1", ""), Status::NoSequence, "no letter").unwrap();
    let error = writer.finish().unwrap_err();
    assert!(error.to_string().contains("x1") && error.exit_code() == 3, "{error}");
    assert!(!path.exists());
}

#[test]
fn another_layout_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("s");
    write(&path, Dtype::F32).unwrap();
    let mut manifest = crate::files::Manifest::read(&path).unwrap();
    for (layout, message) in [("per-residue", "per-residue, not pooled"), ("folded", "'folded' is not known")] {
        manifest.detail["layout"] = json!(layout);
        manifest.write(&path).unwrap();
        let error = Store::open(&path).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn states_per_residue_come_back_row_by_row() {
    for dtype in [Dtype::F32, Dtype::F16] {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("s");
        let per_residue = StoreOptions { layout: Layout::PerResidue, ..options(dtype) };
        let mut writer = small_parts(&path, per_residue, 3).unwrap();
        let states = |n: usize| -> Vec<f32> { (0..2 * n).map(|i| (n * 10 + i) as f32).collect() };
        for (id, sequence) in [("a", "AC"), ("long", "ACGUA"), ("again", "AC"), ("c", "G")] {
            assert_eq!(writer.push(&record(id, sequence), &states(sequence.len())).unwrap(), Status::Ok);
        }
        assert!(writer.push(&record("odd", "T"), &[1.0]).is_err());
        assert_eq!(writer.finish().unwrap().vectors, 3);
        let store = ResidueStore::open_residues(&path).unwrap();
        // A row is never cut, so that one longer than a part has its own.
        assert_eq!(store.detail().parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [1, 1, 1]);
        let rows: Vec<_> = store.records().filter_map(|r| r.row).collect();
        assert_eq!(rows, [0, 1, 0, 2]);
        for (row, n) in [2, 5, 1].into_iter().enumerate() {
            let mut out = vec![0.0; 2 * store.n_states(row)];
            store.copy_states(row, &mut out);
            assert_eq!(out, states(n));
        }
        assert!(verify(&path, &Silent).unwrap().faults.is_empty());
        let error = Store::open(&path).unwrap_err();
        assert!(error.to_string().contains("per-residue") && error.help().contains("--pooling mean"), "{error}");
    }
}

#[test]
fn damaged_states_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("s");
    let per_residue = StoreOptions { layout: Layout::PerResidue, ..options(Dtype::F32) };
    let mut writer = StoreWriter::create(&path, per_residue).unwrap();
    writer.push(&record("a", "AC"), &[1.0; 4]).unwrap();
    writer.push(&record("b", "C"), &[2.0; 2]).unwrap();
    writer.finish().unwrap();
    let part = path.join("vec/part-00000.safetensors");
    let good = fs::read(&part).unwrap();
    // Offsets 0, 2, 3 stand at the end.
    for (at, byte) in [(24, 1), (16, 9), (8, 2), (8, 4)] {
        change(&part, good.len() - at, byte);
        assert!(ResidueStore::open_residues(&path).unwrap_err().to_string().contains("offsets"), "{at}");
        fs::write(&part, &good).unwrap();
    }
    assert!(ResidueStore::open_residues(&path).is_ok());
}
