//! Whole `embed` commands with networks: a tiny one written here, and the reference cases beside the repository.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

const POOLINGS: &str = "mean,cls,mean-with-special,per-residue";

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the program; `ended` is the exit code that is meant.
#[track_caller]
fn run(ended: i32, arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_biollmnet"))
        .args(["--progress", "none", "--device", "cpu"])
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let ran = Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) };
    assert_eq!(ran.code, Some(ended), "{arguments:?}: {}{}", ran.out, ran.err);
    ran
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder as Hugging Face's ESM-2 has it: 2 layers of width 32 with 4 heads, random weights.
fn tiny_esm(folder: &Path) {
    const D: usize = 32;
    let config = serde_json::json!({
        "model_type": "esm", "architectures": ["EsmForMaskedLM"], "hidden_size": D, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 4 * D, "vocab_size": 33, "layer_norm_eps": 1e-5,
        "pad_token_id": 1, "mask_token_id": 32, "token_dropout": true, "position_embedding_type": "rotary",
        "emb_layer_norm_before": false, "hidden_act": "gelu",
    });
    let mut shapes = vec![("esm.embeddings.word_embeddings.weight".to_owned(), vec![33, D])];
    let mut with_bias = |name: String, shape: Vec<usize>| {
        shapes.push((format!("{name}.bias"), vec![shape[0]]));
        shapes.push((format!("{name}.weight"), shape));
    };
    for n in 0..2 {
        let layer = format!("esm.encoder.layer.{n}");
        for part in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"] {
            with_bias(format!("{layer}.{part}"), vec![D, D]);
        }
        with_bias(format!("{layer}.attention.LayerNorm"), vec![D]);
        with_bias(format!("{layer}.LayerNorm"), vec![D]);
        with_bias(format!("{layer}.intermediate.dense"), vec![4 * D, D]);
        with_bias(format!("{layer}.output.dense"), vec![D, 4 * D]);
    }
    with_bias("esm.encoder.emb_layer_norm_after".to_owned(), vec![D]);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let n: usize = shape.iter().product();
            let bytes = (0..n).flat_map(|_| rng.random_range(-0.4f32..0.4).to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// `n` proteins of 1 to 40 residues as FASTA.
fn proteins(n: usize) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut fasta = String::new();
    for i in 0..n {
        let length = rng.random_range(1..=40);
        let letters: String =
            (0..length).map(|_| char::from(b"ACDEFGHIKLMNPQRSTVWYXJ"[rng.random_range(0..22)])).collect();
        writeln!(fasta, ">p{i}\n{letters}").unwrap();
    }
    fasta
}

struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        tiny_esm(&bench.path("esm"));
        bench
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        text(&self.path(name)).to_owned()
    }
    #[track_caller]
    fn embed(&self, ended: i32, input: &str, out: &str, more: &[&str]) -> Ran {
        let (encoder, out) = (self.path("esm"), self.path(out));
        let mut arguments = vec!["embed", input, "--encoder", text(&encoder), "--out", text(&out)];
        arguments.extend(more);
        run(ended, &arguments)
    }
    /// The vectors of a store, `[vectors, dim]`, as bytes.
    fn vectors(&self, store: &str) -> Vec<u8> {
        let (store, npy) = (self.path(store), self.path("vectors.npy"));
        run(0, &["export", text(&store), "--format", "npy", "--out", text(&npy)]);
        fs::read(npy).unwrap()[128..].to_vec()
    }
}

#[test]
fn same_bits_alone_in_a_batch_of_500_with_another_budget_and_on_one_thread() {
    let bench = Bench::new();
    let fasta = proteins(500);
    let all = bench.file("all.fa", &fasta);
    let common = ["--pooling", POOLINGS, "--dtype", "f32"];
    bench.embed(0, &all, "crowd", &common);
    bench.embed(0, &all, "budget", &[&common[..], &["--max-tokens", "7"]].concat());
    bench.embed(0, &all, "thread", &[&common[..], &["--threads", "1", "--max-tokens", "600"]].concat());
    let lines: Vec<&str> = fasta.lines().collect();
    for pooling in POOLINGS.split(',') {
        let crowd = bench.vectors(&format!("crowd/{pooling}"));
        assert_eq!(crowd, bench.vectors(&format!("budget/{pooling}")), "{pooling}");
        assert_eq!(crowd, bench.vectors(&format!("thread/{pooling}")), "{pooling}");
    }
    for i in [0, 1, 7] {
        let alone = bench.file("alone.fa", &format!("{}\n{}\n", lines[2 * i], lines[2 * i + 1]));
        bench.embed(0, &alone, &format!("alone{i}"), &["--dtype", "f32"]);
        let (row, width) = (bench.vectors(&format!("alone{i}")), 32 * 4);
        assert!(bench.vectors("crowd/mean").chunks(width).any(|other| other == row), "{i}");
    }
}

#[test]
fn odd_sequences_are_rows_with_remarks() {
    let bench = Bench::new();
    let mut fasta = String::new();
    for (id, sequence) in [
        ("one", "M".to_owned()),
        ("trained", "MK".repeat(511)),
        ("long", "MKLAV".repeat(1000)),
        ("unknown", "JJJJ".to_owned()),
        ("lower", "mkla".to_owned()),
        ("upper", "MKLA*".to_owned()),
        ("gaps", "MK-L.A".to_owned()),
        ("none", "*".to_owned()),
    ] {
        writeln!(fasta, ">{id}\n{sequence}").unwrap();
    }
    let input = bench.file("odd.fa", &fasta);
    let ran = bench.embed(1, &input, "odd", &["--json"]);
    let summary: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&summary["records"], &summary["vectors"], &summary["unknown"]), (&8.into(), &6.into(), &4.into()));
    assert_eq!(summary["tokens"], 1 + 1022 + 5000 + 4 + 4 + 6 + 12);
    assert!(summary["tokens_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(summary["refused"], serde_json::json!({"no-sequence": 1}));
    let detail: serde_json::Value =
        serde_json::from_slice(&fs::read(bench.path("odd/manifest.json")).unwrap()).unwrap();
    assert_eq!((&detail["detail"]["dtype"], &detail["detail"]["modality"]), (&"f16".into(), &"protein".into()));
    // A limit of memory is a row, not a kill.
    let ran = bench.embed(1, &input, "small", &["--max-memory", "2M", "--json"]);
    let summary: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(summary["refused"], serde_json::json!({"no-sequence": 1, "too-large": 1}));
    // Windows serve it.
    let more = ["--max-length", "100", "--long", "window", "--max-memory", "2M", "--json", "--max-tokens", "300"];
    let ran = bench.embed(1, &input, "windows", &more);
    let summary: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(summary["refused"], serde_json::json!({"no-sequence": 1}));
    assert!(run(0, &["verify", text(&bench.path("windows"))]).out.contains("every byte"));
}

#[test]
fn what_cannot_be_done_is_told() {
    let bench = Bench::new();
    let input = bench.file("in.fa", ">a\nMKLA\n");
    let refused = |ended: i32, more: &[&str], words: &str| {
        let ran = bench.embed(ended, &input, "out", more);
        assert!(ran.err.contains(words), "{more:?}: {}", ran.err);
        assert!(!bench.path("out").exists());
    };
    refused(3, &["--precision", "fp8"], "on CUDA devices of compute capability 9.0 only");
    refused(2, &["--pooling", "max"], "no pooling 'max'");
    refused(2, &["--pooling", "median"], "no pooling 'median'");
    refused(2, &["--modality", "rna"], "takes protein");
    refused(2, &["--long", "window"], "--max-length");
    refused(2, &["--max-memory", "much"], "no size");
    refused(2, &["--isa", "mmx"], "this machine has");
    let nowhere = run(2, &["embed", &input, "--encoder", "esm9", "--out", text(&bench.path("out"))]);
    assert!(nowhere.err.contains("'esm9'") && nowhere.err.contains("kmer, triad, ecfp"), "{}", nowhere.err);
    let kmer =
        run(2, &["embed", &input, "--encoder", "kmer", "--precision", "int8", "--out", text(&bench.path("out"))]);
    assert!(kmer.err.contains("no weights"), "{}", kmer.err);
    // A vocabulary that belongs to other weights.
    fs::write(bench.path("esm/vocab.txt"), "<cls>\n<eos>\n<unk>\n<mask>\nA\n").unwrap();
    refused(3, &[], "5 tokens");
    fs::write(bench.path("esm/vocab.txt"), "<cls>\n<pad>\nA\n").unwrap();
    refused(3, &[], "<eos>");
}

#[test]
fn another_precision_or_width_of_windows_is_another_encoder() {
    let bench = Bench::new();
    let input = bench.file("in.fa", ">a\nMKLAVVWY\n>b\nACDEF\n");
    let identity = |name: &str, more: &[&str]| {
        bench.embed(0, &input, name, more);
        let manifest: serde_json::Value =
            serde_json::from_slice(&fs::read(bench.path(name).join("manifest.json")).unwrap()).unwrap();
        (manifest["detail"]["encoder"]["digest"].as_str().unwrap().to_owned(), bench.vectors(name))
    };
    let (plain, values) = identity("plain", &["--dtype", "f32"]);
    let (same, again) = identity("same", &["--dtype", "f32", "--max-tokens", "3"]);
    assert!(plain == same && values == again);
    let (int8, coarse) = identity("int8", &["--dtype", "f32", "--precision", "int8"]);
    assert!(plain != int8 && values != coarse && values.len() == coarse.len());
    let (windows, _) = identity("windows", &["--max-length", "4", "--long", "window"]);
    assert!(windows != plain && windows != int8);
}

#[test]
fn molecules_by_fingerprint_and_network() {
    let bench = Bench::new();
    let input = bench.file("in.smi", "CCO\tethanol\nc1ccccc1O phenol\nC1CC broken\nCCO\n");
    let [ecfp, folder, bert] = ["ecfp", "bert", "vectors"].map(|name| text(&bench.path(name)).to_owned());
    let ran = run(1, &["embed", &input, "--encoder", "ecfp", "--out", &ecfp]);
    assert!(ran.out.contains("4 records, 2 distinct vectors, 1 refused (1 invalid-smiles"), "{}", ran.out);
    assert_eq!(bench.vectors("ecfp").len(), 2 * 2048 * 4);
    run(0, &["init", "--config", "mole-bert", "--out", &folder]);
    let poolings = "mean,sum,max,per-atom";
    run(1, &["embed", &input, "--encoder", &folder, "--out", &bert, "--pooling", poolings, "--dtype", "f32"]);
    for (pooling, rows) in [("mean", 2), ("sum", 2), ("max", 2), ("per-atom", 3 + 7)] {
        assert_eq!(bench.vectors(&format!("vectors/{pooling}")).len() % (rows * 4), 0, "{pooling}");
    }
    let alone = bench.file("alone.smi", "CCO ethanol\n");
    let out = text(&bench.path("alone")).to_owned();
    run(0, &["embed", &alone, "--encoder", &folder, "--out", &out, "--dtype", "f32", "--max-tokens", "1"]);
    let (one, two) = (bench.vectors("alone"), bench.vectors("vectors/mean"));
    assert_eq!(one, two[..one.len()]);
}

/// Largest difference of our pooled vectors and of states from the reference's, over the plain records of a case.
fn differences(bench: &Bench, golden: &Path, case: &str, expected: &str, fasta: &str, letters: &str) -> (f64, f64) {
    let bytes = fs::read(golden.join(format!("{expected}.expected.safetensors"))).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let values = |name: &str| -> Option<Vec<f64>> {
        let tensor = tensors.tensor(name).ok()?;
        Some(tensor.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect())
    };
    let input = fs::read_to_string(golden.join(fasta)).unwrap();
    let (mut plain, mut ids) = (String::new(), Vec::new());
    for record in input.trim_start_matches('>').split("\n>") {
        let (id, sequence) = record.split_once('\n').unwrap();
        let sequence = sequence.replace('\n', "");
        if sequence.chars().all(|c| letters.contains(c)) {
            writeln!(plain, ">{id}\n{sequence}").unwrap();
            ids.push((id.to_owned(), sequence.len()));
        }
    }
    let input = bench.file(&format!("{case}.fa"), &plain);
    let (encoder, out) = (golden.join(case), bench.path(case));
    run(
        0,
        &["embed", &input, "--encoder", text(&encoder), "--out", text(&out), "--pooling", POOLINGS, "--dtype", "f32"],
    );
    let floats = |bytes: Vec<u8>| -> Vec<f64> {
        bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect()
    };
    let worst = |ours: &[f64], theirs: &[f64]| {
        assert_eq!(ours.len(), theirs.len());
        ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    let (mut pooled, mut by_residue) = (0f64, 0f64);
    for (pooling, key) in [("mean", "mean"), ("cls", "cls"), ("mean-with-special", "mean_with_special")] {
        let ours = floats(bench.vectors(&format!("{case}/{pooling}")));
        for ((id, _), ours) in ids.iter().zip(ours.chunks_exact(ours.len() / ids.len())) {
            pooled = pooled.max(worst(ours, &values(&format!("{id}.{key}")).unwrap()));
        }
    }
    let states = floats(bench.vectors(&format!("{case}/per-residue")));
    let d = states.len() / ids.iter().map(|(_, length)| length).sum::<usize>();
    let mut rest = states.as_slice();
    for (id, length) in &ids {
        let (ours, after) = rest.split_at(length * d);
        rest = after;
        if let Some(theirs) = values(&format!("{id}.hidden")) {
            by_residue = by_residue.max(worst(ours, &theirs[d..theirs.len() - d]));
        }
    }
    assert!(ids.len() >= 10 && pooled > 0.0 && by_residue > 0.0);
    (pooled, by_residue)
}

#[test]
fn plain_records_have_the_references_vectors() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    if !golden.is_dir() {
        eprintln!("skipped: ../shared is absent");
        return;
    }
    let bench = Bench::new();
    let (protein, rna) = ("ACDEFGHIKLMNPQRSTVWYXBUZO.-", "ACGTURYKMSWBDHVNI-");
    for (case, fasta, letters) in [
        ("esm2_hf_tiny", "protein.fasta", protein),
        ("rinalmo_mm_tiny", "rna.fasta", rna),
        ("rinalmo_mm_from_official_tiny", "rna.fasta", rna),
    ] {
        let (pooled, by_residue) = differences(&bench, &golden, case, case, fasta, letters);
        eprintln!("{case}: pooled {pooled:.1e}, by residue {by_residue:.1e}");
        // The bounds of the reference cases; the reference's own f32 errs by up to 3.1e-6 and 4.3e-6.
        assert!(pooled <= 1e-5 && by_residue <= 2e-5, "{case}: {pooled:e} {by_residue:e}");
    }
}
