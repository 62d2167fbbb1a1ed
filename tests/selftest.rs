//! The self-test of the program: on the CPU, on the stand-in for a CUDA device, and on kernels with planted mistakes.

#[path = "support/standin.rs"]
mod standin;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_biollmnet"));
    command.args(["selftest", "--progress", "none"]);
    command
}

/// The self-test on a stand-in made of kernels with these macros, with these variables; none where it cannot be made.
fn on_stand_in(
    defines: &[&str],
    [copies, seed]: [&str; 2],
    filter: &str,
    variables: &[(&str, &str)],
) -> Option<Output> {
    let folder = standin::library(defines)?;
    let mut command = program();
    command.args(["--device", "cuda", "--filter", filter]);
    command.envs(variables.iter().copied());
    command.env("LD_LIBRARY_PATH", &folder).env("BIOLLMNET_KERNELS", &folder);
    command.env("BIOLLMNET_STANDIN_COPY", copies).env("BIOLLMNET_STANDIN_SEED", seed);
    Some(command.output().expect("the program starts"))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Asynchronous copies as early or as late as they may come, warps in order or not.
const MODES: [[&str; 2]; 4] = [["early", "0"], ["late", "0"], ["early", "1"], ["late", "1"]];

#[test]
fn the_cpu_passes() {
    let output = program().args(["--device", "cpu"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let output = program().args(["--device", "cpu", "--filter", "layer_norm", "--json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report[0]["device"].as_str(), report[0]["failures"].as_u64()), (Some("cpu"), Some(0)));
    assert!(report[0]["checks"].as_array().unwrap().len() as u64 == report[0]["cases"].as_u64().unwrap());
}

#[test]
fn a_filter_that_fits_nothing_is_refused() {
    let output = program().args(["--device", "cpu", "--filter", "linnear"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("no case holds the text 'linnear'"), "{}", text(&output));
}

/// The products of a warp, where the device has those of a warpgroup too.
const OLDER: [(&str, &str); 1] = [("BIOLLMNET_TENSOR_CORES", "mma")];

#[track_caller]
fn passes(modes: &[[&str; 2]], filter: &str, variables: &[(&str, &str)]) {
    for &mode in modes {
        let Some(output) = on_stand_in(&[], mode, filter, variables) else { return };
        let said = text(&output);
        assert_eq!(output.status.code(), Some(0), "copies {}, seed {}, {variables:?}:\n{said}", mode[0], mode[1]);
        println!("copies {}, seed {}, {variables:?}: {}", mode[0], mode[1], said.lines().last().unwrap_or_default());
    }
}

#[test]
fn the_kernels_pass_in_every_order() {
    passes(&MODES, "", &[]);
}

#[test]
fn the_kernels_of_older_tensor_cores_pass_in_every_order() {
    passes(&MODES, "linear_", &OLDER);
    passes(&MODES, "attention f16", &OLDER);
    passes(&MODES[3..], "encoder_esm2 f16", &OLDER);
}

#[test]
fn every_tile_of_linear_layers_passes() {
    for tile in ["256", "128", "64"] {
        passes(&[["early", "0"], ["late", "2"], ["late", "3"]], "linear_", &[("BIOLLMNET_LINEAR_TILE", tile)]);
    }
}

/// The first block of a pair is far ahead of the other, or the second.
#[test]
fn every_tile_of_pairs_of_blocks_passes() {
    for tile in ["256x2", "128x2"] {
        passes(&[["early", "0"], ["late", "1"]], "linear_", &[("BIOLLMNET_LINEAR_TILE", tile)]);
    }
}

/// What makes the launcher take the kernel that holds a planted mistake.
fn variables(file: &str, plant: &str) -> &'static [(&'static str, &'static str)] {
    match file {
        "linear" | "attention" => &OLDER,
        _ if plant.starts_with("PLANT_CLUSTER") => &[("BIOLLMNET_LINEAR_TILE", "256x2")],
        _ => &[],
    }
}

/// Cases of each type that run the kernels of a file.
fn filters(file: &str) -> &'static [&'static str] {
    match file {
        "attention" => &["attention f16"],
        "attention_wgmma" => &["attention f16 2 heads of 64", "attention f16 1 heads of 128"],
        "attention_f32" => &["attention f32"],
        "bias_activation" => &["bias_activation f32"],
        "gated_fusion" => &["gated_fusion f32", "gated_fusion f16"],
        "gather_pairs" => &["gather_pairs f32"],
        "gemm" => &["gemm f32 Nt", "gemm f32 Nn"],
        "layer_norm" => &["layer_norm f32", "layer_norm f16"],
        "linear" => &["linear_store f32", "linear_store f16", "linear_rope f32", "linear_rope f16"],
        "layer_norm_e4m3" => &["layer_norm_e4m3 f16"],
        "linear_wgmma" => &["linear_store f16"],
        "linear_e4m3" => &["linear_e4m3_"],
        "pair_score" => &[
            "pair_score f32 signed L1",
            "pair_score f32 ReLU",
            "pair_score f32 gate",
            "pair_score f16 signed L1",
            "pair_score f16 ReLU",
            "pair_score f16 gate",
        ],
        "pair_loss" => &["pair_loss f32"],
        "segment_mean" => &["segment_mean f32", "segment_mean f16"],
        "weight_update" => &["weight_update f32 Adam", "weight_update f32 gradient"],
        _ => panic!("kernels/{file}.cu has a planted mistake and no cases that would find it"),
    }
}

/// Every planted mistake by kernel file.
fn plants() -> BTreeSet<(String, String)> {
    let mut plants = BTreeSet::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "cu") {
            continue;
        }
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let source = standin::with_headers(&fs::read_to_string(&path).unwrap());
        let words = source.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        plants.extend(words.filter(|word| word.starts_with("PLANT_")).map(|word| (file.clone(), word.to_owned())));
    }
    plants
}

/// In which mode and by which case the self-test finds a planted mistake; `None` where every case passes.
fn found(file: &str, plant: &str, filter: &str) -> Option<String> {
    MODES.iter().find_map(|&[copies, seed]| {
        let output = on_stand_in(&[plant], [copies, seed], filter, variables(file, plant))?;
        let (code, said) = (output.status.code(), text(&output));
        assert!(matches!(code, Some(0 | 1)), "{plant}, {filter}: {code:?}\n{said}");
        let failed = said.lines().find(|line| line.contains("FAILED")).unwrap_or_default();
        (code == Some(1)).then(|| format!("copies {copies}, seed {seed}: {failed}"))
    })
}

#[test]
fn planted_mistakes_are_found() {
    if standin::library(&[]).is_none() {
        return;
    }
    let plants = plants();
    assert!(plants.len() >= 8, "{plants:?}");
    for (file, plant) in &plants {
        for filter in filters(file) {
            let found = found(file, plant, filter);
            println!("{plant} in {file}.cu: {}", found.as_deref().unwrap_or("NOT FOUND"));
            assert!(found.is_some(), "{plant} in kernels/{file}.cu passes the cases '{filter}'");
        }
    }
}
