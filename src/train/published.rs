//! Weights of the fusion network as BioLLMNet's published code saves them, in all of its variants.
//!
//! | saved by | gate | head |
//! |---|---|---|
//! | the RNA–protein notebook | static vector | h-64-1 |
//! | the RNA–RNA notebook | static vector | h-256-128-1 |
//! | the RNA–molecule script, first half, and its evaluation | from the input | h-64-1 |
//! | the RNA–molecule script, second half | static vector | h-128-64-1 |
//! | the baseline of the RNA–protein notebook | none: both sides joined | 2h-512-64-1 |

use std::path::Path;

use super::cohort::Trained;
use super::config::{NetworkConfig, Preset};
use super::model::{Model, ModelConfig};
use super::similarity::TrainIndex;
use super::standardise::Standardiser;
use crate::data::{EncoderIdentity, Task};
use crate::error::{Error, Result};
use crate::models::fusion::{Fusion, FusionNetwork, Projection};
use crate::weights::naming::{Naming, Rule};
use crate::weights::{Checkpoint, Scope};

const fn rule(from: &'static str, to: &'static [&'static str]) -> Rule {
    Rule { from, to }
}

/// The partner is called protein in every script but one; its side comes first.
const NAMES: Naming = Naming {
    prefixes: &["module."],
    rules: &[
        rule("protein_path.0.*", &["projection.partner.*"]),
        rule("mirna_path.0.*", &["projection.partner.*"]),
        rule("protein_fc.*", &["projection.partner.*"]),
        rule("rna_path.0.*", &["projection.rna.*"]),
        rule("rna_fc.*", &["projection.rna.*"]),
        rule("fusion.gate", &["gate.static"]),
        rule("fusion.gate.0.*", &["gate.input.*"]),
        rule("classifier.0.*", &["head.0.*"]),
        rule("classifier.3.*", &["head.1.*"]),
        rule("classifier.6.*", &["head.2.*"]),
        rule("combined_fc1.*", &["head.0.*"]),
        rule("combined_fc2.*", &["head.1.*"]),
        rule("combined_fc3.*", &["head.2.*"]),
    ],
    ignored: &[],
};
/// Labels of the RNA–molecule sets were clipped at this and divided by it.
const LABEL_SCALE: f32 = 10.0;
/// Width of the RNA–molecule networks, the only regressions among the published ones.
const REGRESSION_WIDTH: usize = 256;
/// Name of an encoder that nothing is known of.
const UNKNOWN: &str = "unknown";

impl Model {
    /// A model of the published code's weights. The file says neither what was predicted nor which encoders made the
    /// vectors: the task is `task`, else what the published network of this width did, and the encoders are called
    /// `unknown`.
    ///
    /// # Errors
    /// [`Error::Format`] that names the tensor.
    pub fn from_published(path: &Path, task: Option<Task>) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        checkpoint.check_sums()?;
        let scope = Scope::renamed(checkpoint, &NAMES)?;
        let (h, d_partner) = matrix(path, &scope, "projection.partner.weight")?;
        let (_, d_rna) = matrix(path, &scope, "projection.rna.weight")?;
        let mut widths = Vec::new();
        while scope.shape(&format!("head.{}.weight", widths.len())).is_some() {
            widths.push(matrix(path, &scope, &format!("head.{}.weight", widths.len()))?.0);
        }
        let n_outputs = widths.pop().ok_or_else(|| wrong(path, "the tensor 'head.0.weight' is missing".to_owned()))?;
        let fusion = match (scope.shape("gate.static"), scope.shape("gate.input.weight")) {
            (Some(_), _) => Fusion::Static,
            (None, Some(_)) => Fusion::Input,
            (None, None) => Fusion::Concat,
        };
        let published = if h == REGRESSION_WIDTH { Task::Regression } else { Task::Binary };
        let task = task.unwrap_or(published);
        let mut training = match task {
            Task::Regression => Preset::RnaMolecule.config(),
            Task::Binary | Task::MultiLabel => Preset::RnaProtein.config(),
        };
        let dropped = |rate: f32| if fusion == Fusion::Concat { 0.0 } else { rate };
        training.standardise = false;
        training.network = NetworkConfig {
            projection: Projection::Both(h),
            fusion,
            head: widths,
            dropout_projection: dropped(training.network.dropout_projection),
            dropout_head: dropped(training.network.dropout_head),
        };
        let network = FusionNetwork::new(training.network.for_data(d_partner, d_rna, n_outputs, task))?;
        let parameters = parameters(path, &scope, &network)?;
        let label_scale = if task == Task::Regression { LABEL_SCALE } else { 1.0 };
        let member = Trained {
            network,
            parameters,
            scale: Standardiser::default(),
            label_scale,
            train_loss: Vec::new(),
            watched_loss: Vec::new(),
            watched: Vec::new(),
            kept_epoch: 0,
        };
        let unknown = || EncoderIdentity { name: UNKNOWN.into(), digest: String::new(), pooling: UNKNOWN.into() };
        let label_names: Vec<String> = match n_outputs {
            1 => vec!["label".to_owned()],
            n => (1..=n).map(|i| format!("label{i}")).collect(),
        };
        let no_index = |dim| TrainIndex { dim, units: Vec::new(), digests: Vec::new(), quantile_5: -1.0 };
        Ok(Self {
            calibration: vec![None; label_names.len()],
            config: ModelConfig {
                training,
                task,
                label_names,
                rna_encoder: unknown(),
                partner_encoder: unknown(),
                d_rna,
                d_partner,
                seed: 0,
                n_pairs: 0,
                label_scale,
            },
            members: vec![member],
            rna_index: no_index(d_rna),
            partner_index: no_index(d_partner),
        })
    }
}

/// Every weight in the order of the flat buffer.
fn parameters(path: &Path, scope: &Scope, network: &FusionNetwork) -> Result<Vec<f32>> {
    let mut parameters = Vec::with_capacity(network.layout.len());
    for tensor in network.layout.tensors() {
        let vector = [tensor.cols];
        let matrix = [tensor.rows, tensor.cols];
        let shape: &[usize] = if tensor.name.ends_with(".weight") { &matrix } else { &vector };
        let values = scope.take(&tensor.name, shape)?.to_f32();
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            let reason = format!("the tensor '{}' holds NaN or an infinity (first at element {at})", tensor.name);
            return Err(wrong(path, reason));
        }
        parameters.extend(values);
    }
    match scope.unused().first() {
        None => Ok(parameters),
        Some(extra) => Err(wrong(path, format!("the tensor '{extra}' has no place in this network"))),
    }
}

fn matrix(path: &Path, scope: &Scope, name: &str) -> Result<(usize, usize)> {
    match scope.shape(name).as_deref() {
        Some(&[rows, cols]) => Ok((rows, cols)),
        Some(shape) => Err(wrong(path, format!("the tensor '{name}': expected two axes, found the shape {shape:?}"))),
        None => Err(wrong(path, format!("the tensor '{name}' is missing"))),
    }
}

fn wrong(path: &Path, reason: String) -> Error {
    Error::format(path, reason, "name a state dict of BioLLMNet's published code, saved with torch.save")
}
