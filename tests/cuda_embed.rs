//! `embed` on a CUDA device: the same vectors as on the CPU, whatever the batches, the moment at which copies land, and
//! the memory that the device has; and what is said where there is no device. The device is the stand-in driver.

#[path = "support/standin.rs"]
mod standin;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use biollmnet::data::VectorSource;
use biollmnet::embed::store::Store;

const PROGRAM: &str = env!("CARGO_BIN_EXE_biollmnet");

fn golden(name: &str) -> String {
    format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Sequences on both sides of every threshold of the kernels, one of them twice.
fn fasta(folder: &Path) -> String {
    let mut text = String::new();
    for (i, length) in [1, 14, 15, 40, 62, 63, 126, 127, 140, 260, 40, 5, 6, 7, 30].into_iter().enumerate() {
        let letters: String = (0..length)
            .map(|k: usize| char::from(b"ACDEFGHIKLMNPQRSTVWY"[(k * k + i % 10 * 7 + k / 3) % 20]))
            .collect();
        let _ = writeln!(text, ">s{i}\n{letters}");
    }
    let path = folder.join("in.fasta");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// `embed` with these flags and variables of the environment, into the folder `out`.
fn embed(mut command: Command, folder: &Path, out: &str, flags: &[&str], variables: &[(&str, &str)]) -> Output {
    let input = fasta(folder);
    command
        .args(["embed", &input, "--encoder", &golden("esm2_hf_tiny"), "--progress", "none"])
        .arg("--out")
        .arg(folder.join(out))
        .args(flags)
        .envs(variables.iter().copied());
    command.output().unwrap()
}

#[track_caller]
fn ends_with(output: &Output, code: i32) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(!error.contains("panicked"), "{error}");
    error
}

fn vectors(store: &Path) -> Vec<Option<Vec<f32>>> {
    let store = Store::open(store).unwrap();
    let mut vector = vec![0.0; store.detail().dim];
    let rows: Vec<_> = store.records().map(|record| record.row).collect();
    let mut read = |row| {
        store.copy_row(row, &mut vector);
        vector.clone()
    };
    rows.into_iter().map(|row| row.map(&mut read)).collect()
}

fn manifest(store: &Path) -> Vec<u8> {
    fs::read(store.join("manifest.json")).unwrap()
}

const POOLINGS: [&str; 2] = ["--pooling", "mean,cls,per-residue"];

#[test]
fn half_precision_is_near_single_and_no_batch_or_moment_changes_a_bit() {
    let Some(command) = standin::command(PROGRAM) else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    ends_with(&embed(Command::new(PROGRAM), folder.path(), "cpu", &["--device", "cpu", "--dtype", "f32"], &[]), 0);
    let said = embed(command, folder.path(), "cuda", &["--device", "cuda", "--dtype", "f32", "-v"], &[]);
    let said = ends_with(&said, 0);
    assert!(said.contains("in f16 on cuda:0"), "{said}");
    let (cpu, cuda) = (vectors(&at("cpu")), vectors(&at("cuda")));
    assert_eq!(cpu.len(), 15);
    for (cpu, cuda) in cpu.iter().zip(&cuda) {
        let (cpu, cuda) = (cpu.as_ref().unwrap(), cuda.as_ref().unwrap());
        // Numbers of about 1 after two layers in half precision: measured 3e-3.
        assert!(cpu.iter().zip(cuda).all(|(a, b)| (a - b).abs() < 1e-2), "{cpu:?} {cuda:?}");
    }

    let same = [
        ("whole", &["--max-tokens", "100000"][..], &[][..]),
        ("short", &["--max-tokens", "70"], &[]),
        ("late", &["--max-tokens", "70"], &[("BIOLLMNET_STANDIN_STREAM", "late"), ("BIOLLMNET_STANDIN_COPY", "late")]),
        ("other order", &[], &[("BIOLLMNET_STANDIN_SEED", "5"), ("BIOLLMNET_STANDIN_COPY", "late")]),
    ];
    for (name, flags, variables) in same {
        let flags = [&["--device", "cuda"][..], &POOLINGS, flags].concat();
        ends_with(&embed(standin::command(PROGRAM).unwrap(), folder.path(), name, &flags, variables), 0);
        for pooling in ["mean", "cls", "per-residue"] {
            let read = |name: &str| manifest(&at(name).join(pooling));
            assert!(read(name) == read("whole"), "{name}: {pooling} has other bytes");
        }
    }
}

#[test]
fn every_allocation_may_fail_and_no_row_is_lost() {
    let Some(command) = standin::command(PROGRAM) else { return };
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--device", "cuda"];
    ends_with(&embed(command, folder.path(), "whole", &flags, &[]), 0);
    let whole = manifest(&folder.path().join("whole"));
    let (mut refused, mut halved) = (0, 0);
    for n in 1..1000 {
        let (name, nth) = (format!("fail{n}"), n.to_string());
        let variables = [("BIOLLMNET_STANDIN_FAIL_ALLOC", nth.as_str())];
        let output = embed(standin::command(PROGRAM).unwrap(), folder.path(), &name, &flags, &variables);
        if output.status.code() == Some(3) {
            // Weights that find no room: nothing can be computed, and nothing is left of the store.
            let said = ends_with(&output, 3);
            assert!(said.contains("has no memory left") && said.contains("help: "), "{said}");
            assert!(!folder.path().join(&name).exists());
            refused += 1;
            continue;
        }
        ends_with(&output, 0);
        assert!(manifest(&folder.path().join(&name)) == whole, "allocation {n} changed the store");
        halved += 1;
        // Beyond the last allocation nothing fails any more: enough of those.
        if halved == 40 {
            break;
        }
    }
    println!("{refused} failures while weights were loaded, {halved} later ones or none: each row there, same bytes");
    assert!(refused > 10 && halved == 40);
}

#[test]
fn what_does_not_fit_alone_is_a_row_and_the_rest_goes_on() {
    let Some(command) = standin::command(PROGRAM) else { return };
    let folder = tempfile::tempdir().unwrap();
    ends_with(&embed(command, folder.path(), "whole", &["--device", "cuda"], &[]), 0);
    let whole = vectors(&folder.path().join("whole"));
    // Weights take about 0.2 MB, a token about 0.5 kB.
    let mut seen = false;
    for kib in (180..700).step_by(20) {
        let (name, bytes) = (format!("small{kib}"), (kib << 10).to_string());
        let variables = [("BIOLLMNET_STANDIN_MEMORY", bytes.as_str())];
        let flags = ["--device", "cuda", "--max-memory", "1G"];
        let output = embed(standin::command(PROGRAM).unwrap(), folder.path(), &name, &flags, &variables);
        if output.status.code() == Some(3) {
            continue;
        }
        let code = output.status.code();
        ends_with(&output, code.unwrap());
        let found = vectors(&folder.path().join(&name));
        let refused = found.iter().filter(|row| row.is_none()).count();
        assert_eq!(code, Some(i32::from(refused > 0)), "{refused} refused");
        if refused > 0 {
            let rejects = fs::read_to_string(folder.path().join(&name).join("rejects.tsv")).unwrap();
            assert!(rejects.contains("too-large") && rejects.contains("no memory left"), "{rejects}");
            seen = true;
        }
        for (found, whole) in found.iter().zip(&whole) {
            assert!(found.is_none() || found == whole, "{kib} KiB changed a vector");
        }
    }
    assert!(seen, "no memory was small enough for some and large enough for others");
}

#[test]
fn without_a_driver_auto_says_so_and_cuda_is_refused() {
    if std::process::Command::new("sh").args(["-c", "ldconfig -p | grep -q libcuda.so"]).status().unwrap().success() {
        println!("skipped: this machine has a CUDA driver");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let said = ends_with(&embed(Command::new(PROGRAM), folder.path(), "auto", &["--device", "auto"], &[]), 0);
    assert!(said.contains("computing on the CPU: no CUDA device can be used"), "{said}");
    let quiet = ends_with(&embed(Command::new(PROGRAM), folder.path(), "quiet", &["--device", "auto", "-q"], &[]), 0);
    assert_eq!(quiet, "");
    for device in ["cuda", "cuda:3"] {
        let said = ends_with(&embed(Command::new(PROGRAM), folder.path(), "none", &["--device", device], &[]), 3);
        let lines: Vec<_> = said.lines().collect();
        assert!(lines.len() == 2 && lines[0].contains("libcuda") && lines[1].starts_with("help: "), "{said}");
    }
    // A file of that name which is no library, as a broken installation leaves it.
    fs::write(folder.path().join("libcuda.so"), "not a library").unwrap();
    let variables = [("LD_LIBRARY_PATH", folder.path().to_str().unwrap())];
    ends_with(&embed(Command::new(PROGRAM), folder.path(), "none", &["--device", "cuda"], &variables), 3);
}

#[test]
fn a_driver_without_a_device_and_a_device_too_old_are_named() {
    let Some(command) = standin::command(PROGRAM) else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = |command, variable, value, device: &str, said: &str| {
        let output = embed(command, folder.path(), "none", &["--device", device], &[(variable, value)]);
        let error = ends_with(&output, 3);
        assert!(error.contains(said) && error.contains("help: "), "{error}");
    };
    run(command, "BIOLLMNET_STANDIN_DEVICES", "0", "cuda", "no device");
    let more = || standin::command(PROGRAM).unwrap();
    run(more(), "BIOLLMNET_STANDIN_DEVICES", "2", "cuda:2", "this machine has 2");
    run(more(), "BIOLLMNET_STANDIN_CAPABILITY", "7.5", "cuda", "compute capability 7.5");
    let output = embed(more(), folder.path(), "second", &["--device", "cuda:1"], &[("BIOLLMNET_STANDIN_DEVICES", "2")]);
    ends_with(&output, 0);
    let output = embed(more(), folder.path(), "none", &["--device", "cuda", "--precision", "int8"], &[]);
    let error = ends_with(&output, 3);
    assert!(error.contains("int8") && error.contains("--precision f16"), "{error}");
    let older = [("BIOLLMNET_TENSOR_CORES", "mma")];
    let flags = ["--device", "cuda", "--precision", "fp8"];
    // The golden encoder has heads of 16; where there is no wgmma, that is said of a device.
    for (variables, said) in [(&[][..], "heads of"), (&older[..], "--precision fp8")] {
        let error = ends_with(&embed(more(), folder.path(), "none", &flags, variables), 3);
        assert!(error.contains(said) && error.contains("--precision f16"), "{error}");
    }
    // What never computes on a device does not take one in silence.
    let mut command = more();
    command.args(["embed", &fasta(folder.path()), "--encoder", "triad", "--device", "cuda", "--out"]);
    let error = ends_with(&command.arg(folder.path().join("none")).output().unwrap(), 3);
    assert!(error.contains("an encoder without weights is computed on the CPU"), "{error}");
}

#[test]
fn a_device_that_stops_ends_the_run_for_another_try() {
    // A kernel that reads past an end, as a device that fails would: the driver gives up the context.
    let Some(folder) = standin::library(&["PLANT_RAGGED_EDGE"]) else { return };
    let temporary = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.env("LD_LIBRARY_PATH", &folder).env("BIOLLMNET_KERNELS", &folder);
    let output = embed(command, temporary.path(), "lost", &["--device", "cuda"], &[]);
    let said = ends_with(&output, 75);
    assert!(said.contains("error: cuda:0") && said.contains("help: run the same command again"), "{said}");
    assert!(!temporary.path().join("lost").exists());
}
