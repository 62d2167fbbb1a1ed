//! Predictions and screens on a CUDA device beside those of the CPU: the stand-in driver where there is a C++ compiler.

#[path = "support/standin.rs"]
mod standin;
mod support;

use biollmnet::backend::{Activation, Cpu, Cuda};
use biollmnet::data::Task;
use biollmnet::models::fusion::{Fusion, FusionConfig, FusionInference, FusionNetwork, PairScores, Projection};
use half::f16;
use support::{Bench, Ran};

/// Largest difference of two devices in f32.
const BOUND: f64 = 2e-5;

/// The program on the stand-in device; none where that cannot be built.
fn on_cuda(bench: &Bench, arguments: &[&str]) -> Option<Ran> {
    let standin = standin::command(env!("CARGO_BIN_EXE_biollmnet"))?;
    let mut command = bench.program();
    command.envs(standin.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Some(command.args(arguments).args(["--device", "cuda"]).output().unwrap().into())
}

/// Two tables are the same but for the last digits of numbers.
fn close(bench: &Bench, case: &str, cpu: &str, cuda: &str) {
    let rows = |name: &str| -> Vec<Vec<String>> {
        bench.read(name).lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    };
    let (cpu, cuda) = (rows(cpu), rows(cuda));
    assert!(cpu.len() > 20 && cpu.len() == cuda.len(), "{case}: {} and {} rows", cpu.len(), cuda.len());
    for (cpu, cuda) in cpu.iter().zip(&cuda) {
        let same = |a: &String, b: &String| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => (a - b).abs() < BOUND * a.abs().max(1.0),
            _ => a == b,
        };
        assert!(cpu.len() == cuda.len() && cpu.iter().zip(cuda).all(|(a, b)| same(a, b)), "{case}:\n{cpu:?}\n{cuda:?}");
    }
}

/// Trains a network, and compares its predictions and its screen by both devices.
fn devices_agree(bench: &Bench, case: &str, network: &str, flags: &[(&str, &str)]) -> Option<()> {
    let partner = flags.iter().find(|flag| flag.0 == "--partner").map_or("partner", |flag| flag.1);
    bench.file("case.toml", format!("epochs = 2\nstop = \"fixed\"\n[network]\n{network}\n"));
    bench.train(&[&[("--config", "case.toml"), ("--out", "model"), ("--force", "")], flags].concat()).ends_with(0);
    let predict = ["predict", "--model", "model", "--pairs", "pairs.tsv", "--rna", "rna", "--partner", partner];
    let screen = ["screen", "--model", "model", "--targets", "rna", "--library", partner, "--top-k", "6"];
    for (name, command) in [("predict", &predict), ("screen", &screen)] {
        let (cpu, cuda) = (format!("{name}.cpu.tsv"), format!("{name}.cuda.tsv"));
        bench.run(&[&command[..], &["--device", "cpu", "--out", &cpu]].concat()).ends_with(0);
        let ran = on_cuda(bench, &[&command[..], &["--json", "--out", &cuda]].concat())?.ends_with(0);
        assert!(ran.json()["device"].as_str().unwrap().starts_with("cuda:0 ("), "{}", ran.out);
        if name == "screen" {
            // Ranks are decided by exact scores, whatever device found the candidates.
            assert_eq!(bench.read(&cpu), bench.read(&cuda), "{case}");
        } else {
            close(bench, &format!("{case}, {name}"), &cpu, &cuda);
        }
    }
    Some(())
}

#[test]
fn predictions_and_ranks_are_those_of_the_cpu() {
    let bench = Bench::new();
    bench.file("second.fa", bench.read("rna.fa").replace(">r", ">p"));
    bench.run(&["embed", "second.fa", "--encoder", "kmer", "--out", "second"]).ends_with(0);
    let all = || {
        for (projection, partner) in
            [("\"none\"", "second"), ("\"one-sided\"", "partner"), ("{ both = 33 }", "partner")]
        {
            for (fusion, members) in [("static", "2"), ("input", "1"), ("concat", "1"), ("average", "1")] {
                let case = format!("{projection}, {fusion}");
                let network = format!("projection = {projection}\nfusion = \"{fusion}\"\nhead = [40, 9]");
                devices_agree(&bench, &case, &network, &[("--partner", partner), ("--members", members)])?;
            }
        }
        bench.pairs("value.tsv", |g, h| format!("{}", 3.0 + 40.0 * g * h));
        bench.labelled("several.tsv", "a\tb\tc", |i, j| format!("{}\t{}\t{}", i % 2, j % 2, (i + j) % 2));
        let (network, columns) = ("projection = { both = 16 }\nhead = []", "rna=rna,partner=partner,label=a,b,c");
        devices_agree(&bench, "regression", network, &[("--pairs", "value.tsv")])?;
        devices_agree(&bench, "several labels", network, &[("--pairs", "several.tsv"), ("--columns", columns)])
    };
    let _ = all();
}

#[test]
fn a_network_that_is_too_wide_is_refused() {
    let bench = Bench::new();
    bench.file("wide.toml", "epochs = 1\nstop = \"fixed\"\n[network]\nprojection = { both = 4096 }\nhead = [8]\n");
    bench.train(&[("--config", "wide.toml")]).ends_with(0);
    let predict = ["predict", "--model", "model", "--pairs", "pairs.tsv", "--rna", "rna", "--partner", "partner"];
    let Some(ran) = on_cuda(&bench, &[&predict[..], &["--out", "x.tsv"]].concat()) else { return };
    bench.refused(&ran, 3, &["too wide for cuda:0", "--device cpu"], "x.tsv");
}

fn wave(n: usize, step: f32) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * step).sin()).collect()
}

/// Scores of pairs of 40 vectors by a network of this fusion on both devices.
fn both<A: Activation>(cuda: &Cuda, fusion: Fusion, pairs: &[[u32; 2]]) -> [PairScores; 2] {
    let config = FusionConfig {
        d_partner: 37,
        d_rna: 66,
        projection: Projection::Both(40),
        fusion,
        head: vec![24, 12],
        n_outputs: 3,
        dropout_projection: 0.0,
        dropout_head: 0.0,
        task: Task::MultiLabel,
    };
    let network = FusionNetwork::new(config).unwrap();
    let (parameters, a, b) = (network.layout.initial(1), wave(40 * 37, 0.37), wave(40 * 66, 0.73));
    let cpu = Cpu::single();
    let by_cpu = FusionInference::<Cpu, A>::new(&cpu, &network, &parameters).unwrap();
    let by_cuda = FusionInference::<Cuda, A>::new(cuda, &network, &parameters).unwrap();
    [by_cpu.score(&cpu, &a, &b, pairs, true).unwrap(), by_cuda.score(cuda, &a, &b, pairs, true).unwrap()]
}

fn networks_agree<A: Activation>(cuda: &Cuda, bound: f32) {
    let pairs: Vec<[u32; 2]> = (0..71).map(|i| [i * 7 % 40, i * i % 40]).collect();
    for fusion in [Fusion::Static, Fusion::Input, Fusion::Concat, Fusion::Average] {
        let [cpu, found] = both::<A>(cuda, fusion, &pairs);
        let close = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < bound);
        assert!(close(&cpu.logits, &found.logits), "{fusion:?} in {}", A::NAME);
        assert_eq!([cpu.gate_mean.is_some(), found.gate_mean.is_some()], [fusion != Fusion::Concat; 2]);
        assert!(close(&cpu.gate_mean.unwrap_or_default(), &found.gate_mean.unwrap_or_default()), "{fusion:?}");
    }
    // A pair has the same bits in lists that take other tiles.
    let [_, few] = both::<A>(cuda, Fusion::Input, &pairs);
    for n in [1, 16 * 132, 32 * 132] {
        let list: Vec<[u32; 2]> = pairs.iter().copied().cycle().take(n).collect();
        let [_, found] = both::<A>(cuda, Fusion::Input, &list);
        let same = |found: &[f32], few: &[f32]| found.chunks(few.len()).all(|part| part == &few[..part.len()]);
        assert!(same(&found.logits, &few.logits), "{n} pairs in {}", A::NAME);
        assert!(same(&found.gate_mean.unwrap(), few.gate_mean.as_ref().unwrap()), "{n} pairs in {}", A::NAME);
    }
}

#[test]
fn both_precisions_are_those_of_the_cpu() {
    if standin::load().is_none() {
        return;
    }
    let cuda = Cuda::open(0).unwrap();
    networks_agree::<f32>(&cuda, BOUND as f32);
    networks_agree::<f16>(&cuda, 4e-3);
}
