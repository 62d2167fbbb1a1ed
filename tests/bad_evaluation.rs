//! Evaluations that cannot be done as they are asked for, and those that can in part.

mod support;

use support::Bench;

#[test]
fn folds_and_seeds_out_of_range() {
    let bench = Bench::new();
    for (flags, part) in [
        (&[("--folds", "0")][..], "--folds 0 leaves nothing to train on"),
        (&[("--folds", "1")], "--folds 1 leaves nothing to train on"),
        (&[("--folds", "-1")], "'-1'"),
        (&[("--folds", "100000")], "100000 folds are more than the"),
        (&[("--folds", "30"), ("--split", "rna")], "30 folds are more than the 20 RNA groups"),
        (&[("--folds", "30"), ("--split", "partner")], "30 folds are more than the 20 partner groups"),
        (&[("--seeds", "0")], "0 is not in 1..=1000"),
        (&[("--seeds", "x")], "'x'"),
        (&[("--split", "cold")], "possible values: random, rna, partner, both"),
        (&[("--protocol", "nice")], "possible values: honest, paper"),
        (&[("--fusion", "static,static")], "--fusion names static twice"),
        (&[("--fusion", "static,sum")], "'sum' is not one of static, input, concat, average"),
        (&[("--fusion", ",")], "'' is not one of"),
        (&[("--hold-out", "nonsense")], "rna=ID or partner=ID"),
        (&[("--hold-out", "dna=x")], "'dna' is neither rna nor partner"),
        (&[("--hold-out", "rna=NOPE")], "no pair has the RNA 'NOPE'"),
        (&[("--hold-out", "partner=r1")], "no pair has the partner 'r1'"),
        (&[("--hold-out", "rna=r1"), ("--test-pairs", "pairs.tsv")], "cannot be used with"),
        (&[("--hold-out", "rna=r1"), ("--folds-file", "pairs.tsv")], "cannot be used with"),
        (&[("--test-rna", "rna")], "--test-pairs"),
    ] {
        bench.evaluate_refused(flags, 2, &[part]);
    }
}

/// A folds file for the generated pairs: three folds, of RNA and partner as well; `change` may alter a row.
fn folds_file(bench: &Bench, name: &str, change: impl Fn(usize, &mut Vec<String>)) {
    let mut text = "row0\trna_id\tpartner_id\ts0_fold\ts0_val_in\ts0_coldrna\ts0_coldprot\n".to_owned();
    for (row, line) in bench.read("pairs.tsv").lines().skip(1).enumerate() {
        let ids: Vec<&str> = line.split('\t').collect();
        let number = |id: &str| id[1..].parse::<usize>().unwrap() % 3;
        let inner = if row % 8 == 0 { ((row + 1) % 3).to_string() } else { "-".to_owned() };
        let mut fields = vec![row.to_string(), ids[0].to_owned(), ids[1].to_owned(), (row % 3).to_string(), inner];
        fields.extend([number(ids[0]).to_string(), number(ids[1]).to_string()]);
        change(row, &mut fields);
        text += &(fields.join("\t") + "\n");
    }
    bench.file(name, text);
}

#[test]
fn folds_files_that_do_not_fit() {
    let bench = Bench::new();
    folds_file(&bench, "good.tsv", |_, _| ());
    folds_file(&bench, "swapped.tsv", |_, fields| fields.swap(1, 2));
    folds_file(&bench, "other.tsv", |row, fields| fields[0] = (row + 100_000).to_string());
    folds_file(&bench, "word.tsv", |row, fields| fields[3] = if row == 4 { "x".into() } else { fields[3].clone() });
    folds_file(&bench, "huge.tsv", |_, fields| fields[3] = "4000000000".into());
    folds_file(&bench, "gap.tsv", |row, fields| fields[3] = if row % 2 == 0 { "0".into() } else { "9".into() });
    folds_file(&bench, "twice.tsv", |row, fields| fields[0] = if row == 1 { "0".into() } else { fields[0].clone() });
    folds_file(&bench, "ragged.tsv", |row, fields| fields.truncate(if row == 2 { 3 } else { 7 }));
    folds_file(&bench, "short.tsv", |_, fields| fields.truncate(5));
    let short = bench.read("short.tsv").replace("\ts0_coldrna\ts0_coldprot", "");
    bench.file("short.tsv", short);
    bench.file("empty.tsv", "");
    bench.file("junk.tsv", [0x7f, b'E', b'L', b'F', 0xff, 0, 1]);
    for (file, part) in [
        ("absent.tsv", "No such file"),
        ("empty.tsv", "the file is empty"),
        ("junk.tsv", "not text"),
        ("pairs.tsv", "no column 'row0' among rna, partner, label"),
        ("swapped.tsv", "but 'r0' and 'p"),
        ("other.tsv", "no row names a pair"),
        ("word.tsv", "word.tsv:6: s0_fold 'x' is not a fold number"),
        ("huge.tsv", "is not a fold number"),
        ("gap.tsv", "the test part of fold 1 is empty"),
        ("ragged.tsv", "ragged.tsv:4"),
    ] {
        bench.evaluate_refused(
            &[("--folds-file", file)],
            3,
            &[file, part].map(|p| if p == "gap.tsv" { "" } else { p }),
        );
    }
    bench.evaluate_refused(&[("--folds-file", "twice.tsv")], 3, &["twice.tsv:3"]);
    bench.evaluate_refused(&[("--folds-file", "good.tsv"), ("--seeds", "2")], 3, &["no column 's1_fold'"]);
    bench.evaluate_refused(&[("--folds-file", "short.tsv"), ("--split", "rna")], 3, &["no column 's0_coldrna'"]);
    for split in ["random", "rna", "partner", "both"] {
        let flags = [("--folds-file", "good.tsv"), ("--split", split), ("--force", "")];
        bench.evaluate(&flags).ends_with(0);
        assert_eq!(bench.metrics("evaluation")["setup"]["folds"], 3);
    }
}

#[test]
fn a_fold_of_one_class_is_a_warning() {
    let bench = Bench::new();
    // Fold 0 tests negatives alone; the positives share folds 1 and 2 with the other negatives.
    let labels: Vec<String> =
        bench.read("pairs.tsv").lines().skip(1).map(|line| line[line.len() - 1..].into()).collect();
    folds_file(&bench, "uneven.tsv", |row, fields| {
        fields[4] = "-".into();
        if labels[row] == "1" && fields[3] == "0" {
            fields[3] = "1".into();
        }
    });
    let ran = bench.evaluate(&[("--folds-file", "uneven.tsv")]).ends_with(0);
    assert!(ran.err.contains("warning: seed 0, fold 0: every test pair has the label 0"), "{}", ran.err);
    let network = &bench.metrics("evaluation")["models"][0]["metrics"]["AUROC"];
    assert!(network["values"][0][0].is_null() && network["values"][0][1].is_f64(), "{network}");
    bench.run(&["verify", "evaluation"]).ends_with(0);
}

#[test]
fn a_test_set_of_one_class_has_undefined_metrics() {
    let bench = Bench::new();
    bench.pairs("ones.tsv", |_, _| "1".into());
    let ran = bench.evaluate(&[("--test-pairs", "ones.tsv")]).ends_with(0);
    assert!(
        ran.err.contains("every test pair has the label 1") && ran.out.contains("undefined"),
        "{}{}",
        ran.err,
        ran.out
    );
    assert!(bench.metrics("evaluation")["models"][0]["metrics"]["AUROC"]["mean"].is_null());
}

#[test]
fn test_sets_that_do_not_fit() {
    let bench = Bench::new();
    bench.pairs("numbers.tsv", |g, h| (g + h).to_string());
    bench.labelled("two.tsv", "a\tb", |i, j| format!("{}\t{}", i % 2, j % 2));
    bench.labelled("two_others.tsv", "b\ta", |i, j| format!("{}\t{}", i % 2, j % 2));
    bench.file("no_label.tsv", "rna\tpartner\nr1\tp1\n");
    bench.evaluate_refused(
        &[("--test-pairs", "numbers.tsv")],
        3,
        &["training labels are 0 and 1, the test labels numbers"],
    );
    bench.evaluate_refused(&[("--test-pairs", "no_label.tsv")], 3, &["no_label.tsv", "no label column"]);
    bench.evaluate_refused(&[("--test-pairs", "absent.tsv")], 3, &["absent.tsv"]);
    bench.evaluate_refused(
        &[("--test-pairs", "two.tsv"), ("--test-columns", "label=a,b")],
        3,
        &["the test labels a, b"],
    );
    let two = [("--pairs", "two.tsv"), ("--columns", "label=a,b")];
    let others = [("--test-pairs", "two_others.tsv"), ("--test-columns", "label=b,a")];
    bench.evaluate_refused(&[two, others].concat(), 3, &["labels are a, b, the test labels b, a"]);
    // The same labels by name are the same labels.
    bench.evaluate(&[&two[..], &[("--test-pairs", "two_others.tsv")]].concat()).ends_with(0);
}

#[test]
fn rejected_rows_of_a_test_set_are_listed_too() {
    let bench = Bench::new();
    bench.with_lines("more.tsv", "nobody\tp1\t1\n");
    bench.evaluate(&[("--test-pairs", "more.tsv")]).ends_with(1);
    assert!(bench.read("evaluation/test-rejects.tsv").contains("nobody\tp1\tunknown-rna"));
    assert!(!bench.path("evaluation/rejects.tsv").exists());
    bench.run(&["verify", "evaluation"]).ends_with(0);
}

#[test]
fn clusters_that_name_nobody() {
    let bench = Bench::new();
    bench.file("strangers.tsv", "x\tx\nx\ty\n");
    bench.file("one_column.tsv", "r1\n");
    bench.file("junk.tsv", [0xff, 0xfe, 0, 9, 10]);
    bench.file("empty.tsv", "");
    for (file, part) in [
        ("absent.tsv", "No such file"),
        ("strangers.tsv", "no member is an id of the pairs"),
        ("empty.tsv", "no member is an id of the pairs"),
        ("one_column.tsv", "one_column.tsv:1: fewer than two columns"),
        ("junk.tsv", "UTF-8"),
    ] {
        bench.evaluate_refused(&[("--clusters", file), ("--split", "rna")], 3, &[file, part]);
    }
    bench.file("some.tsv", "r0\tr0\nr0\tr1\n");
    let ran = bench.evaluate(&[("--clusters", "some.tsv")]).ends_with(0);
    assert!(ran.err.contains("--clusters leaves out 38 ids"), "{}", ran.err);
}
