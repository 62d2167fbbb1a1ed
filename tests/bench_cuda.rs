//! `bench` on a CUDA device, small: that it measures what it says, not how fast anything is.

#[path = "support/standin.rs"]
mod standin;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Sizes that a stand-in computes in seconds.
const SMALL: [&str; 9] = ["--device", "cuda", "--json", "--warmup", "0", "--runs", "1", "--copy-mib", "1"];

fn program() -> Option<Command> {
    let mut command = standin::command(env!("CARGO_BIN_EXE_biollmnet"))?;
    command.arg("bench");
    Some(command)
}

#[track_caller]
fn json(mut command: Command, arguments: &[&str]) -> Value {
    let output = command.args(arguments).args(SMALL).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn positive(value: &Value) {
    assert!(value.as_f64().is_some_and(|number| number.is_finite() && number > 0.0), "{value}");
}

/// The fields of each line of a table, and of its ceilings.
#[track_caller]
fn check_table(table: &Value, names: &[&str]) {
    let lines = table["lines"].as_array().unwrap();
    let found: Vec<&str> = lines.iter().map(|line| line["name"].as_str().unwrap()).collect();
    assert_eq!(found, names);
    for line in lines {
        positive(&line["seconds"]);
        positive(&line["gb_per_second"]);
        positive(&line["share_of_copy"]);
        assert_eq!(line["runs"].as_array().unwrap().len(), 1);
    }
    check_ceilings(table);
}

#[track_caller]
fn check_ceilings(report: &Value) {
    let ceilings = &report["ceilings"];
    assert!(ceilings["device"].as_str().unwrap().starts_with("cuda:0 ("), "{ceilings}");
    positive(&ceilings["copy_gb_per_second"]);
    // The stand-in has no cuBLAS that works with it.
    assert!(ceilings["peak"].is_null() && ceilings["peak_is"].as_str().unwrap().contains("not measured"), "{ceilings}");
}

#[test]
fn linear_layers_and_moves() {
    for precision in ["f16", "f32"] {
        let Some(command) = program() else { return };
        let table = json(command, &["gemm", "--tokens", "5", "--width", "64", "--precision", precision]);
        assert_eq!(table["precision"], precision);
        let layers = [
            "queries, keys, values 64x192",
            "output of attention 64x64",
            "up, GELU 64x256",
            "down, GELU 256x64",
            "up, SwiGLU 64x176",
            "down, SwiGLU 176x64",
        ];
        check_table(&table, &[&layers[..], &["layer norm", "embedding", "means of sequences"]].concat());
        for (i, line) in table["lines"].as_array().unwrap().iter().enumerate() {
            assert_eq!((line["tokens"].as_u64(), line["cold"].as_bool()), (Some(5), Some(true)));
            assert_eq!(line["gflops"].is_null(), i >= layers.len());
        }
    }
}

#[test]
fn attention_of_uniform_and_mixed_lengths() {
    let Some(command) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let lengths = lengths(folder.path());
    let flags = ["--length", "16,150", "--tokens", "200", "--heads", "2", "--lengths", &lengths];
    let table = json(command, &[&["attention"][..], &flags].concat());
    check_table(&table, &["uniform 16", "uniform 150", "mixed"]);
    let tokens: Vec<u64> =
        table["lines"].as_array().unwrap().iter().map(|line| line["tokens"].as_u64().unwrap()).collect();
    assert_eq!(tokens, [192, 150, 11 + 142 + 7 + 11]);
}

#[test]
fn an_encoder_prepared_piped_and_alone() {
    let Some(command) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let lengths = lengths(folder.path());
    let flags = ["--config", "rinalmo-nano", "--shape", "2x9", "--lengths", &lengths, "--pipe", "--latency", "12"];
    let report = json(command, &[&["encoder"][..], &flags].concat());
    check_ceilings(&report);
    let whole_wave = report["max_tokens"].as_u64().unwrap();
    assert!(whole_wave > 0 && whole_wave.is_multiple_of(128), "{whole_wave}");
    for (part, sequences, tokens) in
        [(&report["shapes"]["2x9"], 2, 22), (&report["shapes"]["mixed"], 3, 160), (&report["pipe"], 3, 160)]
    {
        assert_eq!((part["sequences"].as_u64(), part["tokens"].as_u64()), (Some(sequences), Some(tokens)), "{part}");
        positive(&part["tokens_per_second"]);
        positive(&part["gflops"]);
        assert!(part["share_of_peak"].is_null());
    }
    assert_eq!(report["latency"]["residues"], 12);
    positive(&report["latency"]["milliseconds"]);
}

#[test]
fn fidelity_of_half_precision() {
    let Some(command) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let lengths = lengths(folder.path());
    let flags = ["--config", "esm2-8m", "--lengths", &lengths, "--fidelity", "--reference", "cpu"];
    let report = json(command, &[&["encoder"][..], &flags].concat());
    for kind in ["mean", "cls", "per_token"] {
        let cosine = report[kind]["min"].as_f64().unwrap();
        // Six layers in half precision: measured above 0.999 99.
        assert!(cosine > 0.9999 && cosine < 1.0, "{kind}: {cosine}");
    }
    assert_eq!((report["same_alone"].as_u64(), report["sequences"].as_u64()), (Some(3), Some(3)));
}

#[test]
fn int8_is_refused_with_words() {
    let Some(mut command) = program() else { return };
    let output = command.args(["gemm", "--width", "64", "--precision", "int8"]).args(SMALL).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && words.contains("int8") && words.contains("help: "), "{words}");
}

/// A misspelt choice must not measure something else.
#[test]
fn variables_that_choose_nothing_are_refused() {
    for (name, value, help) in [
        ("BIOLLMNET_LINEAR_TILE", "256x3", "128, 64, 256, 128x2, 256x2"),
        ("BIOLLMNET_TENSOR_CORES", "hmma", "set it to mma"),
    ] {
        let Some(mut command) = program() else { return };
        let output =
            command.args(["gemm", "--tokens", "5", "--width", "64"]).args(SMALL).env(name, value).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("{name} is '{value}'")) && said.contains(help), "{said}");
    }
}

/// A list of lengths in letters: one beyond the kernel of short sequences.
fn lengths(folder: &Path) -> String {
    let path = folder.join("lengths.txt");
    std::fs::write(&path, "# letters\n9\n140\n5\n").unwrap();
    path.to_str().unwrap().to_owned()
}
