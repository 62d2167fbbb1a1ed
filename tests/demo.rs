//! The demo as a user runs it: the planted rule is found, nothing that sees one side finds it, and every byte repeats.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn biollmnet(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_biollmnet"))
        .current_dir(folder)
        .args(["--progress", "none"])
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn auroc(metrics: &Value, model: &str) -> f64 {
    let models = metrics["models"].as_array().unwrap();
    let found = models.iter().find(|entry| entry["name"] == model).unwrap_or_else(|| panic!("no model {model}"));
    found["metrics"]["AUROC"]["mean"].as_f64().unwrap()
}

#[test]
fn the_demo_finds_the_planted_rule_and_repeats_byte_for_byte() {
    let root = tempfile::tempdir().unwrap();
    let done = biollmnet(root.path(), &["demo", "--out", "one"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let said = text(&done.stdout);
    let report = Path::new("one").join("report.html").display().to_string();
    assert!(said.contains(&report), "{said}");

    let one = root.path().join("one");
    let metrics: Value = serde_json::from_slice(&fs::read(one.join("metrics.json")).unwrap()).unwrap();
    assert_eq!(metrics["synthetic"], true);
    assert!(auroc(&metrics, "static") >= 0.9, "{said}");
    for one_sided in ["rna-only", "partner-only", "length-only"] {
        assert!(auroc(&metrics, one_sided) <= 0.6, "{one_sided}: {said}");
    }
    assert!((0.4..=0.6).contains(&auroc(&metrics, "shuffled")), "{said}");
    assert!(fs::read_to_string(one.join("report.html")).unwrap().to_lowercase().contains("synthetic"));

    // The rule holds for pairs that were never labelled.
    let predictions = fs::read_to_string(one.join("predictions.tsv")).unwrap();
    let mut lines = predictions.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let column = |name: &str| header.iter().position(|found| *found == name).unwrap();
    let (score, binds) = (column("score"), column("binds"));
    let (mut right, mut all) = (0, 0);
    for cells in lines {
        right += usize::from((cells[score].parse::<f64>().unwrap() >= 0.5) == (cells[binds] == "1"));
        all += 1;
    }
    assert_eq!(all, 64);
    assert!(right >= 58, "{right} of {all} new pairs are right");
    assert_eq!(fs::read_to_string(one.join("screen.tsv")).unwrap().lines().count(), 1 + 64 * 5);

    assert_eq!(biollmnet(root.path(), &["verify", "one"]).status.code(), Some(0));
    let refused = biollmnet(root.path(), &["demo", "--out", "one"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--force"), "{}", text(&refused.stderr));

    // With one thread: the bytes depend on neither the folder nor the number of threads.
    let again = biollmnet(root.path(), &["demo", "--out", "two", "--threads", "1"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    let compared = [
        "metrics.json",
        "report.html",
        "evaluation/predictions.tsv",
        "model/member-0.safetensors",
        "predictions.tsv",
        "screen.tsv",
    ];
    for name in compared {
        let bytes = |run: &str| fs::read(root.path().join(run).join(name)).unwrap();
        assert!(bytes("one") == bytes("two"), "{name} differs between two runs");
    }
}
