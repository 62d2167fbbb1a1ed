//! Fuzzing of every reader: whatever the bytes are, a reader gives records or a refusal. It never panics, takes at most a
//! second and holds less than 512 MB.
//!
//! One test a format makes a few thousand cases with every run of the tests; `-- --ignored` makes 100 000 of each (or
//! `FUZZ_RUNS`) from a seed that it prints (`FUZZ_SEED` takes it again) and appends a line to `target/faults/row-06.tsv`.
//! A case that fails is kept in `target/fuzz/`; copied into `tests/fuzz/corpus/TARGET/` it is tried in every later run.

#[path = "../support/checkpoint.rs"]
mod checkpoint;
#[path = "../faults/row.rs"]
mod row;
#[path = "../support/small_models.rs"]
mod small_models;

mod memory;
mod mutation;
mod runner;
mod target;
mod targets;

/// Two tests a target: `few` cases of it, and all.
macro_rules! fuzz {
    ($($target:ident $constant:ident: $few:literal),* $(,)?) => {$(
        mod $target {
            use crate::{runner, targets};

            #[test]
            fn a_few() {
                runner::few(&targets::$constant, $few);
            }

            #[test]
            #[ignore = "100 000 cases: scripts/fuzz.sh"]
            fn all() {
                runner::all(&targets::$constant);
            }
        }
    )*};
}

fuzz! {
    fasta FASTA: 3_000,
    smiles SMILES: 2_000,
    pairs PAIRS: 3_000,
    folds FOLDS: 3_000,
    clusters CLUSTERS: 3_000,
    gzip GZIP: 2_000,
    safetensors SAFETENSORS: 2_000,
    torch TORCH: 1_000,
    torch_legacy TORCH_LEGACY: 2_000,
    pickle PICKLE: 3_000,
    npy NPY: 3_000,
    vectors VECTORS: 300,
    manifest MANIFEST: 2_000,
    config CONFIG: 500,
    vocabulary VOCABULARY: 2_000,
    store STORE: 300,
}
