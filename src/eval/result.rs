//! What an evaluation found: the content of `metrics.json`, and all that the report draws.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::data::{EncoderIdentity, Task};

/// Everything that an evaluation found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Version of this layout.
    pub schema: u32,
    /// `biollmnet <version>`.
    pub tool: String,
    /// Name of the data set, for headings.
    pub title: String,
    /// True for generated data: the report then says so in every heading.
    pub synthetic: bool,
    /// What was done.
    pub setup: Setup,
    /// The data.
    pub data: DataOverview,
    /// Findings in words, the most important first.
    pub verdict: Vec<Finding>,
    /// One entry per model, in table order: networks, then baselines.
    pub models: Vec<ModelScores>,
    /// Paired differences between models.
    pub comparisons: Vec<Comparison>,
    /// Curves of the models that have some.
    pub curves: Vec<ModelCurves>,
    /// Training curves of the main network, one per training.
    pub histories: Vec<History>,
    /// What the gate of the main network does; `None` where there is no gate.
    pub gate: Option<GateSummary>,
    /// Predictions of one chosen RNA against its partners.
    pub case_study: Option<CaseStudy>,
}

/// What was done: enough to repeat it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The command line.
    pub command: String,
    /// What is scored.
    pub task: Task,
    /// Where a regression is scored as a classification: the value from which a prediction counts as positive.
    pub active_from: Option<f64>,
    /// `honest` or `paper`.
    pub protocol: String,
    /// `random`, `rna`, `partner`, `both`, `hold-out rna=ID` or `train→test`.
    pub split: String,
    /// Number of folds; 1 for hold-out and train→test.
    pub folds: usize,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Most epochs of a training.
    pub epochs: usize,
    /// The stopping rule in words.
    pub stop: String,
    /// True when inputs are standardised on the training entities.
    pub standardise: bool,
    /// The network in one line: `a 343→512, b 256→512, static gate, head 512-64-1`.
    pub network: String,
    /// Trainable parameters of the main network.
    pub parameters: usize,
    /// Who made the RNA vectors.
    pub rna_encoder: EncoderIdentity,
    /// Who made the partner vectors.
    pub partner_encoder: EncoderIdentity,
}

impl Setup {
    /// Where a prediction turns positive, as a caption says it.
    #[must_use]
    pub fn threshold_in_words(&self) -> String {
        self.active_from.map_or("probability 0.5".to_owned(), |value| format!("a predicted value of {value}"))
    }
}

/// The data in numbers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DataOverview {
    /// Pairs used.
    pub n_pairs: usize,
    /// Pairs of the separate test set, 0 without one.
    pub n_test_pairs: usize,
    /// Pairs with label 1 (binary only).
    pub n_positive: usize,
    /// Distinct RNA ids.
    pub n_rna: usize,
    /// Distinct partner ids.
    pub n_partner: usize,
    /// Distinct RNA sequences.
    pub n_rna_groups: usize,
    /// Distinct partner sequences.
    pub n_partner_groups: usize,
    /// Distinct pairs of sequences.
    pub n_sequence_pairs: usize,
    /// RNA ids that occur with one label only (binary only).
    pub n_rna_one_label: usize,
    /// Partner ids that occur with one label only (binary only).
    pub n_partner_one_label: usize,
    /// Rows left out while reading, by reason.
    pub rejected: BTreeMap<String, usize>,
    /// The same of the separate test set.
    pub test_rejected: BTreeMap<String, usize>,
    /// Pairs dropped by the split (mixed pairs of `both`), summed over folds of one seed.
    pub n_dropped_by_split: usize,
    /// Pairs of identical ids that carry different labels, `rna partner`.
    pub contradictory: Vec<String>,
    /// Pairs of identical sequences that carry different labels.
    pub n_contradictory_sequence_pairs: usize,
    /// Histogram of RNA lengths.
    pub rna_lengths: Histogram,
    /// Histogram of partner lengths.
    pub partner_lengths: Histogram,
    /// Labels: counts of 0 and 1, or a histogram of the values.
    pub labels: Histogram,
    /// Largest cosine of a test entity to the training entities, averaged over pairs and folds.
    pub similarity_rna: Option<f64>,
    /// The same for partners.
    pub similarity_partner: Option<f64>,
}

/// Counts between edges: `counts[i]` values lie in `edges[i] ≤ v < edges[i+1]`, the last bin closed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Histogram {
    /// Bin edges, one more than counts.
    pub edges: Vec<f64>,
    /// Values per bin; label 0 (or all values).
    pub counts: Vec<usize>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The claim that was tested, e.g. `beats id-only`.
    pub claim: String,
    /// Whether it holds; `None` for a remark about the data.
    pub holds: Option<bool>,
    /// One plain sentence with the figures.
    pub text: String,
}

/// What a model is in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The network that is being judged.
    Network,
    /// The network with another fusion.
    Ablation,
    /// What it must beat.
    Baseline,
    /// Shuffled labels: what chance looks like.
    Control,
}

/// Scores of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelScores {
    /// Short stable name: `static`, `input`, `concat`, `average`, `id-only`, `rna-only`, …
    pub name: String,
    /// Name for people.
    pub label: String,
    /// What it is in the table.
    pub role: Role,
    /// Metric name → value, thresholded ones at probability 0.5 (or at [`Setup::active_from`]).
    pub metrics: BTreeMap<String, MetricValue>,
    /// Thresholded metrics at the threshold chosen on the inner part; empty where there is none.
    pub at_inner_threshold: BTreeMap<String, MetricValue>,
}

/// One metric: mean over folds per seed, then mean ± SD over seeds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MetricValue {
    /// Mean over seeds of the mean over folds; `None` = undefined in every fold.
    pub mean: Option<f64>,
    /// SD over seeds (ddof 1); `None` for one seed.
    pub sd_seeds: Option<f64>,
    /// Mean over seeds of the SD over folds.
    pub sd_folds: Option<f64>,
    /// Over all predictions of a seed at once, then the mean over seeds.
    pub pooled: Option<f64>,
    /// 95 % bootstrap interval over groups of the pooled value (the wider of RNA and partner groups).
    pub interval: Option<(f64, f64)>,
    /// `values[seed][fold]`, `None` = undefined there.
    pub values: Vec<Vec<Option<f64>>>,
}

/// Paired difference of two models on the same predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Name of the model.
    pub model: String,
    /// Name of what it is compared with.
    pub against: String,
    /// The metric.
    pub metric: String,
    /// Pooled difference, model − against.
    pub difference: f64,
    /// 95 % bootstrap interval of the difference over groups.
    pub interval: (f64, f64),
    /// Two-sided bootstrap p value.
    pub p: f64,
    /// The same after Holm's correction over all comparisons.
    pub p_holm: f64,
}

/// Curves of one model, pooled over the predictions of all folds (seeds averaged by pair).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCurves {
    /// Name of the model.
    pub model: String,
    /// Points (false positive rate, true positive rate), at most 512.
    pub roc: Vec<(f64, f64)>,
    /// Points (recall, precision), at most 512.
    pub precision_recall: Vec<(f64, f64)>,
    /// Non-empty bins (mean probability, fraction positive, count).
    pub reliability: Vec<(f64, f64, usize)>,
    /// At probability 0.5 (or at [`Setup::active_from`]): true positive, false positive, false negative, true negative.
    pub confusion: [usize; 4],
    /// Regression: (label, prediction), at most 2 000 points; empty otherwise.
    pub scatter: Vec<(f64, f64)>,
}

/// Curves of one training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Seed.
    pub seed: u64,
    /// Fold.
    pub fold: usize,
    /// Mean training loss of each epoch.
    pub train_loss: Vec<f64>,
    /// Loss on the inner part (or, in the paper protocol, on the evaluation fold) after each epoch; empty without one.
    pub inner_loss: Vec<f64>,
    /// The value that the stopping rule watches, after each epoch; empty without one.
    pub watched: Vec<f64>,
    /// Epoch whose weights were kept, 1-based.
    pub kept_epoch: usize,
}

/// What the gate does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateSummary {
    /// Share of the partner, σ(g), per hidden dimension: mean over trainings (and pairs for an input-dependent gate).
    pub per_dimension: Vec<f64>,
    /// SD of the same over trainings.
    pub per_dimension_sd: Vec<f64>,
    /// Histogram over test pairs of a pair's mean share of the partner weighted by the size of each operand:
    /// `Σ_d |σ_d·P_d| / Σ_d (|σ_d·P_d| + |(1−σ_d)·R_d|)`.
    pub per_interaction: Histogram,
}

/// Predictions of one RNA against its partners (the paper's Figures 4 and 5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseStudy {
    /// The RNA.
    pub rna: String,
    /// How it was predicted, in words.
    pub note: String,
    /// Its partners.
    pub edges: Vec<CaseEdge>,
}

/// One predicted pair of the case study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseEdge {
    /// The partner.
    pub partner: String,
    /// The true label.
    pub label: f64,
    /// Predicted probability (mean over seeds), or value.
    pub probability: f64,
}
