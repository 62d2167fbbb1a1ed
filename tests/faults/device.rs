//! Row 9: a device that has no memory at the n-th allocation, or that is lost at the n-th kernel. The device is the stand-in
//! driver.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use biollmnet::embed::Store;
use biollmnet::files::Manifest;
use rand::RngExt as _;

use crate::job::bits;
use crate::row::Row;
use crate::standin;
use crate::support::Ran;
use crate::workshop::{fasta, workshop};

const FAULT: &str = "device out of memory at the n-th allocation, device lost at the n-th kernel";

#[test]
fn a_device_fails_a_few_times() {
    matrix_row(Row::fast(9, FAULT));
}

#[test]
#[ignore = "a row of the whole matrix"]
fn a_device_fails() {
    matrix_row(Row::full(9, FAULT));
}

fn matrix_row(mut row: Row) {
    if standin::library(&[]).is_none() {
        return;
    }
    let bench = workshop();
    // Ids of their own: where one record is refused no other takes its place.
    let text = fasta(30, b"ACDEFGHIKLMNPQRSTVWY", 1..200);
    let sequences = text.split('>').skip(1).filter_map(|record| record.split_once('\n'));
    let records = sequences.enumerate().map(|(i, (_, sequence))| format!(">d{i}\n{sequence}"));
    bench.file("device.fa", records.collect::<String>());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/esm2_hf_tiny");
    let embed = |out: &Path, flags: &[&str], variables: &[(&str, String)]| -> anyhow::Result<Ran> {
        let mut command: Command = standin::command(env!("CARGO_BIN_EXE_biollmnet")).context("a stand-in")?;
        command.args(["embed", "--device", "cuda", "--progress", "none", "--encoder"]).arg(&golden);
        command.arg("--out").arg(out).args(flags).arg(bench.path("device.fa"));
        command.envs(variables.iter().map(|(name, value)| (*name, value)));
        Ok(command.output()?.into())
    };
    let files_of = |store: &Path| Manifest::read(store).map(|manifest| (manifest.files, manifest.detail));
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let ran = embed(&whole, &[], &[]).unwrap();
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let expected = files_of(&whole).unwrap();
    let mut rng = row.rng();
    let (mut refused, mut halved, mut alone, mut lost) = (0, 0, 0, 0);
    let n = row.count(12, 500);
    for i in 0..n {
        let out = folder.path().join(format!("store{i}"));
        let budget = ["64", "2048", "100000"][i % 3];
        let flags = ["--max-tokens", budget];
        if i % 4 == 3 {
            let nth = rng.random_range(1..120).to_string();
            row.trial(
                || format!("--max-tokens {budget}, lost at kernel {nth}"),
                || {
                    let flags = [&flags[..], &["--checkpoint", "0"]].concat();
                    let ran = embed(&out, &flags, &[("BIOLLMNET_STANDIN_FAIL_LAUNCH", nth.clone())])?;
                    ensure!(!ran.err.contains("panicked"), "{}", ran.err);
                    if ran.code == Some(75) {
                        lost += 1;
                        ensure!(ran.err.contains("cuda:0") && ran.err.contains("help: run the same"), "{}", ran.err);
                    } else {
                        ensure!(matches!(ran.code, Some(0 | 1)), "it ends with {:?}: {}", ran.code, ran.err);
                    }
                    let again = embed(&out, &flags, &[])?;
                    ensure!(matches!(again.code, Some(0 | 1)), "run again: {}", again.err);
                    let (found, other) = (Store::open(&out)?, Store::open(&whole)?);
                    same_vectors(&found, &other)
                },
            );
            continue;
        }
        let nth = if n < 100 { rng.random_range(1..160) } else { i * 3 / 4 % 190 + 1 };
        row.trial(
            || format!("--max-tokens {budget}, no memory at allocation {nth}"),
            || {
                let ran = embed(&out, &flags, &[("BIOLLMNET_STANDIN_FAIL_ALLOC", nth.to_string())])?;
                ensure!(!ran.err.contains("panicked"), "{}", ran.err);
                if ran.code == Some(3) {
                    // Weights that find no room.
                    refused += 1;
                    ensure!(ran.err.contains("has no memory left") && ran.err.contains("help: "), "{}", ran.err);
                    ensure!(!out.exists(), "something is left of the store");
                    return Ok(());
                }
                halved += 1;
                ensure!(ran.code == Some(1), "it ends with {:?}: {}", ran.code, ran.err);
                if files_of(&out)? == expected {
                    return Ok(());
                }
                alone += 1;
                all_but_one(&Store::open(&out)?, &Store::open(&whole)?)
            },
        );
    }
    row.note(format!(
        "{refused} found no room for the weights and were refused; {halved} had less memory later, {alone} of them \
         with a sequence that was alone in its batch, whose row says so; {lost} lost their device and went on in a second run"
    ));
    row.end();
}

/// A sequence that was alone in its batch had no room, and says so; the others have the same vectors.
fn all_but_one(found: &Store, other: &Store) -> anyhow::Result<()> {
    let refused = found.records().zip(other.records()).filter(|(found, other)| found.status != other.status);
    let refused: Vec<&str> = refused.map(|(found, _)| found.status.name()).collect();
    ensure!(refused == ["too-large"], "other rows are refused: {refused:?}");
    for (found_record, record) in found.records().zip(other.records()) {
        if let (Some(row), Some(same)) = (found_record.row, record.row) {
            ensure!(bits(found, row) == bits(other, same), "{} differs", record.id);
        }
    }
    Ok(())
}

/// Both hold the same records with the same vectors.
fn same_vectors(found: &Store, other: &Store) -> anyhow::Result<()> {
    ensure!(found.n_records() == other.n_records(), "{} records", found.n_records());
    for (found_record, record) in found.records().zip(other.records()) {
        let vectors = (found_record.row.map(|row| bits(found, row)), record.row.map(|row| bits(other, row)));
        let same = found_record.id == record.id && found_record.status == record.status && vectors.0 == vectors.1;
        ensure!(same, "{} differs", record.id);
    }
    Ok(())
}
