//! Made-up evaluations for the tests: deterministic, synthetic in every number and name.

use std::collections::BTreeMap;

use crate::data::{EncoderIdentity, Task};
use crate::eval::result::{
    CaseEdge, CaseStudy, Comparison, DataOverview, Evaluation, Finding, GateSummary, Histogram, History, MetricValue,
    ModelCurves, ModelScores, Role, Setup,
};

/// Name, label, role and strength of each model: how far its scores of positives lie above those of negatives.
const MODELS: [(&str, &str, Role, f64); 13] = [
    ("static", "Static gate", Role::Network, 2.0),
    ("input", "Input-dependent gate", Role::Ablation, 1.9),
    ("concat", "Concatenation", Role::Ablation, 1.75),
    ("average", "Element-wise average", Role::Ablation, 1.55),
    ("majority", "Majority class", Role::Baseline, 0.0),
    ("id-only", "Ids only", Role::Baseline, 0.9),
    ("group-only", "Sequence groups only", Role::Baseline, 0.95),
    ("partner-only", "Partner only", Role::Baseline, 1.2),
    ("rna-only", "RNA only", Role::Baseline, 0.4),
    ("length-only", "Lengths only", Role::Baseline, 0.6),
    ("knn", "5 nearest neighbours", Role::Baseline, 1.35),
    ("logistic", "Logistic regression", Role::Baseline, 1.5),
    ("shuffled", "Shuffled labels", Role::Control, 0.02),
];
const SEEDS: [u64; 3] = [1, 2, 3];
const FOLDS: usize = 5;

/// A small linear congruential generator: the same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal: a sum of twelve.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

fn score(dice: &mut Dice, centre: f64) -> MetricValue {
    let values: Vec<Vec<Option<f64>>> =
        SEEDS.iter().map(|_| (0..FOLDS).map(|_| Some(centre + 0.025 * dice.normal())).collect()).collect();
    let mean = values.iter().flatten().flatten().sum::<f64>() / (SEEDS.len() * FOLDS) as f64;
    let interval = Some((mean - 0.045 - 0.01 * dice.unit(), mean + 0.04));
    MetricValue {
        mean: Some(mean),
        sd_seeds: Some(0.002 + 0.006 * dice.unit()),
        sd_folds: Some(0.02 + 0.01 * dice.unit()),
        pooled: Some(mean - 0.002),
        interval,
        values,
    }
}

fn curves(dice: &mut Dice, name: &str, strength: f64) -> ModelCurves {
    let mut scored: Vec<(f64, bool)> =
        (0..800).map(|i| (dice.normal() + if i % 2 == 0 { strength } else { 0.0 }, i % 2 == 0)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut roc, mut precision_recall, mut tp, mut fp) = (vec![(0.0, 0.0)], vec![(0.0, 1.0)], 0, 0);
    let mut confusion = [0; 4];
    let mut bins = [(0.0, 0, 0); 15];
    for (i, &(score, positive)) in scored.iter().enumerate() {
        *(if positive { &mut tp } else { &mut fp }) += 1;
        if i % 4 == 0 || i == 799 {
            roc.push((f64::from(fp) / 400.0, f64::from(tp) / 400.0));
            precision_recall.push((f64::from(tp) / 400.0, f64::from(tp) / f64::from(tp + fp)));
        }
        let probability = 1.0 / (1.0 + (-(1.3 * strength + 0.1) * (score - strength / 2.0)).exp());
        confusion[usize::from(probability < 0.5) * 2 + usize::from(positive == (probability < 0.5))] += 1;
        let bin = &mut bins[((probability * 15.0) as usize).min(14)];
        *bin = (bin.0 + probability, bin.1 + usize::from(positive), bin.2 + 1);
    }
    let [tp, fp, tn, fnn] = confusion;
    let reliability = bins.iter().filter(|bin| bin.2 > 0);
    ModelCurves {
        model: name.to_owned(),
        roc,
        precision_recall,
        reliability: reliability.map(|&(p, k, n)| (p / n as f64, k as f64 / n as f64, n)).collect(),
        confusion: [tp, fp, fnn, tn],
        scatter: Vec::new(),
    }
}

fn histories(dice: &mut Dice, n: usize, n_epochs: usize) -> Vec<History> {
    (0..n)
        .map(|i| {
            let fade = |epoch: usize| (-(epoch as f64) / 9.0).exp();
            let overfit = 0.00006 + 0.00006 * dice.unit();
            let inner = |e: usize| 0.36 + 0.36 * fade(e) + overfit * (e * e) as f64;
            let all: Vec<f64> = (0..n_epochs).map(|e| inner(e) + 0.008 * dice.normal()).collect();
            let kept_epoch = 1 + (0..n_epochs).min_by(|&a, &b| all[a].total_cmp(&all[b])).unwrap_or(0);
            let ran = (kept_epoch + 8).min(n_epochs);
            let train_loss = (0..ran).map(|e| 0.12 + 0.6 * fade(e) + 0.008 * dice.normal()).collect();
            let inner_loss = all[..ran].to_vec();
            let watched = inner_loss.clone();
            History { seed: SEEDS[i / FOLDS % 3], fold: i % FOLDS, train_loss, inner_loss, watched, kept_epoch }
        })
        .collect()
}

fn case_study(n_positive: usize, n_negative: usize) -> CaseStudy {
    let edge = |i: usize, label: f64, probability: f64| {
        let family = if label > 0.5 { "SYN1" } else { ["SYN4", "SYN7", "SYN9"][i % 3] };
        let chain = char::from(b'A' + (i % 26) as u8);
        CaseEdge { partner: format!("{family}-{chain}{}", i / 26), label, probability }
    };
    let positive = (0..n_positive).map(|i| edge(i, 1.0, if i == 11 { 0.41 } else { 0.99 - 0.009 * (i % 30) as f64 }));
    let negative =
        (0..n_negative).map(|i| edge(i, 0.0, if i % 40 < 2 { 0.62 } else { 0.05 + 0.011 * (i % 30) as f64 }));
    CaseStudy {
        rna: "SYN1-0".to_owned(),
        note: "Held out with all its pairs; mean probability over 3 seeds.".to_owned(),
        edges: positive.chain(negative).collect(),
    }
}

fn bell(dice: &mut Dice, low: f64, high: f64, n_bins: usize, n: usize) -> Histogram {
    let width = (high - low) / n_bins as f64;
    let mut counts = vec![0; n_bins];
    for _ in 0..n {
        let share = (0.45 + 0.15 * dice.normal()).clamp(0.0, 0.999);
        counts[(share * n_bins as f64) as usize] += 1;
    }
    Histogram { edges: (0..=n_bins).map(|i| low + width * i as f64).collect(), counts }
}

fn log_edges(mut histogram: Histogram) -> Histogram {
    histogram.edges = histogram.edges.iter().map(|&edge| 10f64.powf(edge).round()).collect();
    histogram
}

fn data(dice: &mut Dice) -> DataOverview {
    DataOverview {
        n_pairs: 2920,
        n_positive: 1460,
        n_rna: 120,
        n_partner: 700,
        n_rna_groups: 98,
        n_partner_groups: 635,
        n_sequence_pairs: 2822,
        n_rna_one_label: 14,
        n_partner_one_label: 312,
        rejected: BTreeMap::from([("no vector for the partner".to_owned(), 7), ("duplicate row".to_owned(), 31)]),
        n_dropped_by_split: 412,
        contradictory: vec!["SYN2<0> SYN3&A".to_owned(), "SYN5-1 SYN6-\"B\"".to_owned()],
        n_contradictory_sequence_pairs: 19,
        rna_lengths: log_edges(bell(dice, 1.3, 3.6, 24, 120)),
        partner_lengths: bell(dice, 40.0, 1240.0, 24, 700),
        labels: Histogram { edges: vec![-0.5, 0.5, 1.5], counts: vec![1460, 1460] },
        similarity_rna: Some(0.871),
        similarity_partner: Some(0.934),
        ..DataOverview::default()
    }
}

fn setup() -> Setup {
    let encoder = |name: &str, digest: &str| EncoderIdentity {
        name: name.to_owned(),
        digest: digest.repeat(4),
        pooling: "mean".to_owned(),
    };
    Setup {
        command: "biollmnet evaluate --pairs pairs.tsv --rna rna --partner protein --split partner --seeds 3 --out out"
            .to_owned(),
        task: Task::Binary,
        active_from: None,
        protocol: "honest".to_owned(),
        split: "partner".to_owned(),
        folds: FOLDS,
        seeds: SEEDS.to_vec(),
        epochs: 60,
        stop: "inner loss, patience 8".to_owned(),
        standardise: true,
        network: "a 343→512, b 256→512, static gate, head 512-64-1".to_owned(),
        parameters: 340_673,
        rna_encoder: encoder("kmer", "0123456789abcdef"),
        partner_encoder: encoder("triad", "fedcba9876543210"),
    }
}

fn finding(claim: &str, holds: Option<bool>, text: &str) -> Finding {
    Finding { claim: claim.to_owned(), holds, text: text.to_owned() }
}

fn verdict() -> Vec<Finding> {
    vec![
        finding(
            "beats id-only",
            Some(true),
            "MCC 0.680 against 0.262; difference 0.418 [0.352, 0.487], Holm p < 0.001.",
        ),
        finding(
            "beats partner-only on a cold split",
            Some(false),
            "MCC 0.680 against 0.667; the interval of the difference includes 0.",
        ),
        finding("data", None, "19 pairs of identical sequences carry both labels; no model can be right on both."),
    ]
}

/// Centres of all metrics for a model of this strength.
fn binary_scores(dice: &mut Dice, strength: f64) -> BTreeMap<String, MetricValue> {
    let accuracy = 0.5 + 0.17 * strength;
    let centres = [
        ("mcc", 0.34 * strength),
        ("accuracy", accuracy),
        ("f1", accuracy + 0.01),
        ("precision", accuracy - 0.02),
        ("recall", accuracy + 0.03),
        ("specificity", accuracy - 0.03),
        ("auroc", 0.5 + 0.21 * strength),
        ("auprc", 0.5 + 0.2 * strength),
        ("brier", 0.25 - 0.07 * strength),
        ("ece", 0.09 - 0.02 * strength),
    ];
    centres.into_iter().map(|(name, centre)| (name.to_owned(), score(dice, centre))).collect()
}

/// Cross-validation of a yes/no task with everything that a report can show.
pub fn binary() -> Evaluation {
    let dice = &mut Dice(20);
    let models = MODELS.map(|(name, label, role, strength)| {
        let mut metrics = binary_scores(dice, strength);
        let thresholded = ["mcc", "accuracy", "f1", "precision", "recall", "specificity"];
        let at_inner_threshold =
            thresholded.map(|metric| (metric.to_owned(), score(dice, metrics[metric].mean.unwrap_or(0.0) + 0.01)));
        if name == "majority" {
            metrics.insert("mcc".to_owned(), MetricValue::default());
        }
        let (name, label) = (name.to_owned(), label.to_owned());
        ModelScores { name, label, role, metrics, at_inner_threshold: at_inner_threshold.into() }
    });
    let compared = MODELS.iter().skip(1).filter(|model| model.0 != "majority");
    let comparisons = compared.map(|&(name, _, _, strength)| {
        let difference = 0.34 * (2.0 - strength) - 0.01;
        Comparison {
            model: "static".to_owned(),
            against: name.to_owned(),
            metric: "mcc".to_owned(),
            difference,
            interval: (difference - 0.06, difference + 0.055),
            p: (-40.0 * difference.max(0.0)).exp(),
            p_holm: (8.0 * (-40.0 * difference.max(0.0)).exp()).min(1.0),
        }
    });
    let shares: Vec<f64> = (0..128).map(|_| 1.0 / (1.0 + (-0.9 * dice.normal() - 0.2).exp())).collect();
    Evaluation {
        schema: 1,
        tool: "biollmnet 0.1.0".to_owned(),
        title: "Made-up RNA–protein pairs".to_owned(),
        synthetic: true,
        setup: setup(),
        data: data(dice),
        verdict: verdict(),
        comparisons: comparisons.collect(),
        curves: MODELS.iter().map(|&(name, _, _, strength)| curves(dice, name, strength)).collect(),
        models: models.into(),
        histories: histories(dice, 15, 60),
        gate: Some(GateSummary {
            per_dimension_sd: shares.iter().map(|share| 0.25 * share * (1.0 - share) + 0.01).collect(),
            per_dimension: shares,
            per_interaction: bell(dice, 0.3, 0.8, 30, 584),
        }),
        case_study: Some(case_study(29, 8)),
    }
}

/// The published recipe on affinities.
pub fn regression() -> Evaluation {
    let dice = &mut Dice(7);
    let mut evaluation = binary();
    "paper".clone_into(&mut evaluation.setup.protocol);
    evaluation.setup.task = Task::Regression;
    for (model, (.., strength)) in evaluation.models.iter_mut().zip(MODELS) {
        let centres = [("pearson", 0.4 * strength), ("spearman", 0.39 * strength), ("mae", 1.1 - 0.3 * strength)];
        model.metrics = centres.into_iter().map(|(name, centre)| (name.to_owned(), score(dice, centre))).collect();
        model.at_inner_threshold.clear();
    }
    for (curves, (.., strength)) in evaluation.curves.iter_mut().zip(MODELS) {
        let spread = 1.1 / (0.4 + strength);
        let labels: Vec<f64> = (0..300).map(|_| 5.5 + dice.normal()).collect();
        let scatter = labels.into_iter().map(|label| (label, 1.1 + 0.8 * label + spread * dice.normal())).collect();
        *curves = ModelCurves {
            model: curves.model.clone(),
            scatter,
            roc: Vec::new(),
            precision_recall: Vec::new(),
            reliability: Vec::new(),
            confusion: [0; 4],
        };
    }
    for comparison in &mut evaluation.comparisons {
        "pearson".clone_into(&mut comparison.metric);
    }
    if let Some(study) = &mut evaluation.case_study {
        for edge in &mut study.edges {
            (edge.label, edge.probability) = (4.0 + 3.0 * dice.unit(), 4.2 + 2.5 * dice.unit());
        }
    }
    evaluation.data.labels = bell(dice, 2.0, 10.0, 20, 800);
    evaluation
}

/// Hundreds of trainings and partners, and ids of great length.
pub fn crowded() -> Evaluation {
    let mut evaluation = binary();
    evaluation.histories = histories(&mut Dice(3), 300, 400);
    let mut study = case_study(300, 260);
    study.rna = "a-very-long-rna-id|with|many|parts|".repeat(4);
    for edge in &mut study.edges {
        edge.partner = format!("{}|chain|of|an|assembly|with|a|long|name", edge.partner);
    }
    evaluation.data.contradictory = (0..500).map(|i| format!("SYN{i}-0 SYN{i}-A")).collect();
    evaluation.case_study = Some(study);
    evaluation
}

/// Nothing but a title: every list is empty, every option is none.
pub fn empty() -> Evaluation {
    let full = binary();
    Evaluation {
        synthetic: false,
        data: DataOverview::default(),
        verdict: Vec::new(),
        models: Vec::new(),
        comparisons: Vec::new(),
        curves: Vec::new(),
        histories: Vec::new(),
        gate: None,
        case_study: None,
        ..full
    }
}
