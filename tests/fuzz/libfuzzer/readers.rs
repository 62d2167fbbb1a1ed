//! The readers under libFuzzer, which looks for inputs that reach new code: one of them, by its name in `FUZZ_TARGET`.

#![no_main]

#[path = "../../support/checkpoint.rs"]
mod checkpoint;
#[path = "../../support/small_models.rs"]
mod small_models;
#[path = "../target.rs"]
mod target;
#[path = "../targets/mod.rs"]
mod targets;

use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use target::Target;

fuzz_target!(|bytes: &[u8]| {
    (chosen().read)(bytes);
});

static ALL: [Target; 16] = [
    targets::FASTA,
    targets::SMILES,
    targets::PAIRS,
    targets::FOLDS,
    targets::CLUSTERS,
    targets::GZIP,
    targets::SAFETENSORS,
    targets::TORCH,
    targets::TORCH_LEGACY,
    targets::PICKLE,
    targets::NPY,
    targets::VECTORS,
    targets::MANIFEST,
    targets::CONFIG,
    targets::VOCABULARY,
    targets::STORE,
];

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let names: Vec<&str> = ALL.iter().map(|target| target.name).collect();
        let found = ALL.iter().find(|target| target.name == name);
        let found = found.unwrap_or_else(|| panic!("FUZZ_TARGET is '{name}', not one of {}", names.join(", ")));
        if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
            for (i, seed) in (found.seeds)().iter().enumerate() {
                std::fs::write(Path::new(&folder).join(format!("seed-{i}")), seed).expect("FUZZ_SEEDS is a folder");
            }
        }
        found
    })
}
