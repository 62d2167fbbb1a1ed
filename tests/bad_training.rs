//! Bad requests for a training, and places that cannot be written: the same for `train` and `evaluate`.

mod support;

use std::fs;
use std::process::Stdio;

use support::{Bench, files, on_small_disk};

fn both_refuse(bench: &Bench, flags: &[(&str, &str)], code: i32, parts: &[&str]) {
    bench.train_refused(flags, code, parts);
    bench.evaluate_refused(flags, code, parts);
}

#[test]
fn a_configuration_that_is_none() {
    let bench = Bench::new();
    for (content, parts) in [
        ("epoch = 3", &["unknown field `epoch`"][..]),
        ("[network]\nwidth = 3", &["unknown field `width`"]),
        ("epochs = \"many\"", &["\"many\"", "`epochs`"]),
        ("epochs = -3", &["`-3`", "`epochs`"]),
        ("epochs = 0", &["epochs must be at least 1"]),
        ("batch = 0", &["batch must be"]),
        ("inner = 1.5", &["inner must be"]),
        ("stop = \"patience:0\"", &["patience:0"]),
        ("preset = \"rna-dna\"", &["'rna-dna' is not one of"]),
        ("[network]\nfusion = \"sum\"", &["`sum`", "fusion"]),
        ("[network]\nhead = 64", &["`64`", "head"]),
        ("[optimiser]\nlearning_rate = nan", &["learning_rate must be positive"]),
        ("epochs = 3\nthis is not TOML", &["bad.toml:2", "not valid TOML"]),
    ] {
        bench.file("bad.toml", content);
        both_refuse(&bench, &[("--config", "bad.toml")], 3, &[&["bad.toml", "known keys"], parts].concat());
    }
    bench.file("bad.toml", [0xff, 0xfe, 0, 1]);
    both_refuse(&bench, &[("--config", "bad.toml")], 3, &["bad.toml", "UTF-8"]);
    both_refuse(&bench, &[("--config", "absent.toml")], 3, &["absent.toml", "check the spelling"]);
    both_refuse(&bench, &[("--config", "rna")], 3, &["rna", "name a file"]);
}

#[test]
fn a_network_that_cannot_be() {
    let bench = Bench::new();
    for (content, part) in [
        ("[network]\nprojection = \"none\"", "must have one width, not 343 and 256"),
        ("[network]\nprojection = { both = 0 }", "projection is 0"),
        ("[network]\nhead = [8, 0]", "head is 0"),
        ("[network]\nhead = [8, 8, 8, 8, 8, 8]", "6 hidden layers"),
        ("[network]\ndropout_head = 1.0", "dropout_head is 1"),
        ("[network]\ndropout_projection = -0.5", "dropout_projection is -0.5"),
    ] {
        bench.file("bad.toml", content);
        both_refuse(&bench, &[("--config", "bad.toml")], 2, &["network: ", part]);
    }
    bench.file("bad.toml", "epochs = 2\n[optimiser]\nlearning_rate = 1e30\n[network]\nhead = [8]");
    both_refuse(&bench, &[("--config", "bad.toml")], 3, &["the training loss became", "lower learning_rate"]);
}

#[test]
fn flags_out_of_range() {
    let bench = Bench::new();
    for (flags, part) in [
        (("--preset", "rna-dna"), "'rna-dna' is not one of rna-protein, rna-rna, rna-molecule"),
        (("--stop", "patience:0"), "patience:N"),
        (("--stop", "soon"), "'soon' is not one of fixed, patience:N, default"),
        (("--epochs", "0"), "epochs must be at least 1"),
        (("--epochs", "ten"), "'ten'"),
        (("--standardise", "maybe"), "[possible values: on, off]"),
        (("--threads", "many"), "'many'"),
        (("--threads", "100000"), "0..=1024"),
        (("--device", "gpu"), "'gpu' is not one of auto, cpu, cuda, cuda:N"),
        (("--progress", "loud"), "possible values"),
    ] {
        both_refuse(&bench, &[flags], 2, &[part]);
    }
    both_refuse(&bench, &[("--quiet", ""), ("--verbose", "")], 2, &["--quiet"]);
    // No machine has so many devices, and this one may have none.
    both_refuse(&bench, &[("--device", "cuda:77")], 3, &["--device cpu"]);
    for members in ["0", "-1", "1001", "x"] {
        bench.train_refused(&[("--members", members)], 2, &["error: "]);
    }
    let missing = bench.run(&["train", "--pairs", "pairs.tsv", "--out", "model"]);
    bench.refused(&missing, 2, &["--rna", "--partner"], "model");
    bench.train(&[("--threads", "0"), ("--epochs", "1")]).ends_with(0);
    bench.train(&[("--threads", "64"), ("--epochs", "1"), ("--force", "")]).ends_with(0);
}

#[test]
fn the_paper_s_network_takes_rna_pairs_of_two_widths() {
    let bench = Bench::new();
    let paper = [("--config", "paper"), ("--epochs", "1"), ("--preset", "rna-rna")];
    let ran = bench.train(&[&paper[..], &[("--json", "")]].concat()).ends_with(0);
    let network = ran.json()["network"].as_str().unwrap().to_owned();
    assert_eq!(network, "partner 343, RNA 256→343, static gate, head 343-512-64-1");
}

#[test]
fn an_out_that_is_something_else_stays_as_it_is() {
    let bench = Bench::new();
    fs::create_dir(bench.path("thesis")).unwrap();
    bench.file("thesis/chapter.txt", "years");
    bench.train(&[]).ends_with(0);
    bench.evaluate(&[]).ends_with(0);
    let before = files(&bench.path(""));
    let model = bench.read("model/config.json");
    for (command, own, other) in [("train", "model", "evaluation"), ("evaluate", "evaluation", "model")] {
        for force in ["", "--force"] {
            let to = |out| {
                let flags = if force.is_empty() { vec![("--out", out)] } else { vec![("--out", out), (force, "")] };
                if command == "train" { bench.train(&flags) } else { bench.evaluate(&flags) }.ends_with(2).err
            };
            assert!(to("thesis").contains("nothing is overwritten"));
            assert!(to("rna").contains(&format!("rna holds a store, not a {own}")));
            assert!(to(other).contains(&format!("{other} holds a")));
            assert!(to("pairs.tsv").contains("it is a file"));
            if force.is_empty() {
                assert!(to(own).contains("--force"));
            }
        }
    }
    assert_eq!((files(&bench.path("")), bench.read("model/config.json")), (before, model));
    // It is refused before anything is trained.
    bench.file("endless.toml", "epochs = 1000000000\nstop = \"fixed\"");
    bench.train(&[("--config", "endless.toml"), ("--out", "thesis")]).ends_with(2);
    bench.train(&[("--force", "")]).ends_with(0);
    bench.evaluate(&[("--force", "")]).ends_with(0);
}

#[test]
fn a_place_that_cannot_be_written() {
    let bench = Bench::new();
    bench.file("endless.toml", "epochs = 1000000000\nstop = \"fixed\"");
    // Nobody, root included, can make a folder below a file or in /proc. It is found before anything is trained.
    for out in ["pairs.tsv/model", "/proc/model"] {
        both_refuse(&bench, &[("--out", out), ("--config", "endless.toml")], 3, &["cannot create", out]);
    }
}

#[test]
fn a_full_disk_asks_to_try_again_and_leaves_nothing() {
    let bench = Bench::new();
    let disk = bench.path("disk");
    let done = on_small_disk(&disk, "40k", || {
        let ran = [bench.train(&[("--out", "disk/out")]), bench.evaluate(&[("--out", "disk/out")])];
        (ran, files(&disk), disk.join("out").exists())
    });
    let Some((ran, left, there)) = done else { return };
    for ran in ran {
        let ran = ran.ends_with(75);
        assert!(ran.err.contains("disk/out") && ran.err.contains("free some space"), "{}", ran.err);
    }
    assert!(left.is_empty() && !there, "{left:?}");
    // A failed replacement keeps what was there.
    let again = bench.path("again");
    on_small_disk(&again, "400k", || {
        bench.train(&[("--out", "again/model")]).ends_with(0);
        fs::write(again.join("ballast"), vec![0; 240_000]).unwrap();
        let before = bench.read("again/model/manifest.json");
        bench.train(&[("--out", "again/model"), ("--force", ""), ("--seed", "5")]).ends_with(75);
        assert_eq!(bench.read("again/model/manifest.json"), before);
        bench.run(&["verify", "again/model"]).ends_with(0);
    });
}

#[test]
fn results_that_cannot_be_printed() {
    let bench = Bench::new();
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        eprintln!("skipped: there is no /dev/full here");
        return;
    };
    let mut command = bench.program();
    command.args(support::train(&[])).stdout(Stdio::from(full));
    let ran = support::Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(75), "{}", ran.err);
    assert!(ran.err.contains("standard output"), "{}", ran.err);
    // The model was finished before.
    bench.run(&["verify", "model"]).ends_with(0);
}
