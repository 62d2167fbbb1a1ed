//! Whole commands on molecules: SMILES to stores with the fingerprint and with Mole-BERT.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use biollmnet::data::VectorSource;
use biollmnet::embed::Store;
use biollmnet::embed::store::ResidueStore;
use serde_json::Value;

/// Four molecules, one of them twice, one that is none, and an empty line.
const SMILES: &str =
    "smiles id\nCC(=O)Oc1ccccc1C(=O)O aspirin\nOC(=O)c1ccccc1OC(C)=O same\n[Na+].[Cl-]\tsalt\n\nC1CC open\nC methane\n";

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("in.smi"), SMILES).unwrap();
        Self { folder }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    #[track_caller]
    fn run(&self, arguments: &str, code: i32) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_biollmnet"));
        command.current_dir(self.folder.path()).args(["--threads", "2", "--progress", "none", "--device", "cpu"]);
        let Output { status, stdout, stderr } = command.args(arguments.split_whitespace()).output().unwrap();
        let text = String::from_utf8([stdout, stderr].concat()).unwrap();
        assert_eq!(status.code(), Some(code), "{arguments}: {text}");
        text
    }
    fn vector(&self, store: &str, id: &str) -> Vec<f32> {
        let store = Store::open(self.path(store)).unwrap();
        let record = store.records().find(|record| record.id == id).unwrap();
        let mut vector = vec![f32::NAN; store.detail().dim];
        store.copy_row(record.row.unwrap(), &mut vector);
        vector
    }
    fn states(&self, store: &str, id: &str, n_atoms: usize) -> Vec<f32> {
        let store = ResidueStore::open_residues(self.path(store)).unwrap();
        let record = store.records().find(|record| record.id == id).unwrap();
        let mut states = vec![f32::NAN; n_atoms * store.detail().dim];
        store.copy_states(record.row.unwrap(), &mut states);
        states
    }
}

#[test]
fn fingerprints_of_a_smiles_file() {
    let bench = Bench::new();
    let text = bench.run("embed in.smi --encoder ecfp --out store", 1);
    assert!(text.contains("5 records") && text.contains("1 refused (1 invalid-smiles"), "{text}");
    let aspirin = bench.vector("store", "aspirin");
    assert_eq!(aspirin, bench.vector("store", "same"));
    assert_eq!((aspirin.len(), aspirin.iter().sum::<f32>()), (2048, 24.0));
    assert_eq!(bench.vector("store", "methane").iter().sum::<f32>(), 1.0);
    assert_eq!(bench.vector("store", "salt").iter().sum::<f32>(), 2.0);
    let rejects = fs::read_to_string(bench.path("store/rejects.tsv")).unwrap();
    assert!(rejects.contains("6\topen\tinvalid-smiles"), "{rejects}");
    bench.run("verify store", 0);
    assert!(bench.run("embed in.smi --encoder ecfp --out store", 0).contains("up to date"));
    fs::write(bench.path("in.smi.gz"), gzip(SMILES.as_bytes())).unwrap();
    bench.run("embed in.smi.gz --encoder ecfp --out packed", 1);
    assert_eq!(bench.vector("packed", "aspirin"), aspirin);

    for (flags, part) in [
        ("--pooling sum", "no pooling 'sum'"),
        ("--modality protein", "takes molecule records"),
        ("--precision int8", "has no weights"),
        ("--max-length 5 --long truncate", "cannot be cut short"),
    ] {
        let text = bench.run(&format!("embed in.smi --encoder ecfp --out other {flags}"), 2);
        assert!(text.contains(part) && text.contains("help"), "{text}");
        assert!(!bench.path("other").exists());
    }
    fs::write(bench.path("in.fa"), ">a\nACGU\n").unwrap();
    assert!(bench.run("embed in.fa --encoder ecfp --out other", 3).contains("this is FASTA, not SMILES"));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn mole_bert_of_true_size_in_every_pooling() {
    let bench = Bench::new();
    bench.run("init --config mole-bert --out weights --seed 3", 0);
    bench.run("embed in.smi --encoder weights --out store --pooling mean,sum,max,per-atom", 1);
    let [mean, sum, max] = ["mean", "sum", "max"].map(|pooling| bench.vector(&format!("store/{pooling}"), "aspirin"));
    let states = bench.states("store/per-atom", "aspirin", 13);
    assert_eq!((mean.len(), states.len()), (300, 13 * 300));
    for column in 0..300 {
        let values = || states.iter().skip(column).step_by(300);
        let total: f64 = values().map(|&value| f64::from(value)).sum();
        assert_eq!((sum[column], mean[column]), (total as f32, (total / 13.0) as f32));
        assert_eq!(max[column], values().copied().fold(f32::NEG_INFINITY, f32::max));
    }
    // Alone, in a file of its own, and twenty times with others, by one thread: the same bits.
    fs::write(bench.path("alone.smi"), "CC(=O)Oc1ccccc1C(=O)O aspirin").unwrap();
    bench.run("embed alone.smi --encoder weights --out alone --threads 1", 0);
    assert_eq!(bench.vector("alone", "aspirin"), mean);
    let crowd = (1..200).map(|n| format!("{}O c{n}\n", "C".repeat(n))).collect::<Vec<_>>().concat();
    fs::write(bench.path("crowd.smi"), crowd + "CC(=O)Oc1ccccc1C(=O)O aspirin").unwrap();
    bench.run("embed crowd.smi --encoder weights --out crowd", 0);
    assert_eq!(bench.vector("crowd", "aspirin"), mean);

    let text = bench.run("embed in.smi --encoder weights --out other --pooling codes", 2);
    assert!(text.contains("no pooling 'codes'") && text.contains("mean, sum, max, per-atom"), "{text}");
}

/// The folder of the reference cases, and the molecules that the reference accepts, by id, as a SMILES file.
fn golden(bench: &Bench) -> Option<(PathBuf, Vec<String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    let Ok(table) = fs::read(folder.join("mol_features.json")) else {
        println!("skipped: ../shared is absent");
        return None;
    };
    let table: Value = serde_json::from_slice(&table).unwrap();
    let accepted = table["molecules"].as_array().unwrap().iter().filter(|molecule| molecule["ok"] == true);
    let mut ids = Vec::new();
    let mut lines = String::new();
    for molecule in accepted {
        let smiles = molecule["smiles"].as_str().unwrap();
        if smiles.split_whitespace().eq([smiles]) {
            ids.push(molecule["id"].to_string());
            let _ = writeln!(lines, "{smiles} {}", molecule["id"]);
        }
    }
    fs::write(bench.path("golden.smi"), lines).unwrap();
    Some((folder, ids))
}

#[test]
fn vectors_of_the_published_network() {
    let bench = Bench::new();
    let Some((golden, ids)) = golden(&bench) else { return };
    bench.run(&format!("import {} --out weights", golden.join("molebert_tiny.pth").display()), 0);
    bench.run("embed golden.smi --encoder weights --out store", 0);
    let bytes = fs::read(golden.join("molebert_tiny.expected.safetensors")).unwrap();
    let expected = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for id in ids {
        let mean: Vec<f64> = bytemuck::pod_collect_to_vec(expected.tensor(&format!("{id}.mean")).unwrap().data());
        let largest = mean.iter().fold(1f64, |most, x| most.max(x.abs()));
        for (found, expected) in bench.vector("store", &id).iter().zip(&mean) {
            assert!((f64::from(*found) - expected).abs() <= 2e-5 * largest, "{id}: {found} {expected}");
        }
    }
}

#[test]
fn codes_of_the_published_tokenizer() {
    let bench = Bench::new();
    let Some((golden, ids)) = golden(&bench) else { return };
    let file = |name: &str| golden.join(format!("molebert_tiny_vq{name}.pth")).display().to_string();
    bench.run(&format!("import {} --codebook {} --out weights", file("encoder"), file("quantizer")), 0);
    bench.run("embed golden.smi --encoder weights --out store --pooling codes,per-atom", 0);
    let expected = fs::read(golden.join("molebert_tiny_codes.json")).unwrap();
    let expected: HashMap<String, Value> = serde_json::from_slice(&expected).unwrap();
    for id in ids {
        let codes: Vec<usize> = serde_json::from_value(expected[&id]["codes"].clone()).unwrap();
        let mut shares = vec![0.0; 512];
        for &code in &codes {
            shares[code] += 1.0;
        }
        let shares: Vec<f32> = shares.iter().map(|count: &f64| (count / codes.len() as f64) as f32).collect();
        assert_eq!(bench.vector("store/codes", &id), shares, "{id}");
        // A row of an atom: its state, then its code.
        let rows = bench.states("store/per-atom", &id, codes.len());
        assert!(rows.chunks(65).map(|row| row[64] as usize).eq(codes), "{id}");
    }
}
