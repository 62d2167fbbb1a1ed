//! What the jobs of the matrix read: sequences, stores, pairs, a model and a small backbone, made once a process.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::checkpoint::safetensors;
use crate::small_models::{ESM_CONFIG, hugging_face};
use crate::support::{Bench, train};

/// Records of `many.fa`: several chunks of every encoder.
pub const MANY: usize = 5000;

/// Besides what [`Bench`] has: `many.fa` (RNA, with odd records among them), `proteins.fa` and `more.fa`, the folder `esm` (a
/// backbone), `few.toml` and `long.toml` (two epochs and a hundred), `few.tsv` (pairs), `vectors.csv` and the folder `model`.
pub fn workshop() -> &'static Bench {
    static SHOP: OnceLock<Bench> = OnceLock::new();
    SHOP.get_or_init(|| {
        let bench = Bench::new();
        bench.file("many.fa", fasta(MANY, b"ACGU", 3..60));
        bench.file("more.fa", fasta(3000, b"ACDEFGHIKLMNPQRSTVWY", 1..40));
        bench.file("proteins.fa", fasta(60, b"ACDEFGHIKLMNPQRSTVWY", 1..40));
        std::fs::create_dir(bench.path("esm")).unwrap();
        bench.file("esm/config.json", ESM_CONFIG);
        bench.file("esm/model.safetensors", safetensors(&hugging_face()));
        bench.file("few.toml", bench.read("small.toml").replace("epochs = 8", "epochs = 2"));
        bench.file("long.toml", bench.read("small.toml").replace("epochs = 8", "epochs = 100"));
        bench.file("few.tsv", bench.read("pairs.tsv").split_inclusive('\n').take(9).collect::<String>());
        bench.run(&["export", "rna", "--format", "csv", "--out", "vectors.csv"]).ends_with(0);
        bench.run(&train(&[])).ends_with(0);
        bench
    })
}

/// Random sequences; now and then one that is there already, an id that is taken, and a record without a letter.
pub fn fasta(n: usize, letters: &[u8], lengths: std::ops::Range<usize>) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
    let mut text = String::new();
    for i in 0..n {
        let length = rng.random_range(lengths.clone());
        let sequence: String = (0..length).map(|_| char::from(letters[rng.random_range(0..letters.len())])).collect();
        let _ = match i % 20 {
            7 => writeln!(text, ">s{i}\n"),
            11 => writeln!(text, ">s{}\n{sequence}", i - 1),
            13 => writeln!(text, ">s{i}\nACGACGACG"),
            _ => writeln!(text, ">s{i}\n{sequence}"),
        };
    }
    text
}

/// A file of the workshop, as an argument.
pub fn input(name: &str) -> PathBuf {
    workshop().path(name)
}
