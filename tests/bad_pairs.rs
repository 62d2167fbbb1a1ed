//! Bad pairs and bad stores: `train` and `evaluate` say what is wrong, where, and what to do, and leave nothing.

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use biollmnet::data::{Columns, PairTable};
use biollmnet::embed::{Store, join};
use biollmnet::train::Model;
use support::Bench;

/// Both commands read pairs alike: each is asked.
fn both_refuse(bench: &Bench, flags: &[(&str, &str)], code: i32, parts: &[&str]) {
    bench.train_refused(flags, code, parts);
    bench.evaluate_refused(flags, code, parts);
}

#[test]
fn files_that_hold_no_pairs() {
    let bench = Bench::new();
    bench.file("empty.tsv", "");
    bench.file("junk.tsv", [0x7f, b'E', b'L', b'F', 0, 1, 2, 3, 0xff, 0xfe]);
    bench.file("header.tsv", "rna\tpartner\tlabel\n");
    bench.file("headless.tsv", "r0\tp0\t1\nr1\tp1\t0\n");
    bench.file("one_column.tsv", "rna\nr0\nr1\n");
    bench.file("no_label.tsv", "rna\tpartner\nr0\tp0\nr1\tp1\n");
    bench.file("cut.tsv.gz", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2]);
    for (name, message) in [
        ("absent.tsv", "No such file"),
        ("empty.tsv", "the file is empty"),
        ("junk.tsv", "not text"),
        ("header.tsv", "a header and no row"),
        ("headless.tsv", "the number '1' where the name of the label belongs"),
        ("one_column.tsv", "1 column, a pair needs two"),
        ("no_label.tsv", "no label column"),
        ("cut.tsv.gz", "gzip"),
        ("rna", "a folder"),
    ] {
        both_refuse(&bench, &[("--pairs", name)], 3, &[name, message]);
    }
    let columns = [("--columns", "rna=rna,partner=partner,label=affinity")];
    both_refuse(&bench, &columns, 3, &["pairs.tsv:1", "no column 'affinity', only: rna, partner, label"]);
    both_refuse(&bench, &[("--columns", "protein=x")], 2, &["'protein' is none of rna, partner, label"]);
}

#[test]
fn rows_that_cannot_be_used_are_listed_and_the_rest_is_done() {
    let bench = Bench::new();
    bench.with_lines("some.tsv", "nobody\tp1\t1\nr1\tnobody\t0\nr1\tp1\tyes\nr1\tp1\tNaN\nr2\t\t1\nr2\tp2\n");
    let n = bench.read("pairs.tsv").lines().count() as u64 - 1;
    let expected = [
        (n, "unknown-rna"),
        (n + 1, "unknown-partner"),
        (n + 2, "bad-label"),
        (n + 3, "bad-label"),
        (n + 4, "empty-id"),
        (n + 5, "wrong-field-count"),
    ];
    for (folder, ran) in
        [("model", bench.train(&[("--pairs", "some.tsv")])), ("evaluation", bench.evaluate(&[("--pairs", "some.tsv")]))]
    {
        let ran = ran.ends_with(1);
        assert!(ran.err.contains("1 unknown-rna") && ran.err.contains("2 bad-label"), "{}", ran.err);
        let listed = bench.read(format!("{folder}/rejects.tsv"));
        let listed: Vec<(u64, &str)> = listed
            .lines()
            .skip(1)
            .map(|line| line.split('\t').collect::<Vec<_>>())
            .map(|fields| (fields[0].parse().unwrap(), fields[4]))
            .collect();
        assert_eq!(listed, expected, "{folder}");
        bench.run(&["verify", folder]).ends_with(0);
    }
    assert_eq!(bench.metrics("evaluation")["data"]["rejected"]["bad-label"], 2);
    // Without a rejected row there is no list.
    bench.train(&[("--force", "")]).ends_with(0);
    assert!(!bench.path("model/rejects.tsv").exists());
}

#[test]
fn contradictory_labels_are_kept_and_listed() {
    let bench = Bench::new();
    let line = bench.read("pairs.tsv").lines().nth(1).unwrap().to_owned();
    let (ids, label) = line.rsplit_once('\t').unwrap();
    bench.with_lines("two.tsv", &format!("{ids}\t{}\n", u8::from(label == "0")));
    let ran = bench.train(&[("--pairs", "two.tsv")]).ends_with(0);
    assert!(ran.err.contains("1 pairs of ids have different labels"), "{}", ran.err);
    assert_eq!(bench.read("model/rejects.tsv").matches("contradictory").count(), 2);
}

#[test]
fn no_row_is_left() {
    let bench = Bench::new();
    bench.file("strangers.tsv", "rna\tpartner\tlabel\nx\ty\t1\nx\tz\t0\n");
    both_refuse(&bench, &[("--pairs", "strangers.tsv")], 3, &["strangers.tsv", "no pair has both ids", "'x' with 'y'"]);
    bench.file("words.tsv", "rna\tpartner\tlabel\nr1\tp1\tyes\nr2\tp2\tno\n");
    both_refuse(&bench, &[("--pairs", "words.tsv")], 3, &["words.tsv:2", "all 2 rows are rejected", "bad-label"]);
}

#[test]
fn swapped_columns_and_swapped_stores_are_named() {
    let bench = Bench::new();
    let swap = |line: &str| {
        let mut fields: Vec<&str> = line.split('\t').collect();
        fields.swap(0, 1);
        fields.join("\t")
    };
    let lines: Vec<String> = bench.read("pairs.tsv").lines().map(swap).collect();
    bench.file("swapped.tsv", lines.join("\n"));
    let parts = ["swapped.tsv", "look swapped", "--columns rna=rna,partner=partner"];
    both_refuse(&bench, &[("--pairs", "swapped.tsv")], 2, &parts);
    both_refuse(&bench, &[("--rna", "partner"), ("--partner", "rna")], 2, &["look swapped"]);
    // What the message says to do works.
    let named = [("--pairs", "swapped.tsv"), ("--columns", "rna=rna,partner=partner,label=label")];
    bench.train(&named).ends_with(0);
}

#[test]
fn labels_that_teach_nothing() {
    let bench = Bench::new();
    bench.pairs("ones.tsv", |_, _| "1".into());
    both_refuse(&bench, &[("--pairs", "ones.tsv")], 3, &["ones.tsv", "'label' has the value 1 only"]);
    bench.pairs("equal.tsv", |_, _| "2.5".into());
    both_refuse(&bench, &[("--pairs", "equal.tsv")], 3, &["equal.tsv", "the value 2.5 only"]);
    bench.labelled("half.tsv", "x\ty", |i, _| format!("{}\t", i % 2));
    let columns = [("--pairs", "half.tsv"), ("--columns", "label=x,y")];
    both_refuse(&bench, &columns, 3, &["half.tsv", "'y' has no value"]);
    bench.pairs("negative.tsv", |g, h| (-g - h).to_string());
    let message = "the largest training label is -";
    both_refuse(&bench, &[("--pairs", "negative.tsv")], 3, &[message, "shift the labels"]);
    // The only negatives name an RNA without a vector.
    let ones = bench.read("ones.tsv");
    bench.file("ghosts.tsv", ones + "ghost\tp1\t0\nghost\tp2\t0\n");
    both_refuse(&bench, &[("--pairs", "ghosts.tsv")], 3, &["every training pair", "has the label 1"]);
    // A training without folds names none.
    assert!(!bench.train(&[("--pairs", "ghosts.tsv")]).err.contains("of fold"));
}

#[test]
fn stores_that_are_none() {
    let bench = Bench::new();
    bench.train(&[]).ends_with(0);
    fs::rename(bench.path("model"), bench.path("other")).unwrap();
    both_refuse(&bench, &[("--rna", "absent")], 3, &["absent: there is no such folder"]);
    both_refuse(&bench, &[("--partner", "pairs.tsv")], 3, &["pairs.tsv"]);
    both_refuse(&bench, &[("--rna", "other")], 3, &["other", "'store'", "'model'"]);
    fs::create_dir(bench.path("bare")).unwrap();
    both_refuse(&bench, &[("--rna", "bare")], 3, &["bare: holds no manifest.json"]);
    // A store of which a file was lost.
    fs::remove_file(bench.path("partner/vec/part-00000.safetensors")).unwrap();
    both_refuse(&bench, &[], 3, &["partner/vec/part-00000.safetensors"]);
}

#[test]
fn a_vector_that_is_not_a_number_is_named() {
    let bench = Bench::new();
    let path = bench.path("rna/vec/part-00000.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let width = (bytes.len() - 256) / support::N;
    bytes[256 + 3 * width..][..width].fill(0xff);
    fs::write(&path, bytes).unwrap();
    both_refuse(&bench, &[], 3, &["rna: the vector of 'r3' holds NaN"]);
    assert!(bench.run(&["verify", "rna"]).ends_with(1).out.contains("FAULT"));
}

/// A store of the RNAs under the name `store`, of vectors as `encoder` would have made them.
fn imported(bench: &Bench, store: &str, encoder: &str, width: usize) {
    let line = |id: String, cell: &dyn Fn(usize) -> String| {
        [id].into_iter().chain((0..width).map(cell)).collect::<Vec<_>>().join(",")
    };
    let rows = (0..support::N).map(|i| line(format!("r{i}"), &|d| ((i * 7 + d * 3) % 11).to_string()));
    let lines: Vec<String> = [line("id".into(), &|d| format!("v{d}"))].into_iter().chain(rows).collect();
    let csv = format!("{store}.csv");
    bench.file(&csv, lines.join("\n"));
    bench.run(&["import-vectors", &csv, "--encoder-name", encoder, "--out", store]).ends_with(0);
}

#[test]
fn vectors_of_another_encoder() {
    let bench = Bench::new();
    imported(&bench, "narrow", "kmer", 5);
    imported(&bench, "alike", "lookalike", 256);
    for (store, found) in [("narrow", "width 5"), ("alike", "'lookalike'")] {
        let flags = [("--test-pairs", "pairs.tsv"), ("--test-rna", store)];
        bench.evaluate_refused(&flags, 3, &["the training RNA vectors are of 'kmer'", found, "same encoder"]);
    }
    bench.train(&[]).ends_with(0);
    let model = Model::load(&bench.path("model")).unwrap();
    let check = |rna: &str, accepted: &[String]| {
        let open = |store: &str| Arc::new(Store::open(bench.path(store)).unwrap());
        let mut table = PairTable::read(&bench.path("pairs.tsv"), &Columns::default()).unwrap();
        let data = join(&mut table, &open(rna), &open("partner")).unwrap();
        model.check_encoders(&data.rna, &data.partner, accepted)
    };
    check("rna", &[]).unwrap();
    let narrow = check("narrow", &["kmer".into()]).unwrap_err();
    assert_eq!((narrow.exit_code(), narrow.to_string().contains("width 256, the store has width 5")), (3, true));
    let other = check("alike", &[]).unwrap_err();
    assert_eq!((other.exit_code(), other.help().contains("--accept-encoder lookalike")), (2, true), "{other}");
    check("alike", &["lookalike".into()]).unwrap();
}

#[test]
fn one_label_per_rna_is_said() {
    let bench = Bench::new();
    bench.labelled("separable.tsv", "label", |i, _| (i % 2).to_string());
    bench.evaluate(&[("--pairs", "separable.tsv")]).ends_with(0);
    let metrics = bench.metrics("evaluation");
    assert_eq!(metrics["data"]["n_rna_one_label"], metrics["data"]["n_rna"]);
    let findings = metrics["verdict"].as_array().unwrap();
    let found = findings.iter().find(|f| f["claim"] == "the set tests interactions, not RNAs").unwrap();
    assert_eq!(found["holds"], false, "{found}");
}

#[test]
fn nothing_is_written_outside_of_out() {
    let bench = Bench::new();
    let before = support::files(Path::new(&bench.path("")));
    bench.train_refused(&[("--pairs", "absent.tsv"), ("--out", "deep/er/model")], 3, &["absent.tsv"]);
    assert_eq!(support::files(Path::new(&bench.path(""))), before);
}
