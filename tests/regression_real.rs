//! RNA and small molecules from SMILES to the verdict, on published affinities, against scores of an independent
//! implementation on the same folds.
//!
//! Data and scores are read in place; where they are absent the tests say so and pass.

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Bench, evaluate};

/// Set, pairs of which both sides have a vector, and pairs whose SMILES is refused.
const SETS: [(&str, u64, u64); 6] = [
    ("aptamers", 514, 6),
    ("mirna", 145, 1),
    ("repeats", 97, 0),
    ("ribosomal", 292, 3),
    ("riboswitch", 98, 2),
    ("viral_rna", 278, 3),
];

/// Their name of a baseline, ours, and what is compared: a constant has no correlation, and the other implementation
/// breaks ties between RNAs of one sequence by rounding, which moves rank correlations.
const BASELINES: [(&str, &str, &[&str]); 5] = [
    ("train_mean", "majority", &["MAE", "RMSE"]),
    ("id_only", "id-only", &["MAE", "RMSE", "Pearson", "Spearman"]),
    ("rna_only_ridge", "rna-only", &["MAE", "RMSE", "Pearson"]),
    ("partner_only_ridge", "partner-only", &["MAE", "RMSE", "Pearson"]),
    ("both_ridge", "linear", &["MAE", "RMSE", "Pearson"]),
];

const TOLERANCE: f64 = 1e-3;

fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let present = folder.join("refscores/refscores.tsv").is_file() && folder.join("data").is_dir();
    if !present {
        eprintln!("skipped: ../shared is absent");
    }
    present.then_some(folder)
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

/// Makes the stores `SET.rna` and `SET.mol` and gives the path of the pairs.
fn embed(bench: &Bench, shared: &Path, set: &str, refused: bool) -> String {
    let folder = shared.join(format!("data/rsapred_{set}"));
    for (file, encoder, suffix, code) in
        [("rna.fasta", "kmer", "rna", 0), ("molecules.smi", "ecfp", "mol", i32::from(refused))]
    {
        let (input, out) = (text(folder.join(file)), format!("{set}.{suffix}"));
        bench.run(&["embed", &input, "--encoder", encoder, "--out", &out]).ends_with(code);
    }
    text(folder.join("pairs.tsv"))
}

/// Evaluates in seed 0 and gives `metrics.json`.
fn metrics(bench: &Bench, (pairs, set): (&str, &str), flags: &[(&str, &str)]) -> Value {
    let (rna, mol) = (format!("{set}.rna"), format!("{set}.mol"));
    let own = [("--pairs", pairs), ("--rna", &rna), ("--partner", &mol), ("--out", set), ("--force", "")];
    let ran = bench.run(&evaluate(&[&own[..], flags].concat()));
    assert!(matches!(ran.code, Some(0 | 1)), "{}{}", ran.out, ran.err);
    bench.metrics(set)
}

fn score(metrics: &Value, model: &str, metric: &str) -> f64 {
    let found = metrics["models"].as_array().unwrap().iter().find(|m| m["name"] == model).unwrap();
    found["metrics"][metric]["mean"].as_f64().unwrap_or_else(|| panic!("{model} {metric}"))
}

/// Reference values of seed 0, means over folds: `(set, model, metric)`.
fn reference(shared: &Path) -> HashMap<(String, String, String), f64> {
    let scores = fs::read_to_string(shared.join("refscores/refscores.tsv")).unwrap();
    let rows = scores.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    rows.filter(|columns| columns[0] == "E" && columns[3] == "foldmean")
        .filter_map(|columns| {
            let seed_0 = columns[10].split(';').next()?.parse().ok()?;
            Some(((columns[1].into(), columns[2].into(), columns[4].into()), seed_0))
        })
        .collect()
}

#[test]
fn six_sets_from_smiles_to_every_baseline() {
    let Some(shared) = shared() else { return };
    let (bench, reference) = (Bench::new(), reference(&shared));
    let mut complaints = Vec::new();
    for (set, n_pairs, n_rejected) in SETS {
        let pairs = embed(&bench, &shared, set, n_rejected > 0);
        let folds = text(shared.join(format!("refscores/splits/rsapred_{set}.tsv")));
        let metrics = metrics(&bench, (&pairs, set), &[("--folds-file", &folds), ("--epochs", "1")]);
        assert_eq!((&metrics["setup"]["folds"], &metrics["setup"]["task"]), (&10.into(), &"regression".into()));
        assert_eq!(metrics["data"]["n_pairs"], n_pairs, "{set}");
        let rejected = metrics["data"]["rejected"]["unknown-partner"].as_u64();
        assert_eq!(rejected.unwrap_or(0), n_rejected, "{set}");
        for (theirs, ours, compared) in BASELINES {
            for &metric in compared {
                let expected = reference[&(format!("rsapred_{set}"), theirs.into(), metric.into())];
                let found = score(&metrics, ours, metric);
                if (found - expected).abs() > TOLERANCE {
                    complaints.push(format!("{set} {ours} {metric}: {found} instead of {expected}"));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_default_rule_errs_less_than_the_training_mean_on_the_smallest_sets() {
    let Some(shared) = shared() else { return };
    let bench = Bench::new();
    bench.file("preset.toml", "preset = \"rna-molecule\"\nepochs = 30\n");
    for set in ["repeats", "riboswitch"] {
        let pairs = embed(&bench, &shared, set, set == "riboswitch");
        let folds = text(shared.join(format!("refscores/splits/rsapred_{set}.tsv")));
        let run = |stop: &str| {
            let flags = [("--folds-file", folds.as_str()), ("--config", "preset.toml"), ("--stop", stop)];
            let metrics = metrics(&bench, (&pairs, set), &flags);
            (score(&metrics, "static", "MAE"), score(&metrics, "majority", "MAE"))
        };
        let (default, mean) = run("default");
        assert!(default < 0.95 * mean, "{set}: {default} against {mean}");
        // The published start is what that is gained over.
        let (published, _) = run("fixed");
        assert!(default < 0.95 * published, "{set}: {default} against {published}");
    }
}

#[test]
fn the_thresholded_test_set_is_near_chance_and_the_verdict_says_so() {
    let Some(shared) = shared() else { return };
    let bench = Bench::new();
    let pairs = embed(&bench, &shared, "aptamers", true);
    let test = embed(&bench, &shared, "test_aptamers", false);
    let flags = [
        ("--test-pairs", test.as_str()),
        ("--test-rna", "test_aptamers.rna"),
        ("--test-partner", "test_aptamers.mol"),
        ("--stop", "default"),
        ("--epochs", "20"),
    ];
    let metrics = metrics(&bench, (&pairs, "aptamers"), &flags);
    assert_eq!((&metrics["data"]["n_pairs"], &metrics["data"]["n_test_pairs"]), (&514.into(), &337.into()));
    assert_eq!(metrics["data"]["test_rejected"]["unknown-partner"], 7);
    assert_eq!((&metrics["setup"]["task"], &metrics["setup"]["active_from"]), (&"binary".into(), &4.0.into()));
    // Nothing that tells the pairs apart by their RNA can rank: there is one.
    assert_eq!((score(&metrics, "rna-only", "AUROC"), score(&metrics, "rna-only", "MCC")), (0.5, 0.0));
    assert!((score(&metrics, "static", "AUROC") - 0.5).abs() < 0.1);
    let report = bench.read("aptamers/report.html");
    for words in ["ranks better than chance", "does not hold", "This is near chance", "has the RNA &#39;AKTIP&#39;"] {
        assert!(report.contains(words), "{words}");
    }
}
