//! The convex baselines on published sets, against scores of an independent implementation on the same folds.
//!
//! Data and scores are read in place; where they are absent the tests say so and pass.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use biollmnet::data::folds::read_folds;
use biollmnet::data::{Dataset, Entities, FoldOptions, MemoryVectors, Pair, Plan, SplitKind, Task};
use biollmnet::eval::baselines::{Baseline, Rows, all};
use biollmnet::features::{Kmer, SequenceEncoder, Triad};
use biollmnet::metrics::{binary_metrics, regression_metrics};
use biollmnet::seq::digest_hex;
use biollmnet::seq::fasta::Reader;

/// The other implementation breaks ties between RNAs of one sequence by rounding, which moves ranking metrics by up
/// to 7e-4; everything else agrees to the five decimals that it prints.
const TOLERANCE: f64 = 1e-3;

fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let present = folder.join("refscores/refscores.tsv").is_file() && folder.join("data").is_dir();
    if !present {
        eprintln!("skipped: ../shared is absent");
    }
    present.then_some(folder)
}

/// The entities of a FASTA file, embedded by `encoder`.
fn entities(path: &Path, encoder: &dyn SequenceEncoder) -> Entities {
    let (mut ids, mut length, mut digest, mut values) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for record in Reader::open(path, encoder.alphabet()).unwrap() {
        let record = record.unwrap();
        let start = values.len();
        values.resize(start + encoder.dim(), 0.0);
        encoder.encode(&record.sequence, &mut values[start..]);
        length.push(record.sequence.len() as u32);
        digest.push(digest_hex(&record.sequence));
        ids.push(record.id);
    }
    let mut number = HashMap::new();
    let group = digest.iter().map(|digest| {
        let next = number.len() as u32;
        *number.entry(digest.clone()).or_insert(next)
    });
    Entities {
        group: group.collect(),
        rows: (0..ids.len()).collect(),
        length,
        digest,
        source: Arc::new(MemoryVectors { dim: encoder.dim(), values }),
        encoder: encoder.identity(),
        ids,
    }
}

/// Entities without vectors, for baselines that look at ids alone.
fn names(ids: impl Iterator<Item = String>) -> Entities {
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids.dedup();
    let n = ids.len();
    Entities {
        rows: (0..n).collect(),
        group: (0..n as u32).collect(),
        length: vec![0; n],
        digest: vec![String::new(); n],
        source: Arc::new(MemoryVectors { dim: 1, values: vec![0.0; n] }),
        encoder: biollmnet::data::EncoderIdentity {
            name: "none".into(),
            digest: String::new(),
            pooling: "mean".into(),
        },
        ids,
    }
}

/// `(rna, partner, label)` of each data row; `swapped` where the partner comes first.
fn rows(path: &Path, swapped: bool) -> Vec<(String, String, f32)> {
    let text = fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let (rna, partner) = if swapped { (columns[1], columns[0]) } else { (columns[0], columns[1]) };
        (rna.to_owned(), partner.to_owned(), columns[2].parse().unwrap())
    };
    text.lines().skip(1).map(row).collect()
}

fn dataset(rows: &[(String, String, f32)], rna: Entities, partner: Entities, task: Task) -> Dataset {
    let index = |entities: &Entities| -> HashMap<String, u32> { entities.ids.iter().cloned().zip(0..).collect() };
    let (of_rna, of_partner) = (index(&rna), index(&partner));
    let pairs = rows.iter().zip(0..).map(|((r, p, _), row0)| Pair { rna: of_rna[r], partner: of_partner[p], row0 });
    Dataset {
        pairs: pairs.collect(),
        labels: rows.iter().map(|row| row.2).collect(),
        label_names: vec!["label".into()],
        rna,
        partner,
        task,
    }
}

fn rpi1460(shared: &Path) -> Dataset {
    let folder = shared.join("data/rpi1460");
    let rows = rows(&folder.join("pairs.tsv"), false);
    dataset(
        &rows,
        entities(&folder.join("rna.fasta"), &Kmer),
        entities(&folder.join("protein.fasta"), &Triad),
        Task::Binary,
    )
}

fn plant(shared: &Path, species: &str) -> Dataset {
    let folder = shared.join(format!("data/plant_{species}"));
    let rows = rows(&folder.join("pairs.tsv"), true);
    dataset(
        &rows,
        entities(&folder.join("lncrna.fasta"), &Kmer),
        entities(&folder.join("mirna.fasta"), &Kmer),
        Task::Binary,
    )
}

/// Reference values by seed: `(set, model, metric)`.
fn reference(shared: &Path, aggregation: &str) -> HashMap<(String, String, String), Vec<f64>> {
    let text = fs::read_to_string(shared.join("refscores/refscores.tsv")).unwrap();
    text.lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|columns| columns[0] == "E" && columns[3] == aggregation)
        .map(|columns| {
            let values = columns[10].split(';').filter_map(|value| value.parse().ok()).collect();
            ((columns[1].into(), columns[2].into(), columns[4].into()), values)
        })
        .collect()
}

/// Their name of a baseline, ours.
const CLASSIFIERS: [(&str, &str); 7] = [
    ("majority", "majority"),
    ("id_only", "id-only"),
    ("seqgroup_only", "sequence-group-only"),
    ("partner_only_lr", "partner-only"),
    ("rna_only_lr", "rna-only"),
    ("both_lr", "linear"),
    ("lnc_length_threshold", "length-threshold"),
];

type Scores = BTreeMap<&'static str, Option<f64>>;

fn scores(baseline: &dyn Baseline, train: Rows<'_>, (test, tested): Rows<'_>) -> Scores {
    let predictions = baseline.predict(train, (test, tested)).unwrap();
    if test.task == Task::Regression {
        let labels: Vec<f64> = tested.iter().map(|&row| f64::from(test.label(row as usize))).collect();
        return regression_metrics(&labels, &predictions);
    }
    let labels: Vec<bool> = tested.iter().map(|&row| test.label(row as usize) == 1.0).collect();
    binary_metrics(&labels, &predictions, 0.0)
}

/// Mean over folds of each metric, per seed.
fn fold_means(baseline: &dyn Baseline, data: &Dataset, plan: &Plan, seeds: u64) -> BTreeMap<&'static str, Vec<f64>> {
    let mut means: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for seed in 0..seeds {
        let folds: Vec<Scores> = plan
            .trainings
            .iter()
            .filter(|split| split.seed == seed)
            .map(|split| scores(baseline, (data, &split.outer()), (data, &split.test)))
            .collect();
        for name in folds[0].keys() {
            let defined: Vec<f64> = folds.iter().filter_map(|fold| fold[name]).collect();
            means.entry(name).or_default().push(defined.iter().sum::<f64>() / defined.len() as f64);
        }
    }
    means
}

/// Compares with the reference seed by seed; returns the complaints and prints the largest deviation.
fn compare(
    set: &str,
    names: &[(&str, &str)],
    metrics: &[&str],
    reference: &HashMap<(String, String, String), Vec<f64>>,
    ours: impl Fn(&str) -> BTreeMap<&'static str, Vec<f64>>,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for &(theirs, name) in names {
        let key = |metric: &str| (set.to_owned(), theirs.to_owned(), metric.to_owned());
        if !reference.contains_key(&key(metrics[0])) {
            continue;
        }
        let found = ours(name);
        let mut line = format!("{set} {name}:");
        for &metric in metrics {
            let expected = &reference[&key(metric)];
            let worst =
                found[metric].iter().zip(expected).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f64::max);
            write!(line, " {metric} {worst:.1e}").unwrap();
            if worst > TOLERANCE || found[metric].len() != expected.len() {
                complaints.push(format!("{set} {name} {metric}: {:?} instead of {expected:?}", found[metric]));
            }
        }
        eprintln!("{line}");
    }
    complaints
}

fn baseline(name: &str, task: Task) -> Box<dyn Baseline> {
    all(task).into_iter().find(|baseline| baseline.name() == name).unwrap()
}

#[test]
fn rpi1460_agrees_fold_by_fold() {
    let Some(shared) = shared() else { return };
    let data = rpi1460(&shared);
    let reference = reference(&shared, "foldmean");
    let mut complaints = Vec::new();
    for (split, set) in [
        (SplitKind::Random, "rpi1460"),
        (SplitKind::Rna, "rpi1460/C_rna"),
        (SplitKind::Partner, "rpi1460/C_protein"),
        (SplitKind::Both, "rpi1460/C_both"),
    ] {
        let options = FoldOptions { split, ..FoldOptions::default() };
        let plan = read_folds(&shared.join("refscores/splits/rpi1460.tsv"), &data, &options).unwrap();
        complaints.extend(compare(
            set,
            &CLASSIFIERS,
            &["MCC", "AUROC", "AUPRC", "F1", "accuracy"],
            &reference,
            |name| fold_means(&*baseline(name, Task::Binary), &data, &plan, 3),
        ));
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn plants_agree_across_species() {
    let Some(shared) = shared() else { return };
    let sets: HashMap<&str, Dataset> = ["ath", "gma", "mtr"].map(|species| (species, plant(&shared, species))).into();
    let reference = reference(&shared, "pooled");
    let mut complaints = Vec::new();
    for source in ["ath", "gma", "mtr"] {
        for target in ["ath", "gma", "mtr"] {
            let (train, test) = (&sets[source], &sets[target]);
            let plan =
                Plan::train_test(train, test, &FoldOptions { seeds: vec![0], ..FoldOptions::default() }).unwrap();
            let split = &plan.trainings[0];
            let set = format!("plant_{source}->plant_{target}");
            complaints.extend(compare(
                &set,
                &CLASSIFIERS,
                &["MCC", "AUROC", "AUPRC", "F1", "accuracy"],
                &reference,
                |name| {
                    let baseline = baseline(name, Task::Binary);
                    let scores = scores(&*baseline, (train, &split.outer()), (test, &split.test));
                    scores.into_iter().map(|(name, value)| (name, value.into_iter().collect())).collect()
                },
            ));
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn affinities_agree_without_molecule_vectors() {
    let Some(shared) = shared() else { return };
    let reference = reference(&shared, "foldmean");
    let mut complaints = Vec::new();
    for subtype in ["aptamers", "mirna", "repeats", "ribosomal", "riboswitch", "viral_rna"] {
        let folder = shared.join(format!("data/rsapred_{subtype}"));
        let rows = rows(&folder.join("pairs.tsv"), false);
        let rna = entities(&folder.join("rna.fasta"), &Kmer);
        let partner = names(rows.iter().map(|row| row.1.clone()));
        let data = dataset(&rows, rna, partner, Task::Regression);
        let folds = shared.join(format!("refscores/splits/rsapred_{subtype}.tsv"));
        let plan = read_folds(&folds, &data, &FoldOptions::default()).unwrap();
        // Not the Spearman correlation of rna-only: RNAs of one sequence are predicted alike, and the other
        // implementation breaks these ties by rounding.
        let compared: [(_, &[&str]); 3] = [
            (("id_only", "id-only"), &["MAE", "RMSE", "Pearson", "Spearman"]),
            (("rna_only_ridge", "rna-only"), &["MAE", "RMSE", "Pearson"]),
            (("train_mean", "majority"), &["MAE", "RMSE"]),
        ];
        for (names, metrics) in compared {
            complaints.extend(compare(&format!("rsapred_{subtype}"), &[names], metrics, &reference, |name| {
                fold_means(&*baseline(name, Task::Regression), &data, &plan, 3)
            }));
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}
