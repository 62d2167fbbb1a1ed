//! The program among others: signals, environment variables, closed pipes, JSON for machines, silence.

#![cfg(unix)]

mod support;

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Bench, Ran, evaluate, files, train};

/// Starts a run, waits until `out` is taken and the work is on its way, sends `signal`, and waits for the end.
fn interrupted(bench: &Bench, arguments: &[&str], out: &str, signal: &str) -> (Ran, Duration) {
    let child: Child = bench.program().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while !bench.path(out).exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "the work does not begin");
        sleep(Duration::from_millis(5));
    }
    sleep(Duration::from_millis(150));
    let sent = Instant::now();
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let ran = child.wait_with_output().unwrap().into();
    (ran, sent.elapsed())
}

#[test]
fn an_interrupt_ends_at_once_and_the_same_command_works_afterwards() {
    let bench = Bench::new();
    let small = bench.read("small.toml");
    for (arguments, out) in [(train(&[]), "model"), (evaluate(&[]), "evaluation")] {
        for signal in ["-INT", "-TERM"] {
            bench.file("small.toml", small.replace("epochs = 8", "epochs = 1000000000"));
            // A training leaves where it stands, to go on from there.
            let notes = bench.path("model/.partial/checkpoint");
            let others =
                || files(&bench.path("")).into_iter().filter(|path| !path.starts_with(&notes)).collect::<Vec<_>>();
            let before = others();
            let (ran, waited) = interrupted(&bench, &arguments, &format!("{out}/.partial"), signal);
            let ran = ran.ends_with(75);
            assert!(ran.err.contains("interrupted") && ran.err.contains("help: "), "{}", ran.err);
            assert!(waited < Duration::from_secs(2), "{waited:?}");
            assert_eq!(others(), before);
            assert_eq!(bench.path(out).exists(), out == "model");
        }
        bench.file("small.toml", &small);
        bench.run(&arguments).ends_with(0);
        bench.run(&["verify", out]).ends_with(0);
    }
}

#[test]
fn an_interrupted_replacement_keeps_what_was_there() {
    let bench = Bench::new();
    bench.train(&[]).ends_with(0);
    let before = bench.read("model/manifest.json");
    bench.file("small.toml", bench.read("small.toml").replace("epochs = 8", "epochs = 1000000000"));
    let (ran, _) = interrupted(&bench, &train(&[("--force", "")]), "model/.partial", "-INT");
    ran.ends_with(75);
    assert_eq!(bench.read("model/manifest.json"), before);
    assert!(bench.run(&["verify", "model"]).ends_with(0).err.is_empty());
}

#[test]
fn every_flag_is_an_environment_variable() {
    let bench = Bench::new();
    let with = |variables: &[(&str, &str)], arguments: &[&str]| -> Ran {
        bench.program().args(arguments).envs(variables.iter().copied()).output().unwrap().into()
    };
    let ran = with(&[("BIOLLMNET_EPOCHS", "3"), ("BIOLLMNET_JSON", "1"), ("BIOLLMNET_MEMBERS", "2")], &train(&[]));
    assert_eq!(ran.ends_with(0).json()["epochs"], serde_json::json!([3, 3]));
    // A switch takes what people write.
    for (value, code) in [("true", 0), ("1", 0), ("yes", 0), ("on", 0), ("false", 2), ("0", 2), ("no", 2), ("off", 2)] {
        with(&[("BIOLLMNET_FORCE", value)], &train(&[])).ends_with(code);
    }
    let ran = with(&[("BIOLLMNET_FORCE", "perhaps")], &train(&[])).ends_with(2);
    assert!(ran.err.contains("'perhaps'") && ran.err.contains("--force"), "{}", ran.err);
    assert!(with(&[("BIOLLMNET_QUIET", "1"), ("BIOLLMNET_FORCE", "1")], &train(&[])).ends_with(0).err.is_empty());
    // The flag goes before the variable.
    let ran = with(&[("BIOLLMNET_EPOCHS", "3")], &train(&[("--epochs", "2"), ("--force", ""), ("--json", "")]));
    assert_eq!(ran.ends_with(0).json()["epochs"], serde_json::json!([2]));
    // All of a command can come from there.
    let all = [
        ("BIOLLMNET_PAIRS", "pairs.tsv"),
        ("BIOLLMNET_RNA", "rna"),
        ("BIOLLMNET_PARTNER", "partner"),
        ("BIOLLMNET_CONFIG", "small.toml"),
        ("BIOLLMNET_OUT", "evaluation"),
        ("BIOLLMNET_FOLDS", "4"),
        ("BIOLLMNET_SEEDS", "1"),
        ("BIOLLMNET_FUSION", "average,concat"),
        ("BIOLLMNET_HOLD_OUT", "rna=r1"),
    ];
    with(&all[..8], &["evaluate"]).ends_with(0);
    let metrics = bench.metrics("evaluation");
    assert_eq!((&metrics["setup"]["folds"], &metrics["models"][0]["name"]), (&4.into(), &"average".into()));
    let held = with(&[&all[..], &[("BIOLLMNET_FORCE", "1")]].concat(), &["evaluate"]);
    assert_eq!((held.code, bench.metrics("evaluation")["setup"]["split"].as_str()), (Some(0), Some("hold-out rna=r1")));
    // A number that is none is refused like that of the flag.
    assert!(with(&[("BIOLLMNET_FOLDS", "three")], &evaluate_without_folds()).ends_with(2).err.contains("'three'"));
}

fn evaluate_without_folds() -> Vec<&'static str> {
    vec!["evaluate", "--pairs", "pairs.tsv", "--rna", "rna", "--partner", "partner", "--out", "elsewhere"]
}

#[test]
fn a_reader_that_has_gone_is_success() {
    let bench = Bench::new();
    for (arguments, out) in [
        (train(&[]), "model"),
        (train(&[("--json", ""), ("--force", "")]), "model"),
        (evaluate(&[]), "evaluation"),
        (evaluate(&[("--json", ""), ("--force", "")]), "evaluation"),
    ] {
        let mut child = bench.program().args(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
        bench.run(&["verify", out]).ends_with(0);
    }
    // Nobody reads the notes: the work goes on.
    let mut child =
        bench.program().args(train(&[("--force", "")])).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn json_is_alone_on_standard_output() {
    let bench = Bench::new();
    bench.with_lines("some.tsv", "nobody\tp1\t1\n");
    let flags = [("--pairs", "some.tsv"), ("--json", ""), ("--progress", "json")];
    let trained = bench.train(&flags).ends_with(1);
    let value = trained.json();
    assert_eq!((&value["rejected"], &value["task"], &value["model"]), (&1.into(), &"binary".into(), &"model".into()));
    assert_eq!(trained.out.lines().count(), 1);
    let evaluated = bench.evaluate(&flags).ends_with(1);
    let value = evaluated.json();
    assert_eq!(value["models"][0]["name"], "static");
    assert!(value["verdict"].as_array().is_some_and(|findings| !findings.is_empty()));
    // Progress for machines is one JSON value a line among the notes, told to its end.
    let told = |err: &str| -> Vec<Value> { err.lines().filter_map(|line| serde_json::from_str(line).ok()).collect() };
    for (ran, phases) in [(&trained, &["training"][..]), (&evaluated, &["evaluating", "intervals"])] {
        let told = told(&ran.err);
        for phase in phases {
            let last = told.iter().rfind(|line| line["phase"] == *phase).unwrap();
            assert_eq!((&last["finished"], &last["done"]), (&true.into(), &last["total"]), "{last}");
        }
    }
}

#[test]
fn quiet_prints_results_and_errors_only() {
    let bench = Bench::new();
    bench.with_lines("some.tsv", "nobody\tp1\t1\n");
    let flags = [("--pairs", "some.tsv"), ("--quiet", ""), ("--progress", "plain")];
    for ran in [bench.train(&flags), bench.evaluate(&flags)] {
        let ran = ran.ends_with(1);
        assert!(ran.err.is_empty() && !ran.out.is_empty(), "{}", ran.err);
    }
    let ran = bench.train(&flags).ends_with(2);
    assert!(ran.err.starts_with("error: ") && ran.err.contains("\nhelp: "), "{}", ran.err);
}
