//! Whole evaluations and trainings of every task and protocol on generated data.

mod support;

use std::fs;

use serde_json::Value;
use support::{Bench, Ran, evaluate, files, train};

/// Mean of a metric of a model.
#[track_caller]
fn mean(metrics: &Value, model: &str, metric: &str) -> f64 {
    let models = metrics["models"].as_array().unwrap();
    let found = models.iter().find(|m| m["name"] == model).unwrap_or_else(|| panic!("no model {model}"));
    found["metrics"][metric]["mean"].as_f64().unwrap_or_else(|| panic!("{model}: {}", found["metrics"]))
}

fn names(metrics: &Value, role: &str) -> Vec<String> {
    let models = metrics["models"].as_array().unwrap().iter().filter(|m| m["role"] == role);
    models.map(|m| m["name"].as_str().unwrap().to_owned()).collect()
}

/// One column of `predictions.tsv` for one model.
fn column(bench: &Bench, model: &str, name: &str) -> Vec<String> {
    let text = bench.read("evaluation/predictions.tsv");
    let header: Vec<&str> = text.lines().next().unwrap().split('\t').collect();
    let place = header.iter().position(|column| *column == name).unwrap();
    let rows = text.lines().map(|line| line.split('\t').collect::<Vec<_>>()).filter(|fields| fields[0] == model);
    rows.map(|fields| fields[place].to_owned()).collect()
}

#[test]
fn binary_labels_beside_every_baseline() {
    let bench = Bench::new();
    bench.evaluate(&[("--epochs", "10")]).ends_with(0);
    let metrics = bench.metrics("evaluation");
    assert!(mean(&metrics, "static", "AUROC") > 0.85, "{}", mean(&metrics, "static", "AUROC"));
    let baselines = names(&metrics, "baseline");
    assert_eq!(baselines.len(), 9, "{baselines:?}");
    for model in baselines.iter().map(String::as_str).chain(["static", "shuffled"]) {
        assert_eq!(
            column(&bench, model, "rna_id").len() as u64,
            metrics["data"]["n_pairs"].as_u64().unwrap(),
            "{model}"
        );
    }
    assert!(column(&bench, "static", "score").iter().all(|p| (0.0..=1.0).contains(&p.parse::<f64>().unwrap())));
}

#[test]
fn several_labels_some_of_them_unknown() {
    let bench = Bench::new();
    bench.labelled("several.tsv", "a\tb\tc", |i, j| {
        let (g, h) = bench.shares(i, j);
        let label = |k: usize, holds: bool| match (3 * i + 5 * j + k) % 5 {
            0 => String::new(),
            _ => u8::from(holds).to_string(),
        };
        format!("{}\t{}\t{}", label(0, g > 0.5), label(1, h > 0.5), label(2, g > h))
    });
    let known =
        bench.read("several.tsv").lines().skip(1).flat_map(|l| l.split('\t').skip(2)).filter(|l| !l.is_empty()).count();
    let flags = [("--pairs", "several.tsv"), ("--columns", "rna=rna,partner=partner,label=a,b,c"), ("--epochs", "12")];
    bench.evaluate(&flags).ends_with(0);
    let metrics = bench.metrics("evaluation");
    assert_eq!(metrics["setup"]["task"], "multi-label");
    assert!(mean(&metrics, "static", "AUROC_macro") > 0.8, "{}", mean(&metrics, "static", "AUROC_macro"));
    let control = mean(&metrics, "shuffled", "AUROC_macro");
    assert!((0.3..0.7).contains(&control), "{control}");
    for metric in ["AUROC_micro", "AUPRC_macro", "AUPRC_micro"] {
        assert!(mean(&metrics, "static", metric) > 0.7, "{metric}");
    }
    assert!(mean(&metrics, "nearest", "AUROC_macro") > control);
    // Unknown labels are neither counted nor scored.
    let counts = &metrics["data"]["labels"]["counts"];
    assert_eq!(counts[0].as_u64().unwrap() + counts[1].as_u64().unwrap(), known as u64);
    assert_eq!(column(&bench, "static", "label").iter().filter(|label| !label.is_empty()).count(), known);
    let trained = bench.train(&[&flags[..], &[("--json", "")]].concat()).ends_with(0);
    assert_eq!(trained.json()["task"], "multi-label");
    let calibration: Value = serde_json::from_str(&bench.read("model/calibration.json")).unwrap();
    assert_eq!(calibration.as_array().map(|labels| labels.iter().filter(|label| label.is_object()).count()), Some(3));
    bench.run(&["verify", "model"]).ends_with(0);
}

#[test]
fn a_regression_in_the_unit_of_its_labels() {
    let bench = Bench::new();
    bench.pairs("affinity.tsv", |g, h| format!("{:.3}", 50.0 + 100.0 * g + 60.0 * h));
    bench.evaluate(&[("--pairs", "affinity.tsv"), ("--epochs", "30")]).ends_with(0);
    let metrics = bench.metrics("evaluation");
    assert_eq!(metrics["setup"]["task"], "regression");
    assert!(mean(&metrics, "static", "Pearson") > 0.8, "{}", mean(&metrics, "static", "Pearson"));
    let error = mean(&metrics, "static", "MAE");
    assert!(error < mean(&metrics, "majority", "MAE"), "{error}");
    assert!(names(&metrics, "baseline").iter().any(|name| name == "nearest"));
    let number = |text: String| text.parse::<f64>().unwrap();
    let mean_of = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let labels = mean_of(column(&bench, "static", "label").into_iter().map(number).collect());
    let values: Vec<f64> = column(&bench, "static", "score").into_iter().map(number).collect();
    assert!(values.iter().all(|value| (0.0..400.0).contains(value)));
    assert!((mean_of(values.clone()) - labels).abs() < 20.0, "{} for {labels}", mean_of(values));
    bench.train(&[("--pairs", "affinity.tsv")]).ends_with(0);
    let config: Value = serde_json::from_str(&bench.read("model/config.json")).unwrap();
    assert!(config["label_scale"].as_f64().unwrap() > 100.0, "{config}");
}

/// Text and outcome of a finding.
#[track_caller]
fn finding(metrics: &Value, claim: &str) -> (Option<bool>, String) {
    let findings = metrics["verdict"].as_array().unwrap();
    let found = findings.iter().find(|f| f["claim"] == claim).unwrap_or_else(|| panic!("no '{claim}': {findings:?}"));
    (found["holds"].as_bool(), found["text"].as_str().unwrap().to_owned())
}

#[test]
fn the_default_rule_of_a_regression_starts_at_the_mean_label() {
    let bench = Bench::new();
    // Values that differ little beside their size: a network that starts at 0 has far to go.
    bench.pairs("affinity.tsv", |g, h| format!("{:.4}", 50.0 + g + h));
    let run = |rule: &[(&str, &str)]| {
        let flags = [&[("--pairs", "affinity.tsv"), ("--epochs", "12"), ("--force", "")], rule].concat();
        bench.evaluate(&flags).ends_with(0);
        bench.metrics("evaluation")
    };
    let claim = "errs less than the training mean";
    let default = run(&[("--stop", "default")]);
    assert!(mean(&default, "static", "MAE") < 3.0 * mean(&default, "majority", "MAE"));
    assert!(default["setup"]["stop"].as_str().unwrap().contains("starts at the mean training label"));
    // One answer for all pairs of a fold has no correlation, and none over all folds either.
    let models = default["models"].as_array().unwrap();
    let constant = models.iter().find(|m| m["name"] == "majority").unwrap();
    assert!(constant["metrics"]["Pearson"]["pooled"].is_null() && constant["metrics"]["MAE"]["pooled"].is_f64());
    let compared = |c: &&Value| c["against"] == "majority";
    let metrics: Vec<&Value> = default["comparisons"].as_array().unwrap().iter().filter(compared).collect();
    assert!(metrics.len() == 1 && metrics[0]["metric"] == "MAE", "{metrics:?}");
    // The published recipe keeps its start.
    for rule in [&[("--stop", "patience:12")][..], &[("--stop", "default"), ("--protocol", "paper")]] {
        let published = run(rule);
        assert!(mean(&published, "static", "MAE") > 3.0 * mean(&default, "static", "MAE"), "{rule:?}");
        let (holds, text) = finding(&published, claim);
        assert!(holds == Some(false) && text.contains("no nearer than one and the same answer"), "{text}");
    }
}

#[test]
fn a_regression_is_tested_on_classes() {
    let bench = Bench::new();
    bench.pairs("affinity.tsv", |g, h| format!("{:.3}", 50.0 + 100.0 * g + 60.0 * h));
    bench.pairs("classes.tsv", |g, h| u8::from(100.0 * g + 60.0 * h >= 80.0).to_string());
    let flags = [("--pairs", "affinity.tsv"), ("--test-pairs", "classes.tsv"), ("--epochs", "30")];
    let thresholded = [&flags[..], &[("--active-from", "130")]].concat();
    bench.evaluate(&thresholded).ends_with(0);
    let metrics = bench.metrics("evaluation");
    assert_eq!((&metrics["setup"]["task"], &metrics["setup"]["active_from"]), (&"binary".into(), &130.0.into()));
    assert!(mean(&metrics, "static", "AUROC") > 0.9, "{}", mean(&metrics, "static", "AUROC"));
    assert!(mean(&metrics, "static", "MCC") > 0.5, "{}", mean(&metrics, "static", "MCC"));
    // One answer for every pair ranks nothing; a value is no probability.
    assert_eq!((mean(&metrics, "majority", "AUROC"), mean(&metrics, "majority", "MCC")), (0.5, 0.0));
    assert!(metrics["models"][0]["metrics"]["Brier"].is_null() && metrics["case_study"].is_null());
    assert_eq!(finding(&metrics, "ranks better than chance").0, Some(true));
    assert!(finding(&metrics, "values scored as classes").1.contains("130"));
    assert_eq!(metrics["comparisons"][0]["metric"], "AUROC");
    assert!(column(&bench, "static", "score").iter().all(|value| value.parse::<f64>().unwrap() > 1.0));
    assert!(bench.read("evaluation/report.html").contains("Confusion matrices at a predicted value of 130"));
    // A threshold beyond all values leaves no positive, and the ranking as it was.
    bench.evaluate(&[&flags[..], &[("--active-from", "1e6"), ("--force", "")]].concat()).ends_with(0);
    let beyond = bench.metrics("evaluation");
    assert_eq!((mean(&beyond, "static", "MCC"), mean(&beyond, "static", "recall")), (0.0, 0.0));
    assert_eq!(mean(&beyond, "static", "AUROC"), mean(&metrics, "static", "AUROC"));
    let unusable = bench.evaluate(&[&flags[..], &[("--active-from", "nan"), ("--out", "unusable")]].concat());
    assert!(unusable.ends_with(2).err.contains("'nan' is not a number"));
    let paper = bench.evaluate(&[&thresholded[..], &[("--protocol", "paper"), ("--out", "paper")]].concat());
    bench.refused(&paper, 2, &["--test-pairs has classes", "--protocol honest"], "paper");
}

#[test]
fn a_test_set_of_one_rna_says_so() {
    let bench = Bench::new();
    let pairs = bench.read("pairs.tsv");
    let (one, others): (Vec<&str>, Vec<&str>) = pairs.lines().skip(1).partition(|line| line.starts_with("r3\t"));
    bench.file("one.tsv", format!("rna\tpartner\tlabel\n{}\n", one.join("\n")));
    bench.file("others.tsv", format!("rna\tpartner\tlabel\n{}\n", others.join("\n")));
    bench.evaluate(&[("--pairs", "others.tsv"), ("--test-pairs", "one.tsv")]).ends_with(0);
    let (_, text) = finding(&bench.metrics("evaluation"), "note");
    assert_eq!(text, "every test pair has the RNA 'r3': the test ranks partners alone");
}

#[test]
fn train_to_test_hold_out_and_clusters() {
    let bench = Bench::new();
    // The test set: the pairs of the RNAs with an even number; the training set: the others.
    let lines = bench.read("pairs.tsv");
    let part = |even: bool| {
        let belongs =
            |line: &&str| line[1..].split('\t').next().unwrap().parse::<usize>().unwrap().is_multiple_of(2) == even;
        let rows: Vec<&str> = lines.lines().skip(1).filter(belongs).collect();
        (format!("rna\tpartner\tlabel\n{}\n", rows.join("\n")), rows.len() as u64)
    };
    let ((odd, n_odd), (even, n_even)) = (part(false), part(true));
    bench.file("odd.tsv", odd);
    bench.file("even.tsv", even);
    bench.evaluate(&[("--pairs", "odd.tsv"), ("--test-pairs", "even.tsv")]).ends_with(0);
    let metrics = bench.metrics("evaluation");
    assert_eq!((&metrics["setup"]["split"], &metrics["setup"]["folds"]), (&"train→test".into(), &1.into()));
    assert_eq!(
        (metrics["data"]["n_pairs"].as_u64(), metrics["data"]["n_test_pairs"].as_u64()),
        (Some(n_odd), Some(n_even))
    );
    assert!(column(&bench, "static", "rna_id").iter().all(|id| id[1..].parse::<usize>().unwrap() % 2 == 0));
    assert!(mean(&metrics, "static", "AUROC") > 0.7, "{}", mean(&metrics, "static", "AUROC"));

    for (held, side) in [("rna=r3", "rna_id"), ("partner=p4", "partner_id")] {
        bench.evaluate(&[("--hold-out", held), ("--force", "")]).ends_with(0);
        let id = held.split_once('=').unwrap().1;
        let tested = column(&bench, "static", side);
        assert!(tested.iter().all(|tested| tested == id) && !tested.is_empty());
    }

    // Clusters of four RNAs each stay together.
    let clusters: Vec<String> = (0..support::N).map(|i| format!("r{}\tr{i}", i / 4 * 4)).collect();
    bench.file("clusters.tsv", clusters.join("\n"));
    bench.evaluate(&[("--clusters", "clusters.tsv"), ("--split", "rna"), ("--force", "")]).ends_with(0);
    let mut fold_of = vec![None; support::N / 4];
    for (id, fold) in column(&bench, "static", "rna_id").iter().zip(column(&bench, "static", "fold")) {
        let cluster: usize = id[1..].parse::<usize>().unwrap() / 4;
        let first = fold_of[cluster].get_or_insert_with(|| fold.clone());
        assert_eq!(*first, fold, "{id}");
    }
}

#[test]
fn every_fusion_protocol_and_stopping_rule() {
    let bench = Bench::new();
    let summary = |flags: &[(&str, &str)]| {
        let ran = bench.evaluate(&[flags, &[("--force", ""), ("--epochs", "5")]].concat()).ends_with(0);
        let metrics = bench.metrics("evaluation");
        (ran, metrics)
    };
    let (_, metrics) = summary(&[("--fusion", "input,concat,average")]);
    assert_eq!(
        (names(&metrics, "network"), names(&metrics, "ablation")),
        (vec!["input".into()], vec!["concat".into(), "average".into()])
    );
    assert!(metrics["gate"].is_object());
    let (_, metrics) = summary(&[("--fusion", "concat")]);
    assert!(
        metrics["gate"].is_null()
            && metrics["setup"]["network"].as_str().unwrap().contains("concatenation, head 32-8-1")
    );
    let (_, metrics) = summary(&[("--config", "paper")]);
    assert_eq!(metrics["setup"]["network"], "partner 343, RNA 256→343, static gate, head 343-512-64-1");
    let (_, metrics) = summary(&[("--protocol", "paper")]);
    assert_eq!(metrics["setup"]["protocol"], "paper");
    let (_, metrics) = summary(&[("--standardise", "off")]);
    assert_eq!(metrics["setup"]["standardise"], false);
    for (rule, least, most) in [("fixed", 5, 5), ("patience:1", 1, 5), ("default", 5, 5)] {
        let (_, metrics) = summary(&[("--stop", rule)]);
        for history in metrics["histories"].as_array().unwrap() {
            // Too few epochs for the default rule to compare: all of them are run, not one.
            let kept = history["kept_epoch"].as_u64().unwrap();
            assert!((least..=most).contains(&kept), "{rule}: {history}");
        }
    }
    for split in ["rna", "partner", "both"] {
        let (_, metrics) = summary(&[("--split", split)]);
        assert_eq!(metrics["setup"]["split"], split);
    }
}

#[test]
fn ensembles_and_inputs_as_they_are() {
    let bench = Bench::new();
    bench.train(&[("--members", "3"), ("--standardise", "off")]).ends_with(0);
    let member = |k: usize| fs::read(bench.path(format!("model/member-{k}.safetensors"))).unwrap();
    assert!(member(0) != member(1) && member(1) != member(2) && !bench.path("model/member-3.safetensors").exists());
    assert!(!String::from_utf8_lossy(&member(0)).contains("input.rna.mean"));
    // Member k of an ensemble is the network of seed + k.
    bench.train(&[("--seed", "2"), ("--out", "single"), ("--standardise", "off")]).ends_with(0);
    let shape = |name: &str| fs::read(bench.path(name)).unwrap().len();
    assert_eq!(shape("single/member-0.safetensors"), shape("model/member-2.safetensors"));
    bench.run(&["verify", "model"]).ends_with(0);
    // A smaller ensemble in its place leaves nothing of the larger one.
    bench.train(&[("--force", "")]).ends_with(0);
    assert!(!bench.path("model/member-1.safetensors").exists());
    assert!(bench.run(&["verify", "model"]).ends_with(0).err.is_empty());
    assert!(String::from_utf8_lossy(&member(0)).contains("input.rna.mean"));
}

#[test]
fn neither_threads_nor_repetition_change_a_byte() {
    let bench = Bench::new();
    // Wide enough that the matrix products are shared among threads.
    bench.file("wide.toml", "epochs = 2\nbatch = 64\n");
    let wide = [("--config", "wide.toml"), ("--force", "")];
    let run = |threads: &str, arguments: &[&str]| -> Ran {
        bench.program().args(arguments).env("BIOLLMNET_THREADS", threads).output().unwrap().into()
    };
    let content = |folder: &str| -> Vec<(String, Vec<u8>)> {
        let read = |path: std::path::PathBuf| (path.display().to_string(), fs::read(&path).unwrap());
        let all = files(&bench.path(folder)).into_iter().map(read);
        all.filter(|(path, _)| !path.ends_with("manifest.json")).collect()
    };
    for (arguments, folder) in [
        (train(&wide), "model"),
        (train(&[&wide[..], &[("--members", "2")]].concat()), "model"),
        (evaluate(&[("--force", "")]), "evaluation"),
    ] {
        run("1", &arguments).ends_with(0);
        let one = content(folder);
        for threads in ["2", "1"] {
            run(threads, &arguments).ends_with(0);
            for ((path, once), (_, again)) in one.iter().zip(&content(folder)) {
                assert!(once == again, "{path} with {threads} threads");
            }
        }
    }
}

#[test]
fn verify_finds_a_changed_byte_in_any_file() {
    let bench = Bench::new();
    bench.with_lines("some.tsv", "nobody\tp1\t1\n");
    bench.train(&[("--pairs", "some.tsv")]).ends_with(1);
    bench.evaluate(&[("--pairs", "some.tsv")]).ends_with(1);
    for folder in ["model", "evaluation"] {
        bench.run(&["verify", folder]).ends_with(0);
        let all = files(&bench.path(folder));
        assert!(all.len() >= 9, "{all:?}");
        for path in all {
            let good = fs::read(&path).unwrap();
            let mut bad = good.clone();
            bad[good.len() / 2] ^= 1;
            fs::write(&path, bad).unwrap();
            let found = bench.run(&["verify", folder]).ends_with(1);
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(found.out.contains("FAULT") && found.out.contains(&name), "{name}: {}", found.out);
            fs::remove_file(&path).unwrap();
            if name != "manifest.json" {
                assert!(bench.run(&["verify", folder]).ends_with(1).out.contains(&name));
            }
            fs::write(&path, good).unwrap();
        }
        bench.run(&["verify", folder]).ends_with(0);
    }
}
