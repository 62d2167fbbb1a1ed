//! The model folder: `config.json`, `member-K.safetensors`, `calibration.json`, `history.tsv`, `train_index/`, manifest.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::cohort::Trained;
use super::model::{Model, ModelConfig};
use super::similarity::TrainIndex;
use super::standardise::{SideScale, Standardiser};
use crate::error::{Error, Result};
use crate::files::manifest::Manifest;
use crate::files::output_folder::OutputFolder;
use crate::models::fusion::FusionNetwork;

/// The `kind` of a model in its manifest.
pub const KIND: &str = "model";

const MAKE_AGAIN: &str =
    "train the model again, or copy the whole folder again (`biollmnet verify` names what changed)";

impl Model {
    /// Takes the folder that a model will be [saved](Self::save) to, before the training that it must not waste, with the
    /// [notes](super::TrainingNotes) of one that was stopped.
    ///
    /// # Errors
    /// As [`OutputFolder::create`].
    pub fn folder(path: &Path, force: bool) -> Result<OutputFolder> {
        Ok(OutputFolder::resume(path, KIND, force, |_| true)?.0)
    }

    /// Writes the model into its [folder](Self::folder). `rejects` is the list of pairs that were left out, written as
    /// `rejects.tsv`.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn save(&self, folder: OutputFolder, rejects: Option<&[u8]>) -> Result<()> {
        folder.write("config.json", &json(&self.config)?)?;
        folder.write("calibration.json", &json(&self.calibration)?)?;
        folder.write("history.tsv", self.history().as_bytes())?;
        for (k, member) in self.members.iter().enumerate() {
            folder.write(&format!("member-{k}.safetensors"), &member_bytes(member)?)?;
        }
        for (side, index) in [("rna", &self.rna_index), ("partner", &self.partner_index)] {
            folder.write(&format!("train_index/{side}.safetensors"), &index_bytes(index)?)?;
            let digests = index.digests.iter().fold(String::new(), |text, digest| text + digest + "\n");
            folder.write(&format!("train_index/{side}.digests.txt"), digests.as_bytes())?;
        }
        if let Some(rejects) = rejects {
            folder.write("rejects.tsv", rejects)?;
        }
        folder
            .commit(serde_json::json!({ "members": self.members.len(), "network": self.config.network().summary() }))?;
        Ok(())
    }

    /// Reads a model folder, every byte of it.
    ///
    /// # Errors
    /// [`Error::Format`] that names the file, and the tensor where it is one that does not fit; [`Error::Interrupted`].
    pub fn load(path: &Path) -> Result<Self> {
        let manifest = Manifest::read_kind(path, KIND)?;
        manifest.check_files(path, MAKE_AGAIN)?;
        let config: ModelConfig = read_json(path, "config.json")?;
        let network = FusionNetwork::new(config.network())?;
        let calibration = read_json(path, "calibration.json")?;
        let n_members = manifest.files.iter().filter(|file| file.path.starts_with("member-")).count();
        let members: Result<Vec<Trained>> = (0..n_members)
            .map(|k| {
                let file = path.join(format!("member-{k}.safetensors"));
                read_member(&file, &network, config.label_scale)
            })
            .collect();
        let index = |side: &str, dim: usize| read_index(path, side, dim);
        let model = Self {
            members: members?,
            calibration,
            rna_index: index("rna", config.d_rna)?,
            partner_index: index("partner", config.d_partner)?,
            config,
        };
        if model.members.is_empty() || model.calibration.len() != model.config.label_names.len() {
            return Err(Error::format(path, "the model has no member, or a calibration of other labels", MAKE_AGAIN));
        }
        Ok(model)
    }

    /// `history.tsv`: one row per member and epoch.
    fn history(&self) -> String {
        let mut text = String::from("member\tepoch\ttrain_loss\tinner_loss\tinner_value\tkept\n");
        for (k, member) in self.members.iter().enumerate() {
            let epochs = member.train_loss.len().max(member.watched.len());
            let cell = |values: &[f64], i: usize| values.get(i).map_or(String::new(), |value| format!("{value:.6}"));
            for i in 0..epochs {
                let kept = u8::from(i + 1 == member.kept_epoch);
                let (train, inner, value) =
                    (cell(&member.train_loss, i), cell(&member.watched_loss, i), cell(&member.watched, i));
                let _ = writeln!(text, "{k}\t{}\t{train}\t{inner}\t{value}\t{kept}", i + 1);
            }
        }
        text
    }
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| Error::data(format!("the model cannot be written as JSON: {e}"), "report this"))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn read_json<T: serde::de::DeserializeOwned>(folder: &Path, name: &str) -> Result<T> {
    let path = folder.join(name);
    let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::format(&path, format!("not what a model holds: {e}"), MAKE_AGAIN))
}

/// Named f32 rows as safetensors.
fn safetensors(tensors: &[(String, Vec<usize>, &[f32])], metadata: Option<HashMap<String, String>>) -> Result<Vec<u8>> {
    let failed = |e: safetensors::SafeTensorError| Error::data(format!("cannot write tensors: {e}"), "report this");
    let views: Result<Vec<(String, TensorView<'_>)>> = tensors
        .iter()
        .map(|(name, shape, values)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values)).map_err(failed)?;
            Ok((name.clone(), view))
        })
        .collect();
    serialize(views?, metadata).map_err(failed)
}

/// Names and scales of the standardised inputs.
fn scales(scale: &Standardiser) -> [(&'static str, &[f32]); 4] {
    [
        ("input.rna.mean", &scale.rna.mean),
        ("input.rna.inverse_sd", &scale.rna.inverse_sd),
        ("input.partner.mean", &scale.partner.mean),
        ("input.partner.inverse_sd", &scale.partner.inverse_sd),
    ]
}

fn member_bytes(member: &Trained) -> Result<Vec<u8>> {
    let weights = member
        .network
        .layout
        .tensors()
        .map(|tensor| (tensor.name.clone(), vec![tensor.rows, tensor.cols], &member.parameters[tensor.range()]));
    let scales = scales(&member.scale).into_iter().filter(|(_, values)| !values.is_empty());
    let scales = scales.map(|(name, values)| (name.to_owned(), vec![values.len()], values));
    let kept = HashMap::from([("kept_epoch".to_owned(), member.kept_epoch.to_string())]);
    safetensors(&weights.chain(scales).collect::<Vec<_>>(), Some(kept))
}

fn index_bytes(index: &TrainIndex) -> Result<Vec<u8>> {
    let failed = |e: safetensors::SafeTensorError| Error::data(format!("cannot write tensors: {e}"), "report this");
    let units: Vec<f16> = index.units.iter().map(|&x| f16::from_f32(x)).collect();
    let view =
        TensorView::new(Dtype::F16, vec![index.len(), index.dim], bytemuck::cast_slice(&units)).map_err(failed)?;
    let metadata = HashMap::from([("quantile_5".to_owned(), index.quantile_5.to_string())]);
    serialize([("units", view)], Some(metadata)).map_err(failed)
}

/// A safetensors file and its text metadata.
struct TensorFile<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
    metadata: HashMap<String, String>,
}

impl<'a> TensorFile<'a> {
    fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let wrong = |e: safetensors::SafeTensorError| Error::format(path, format!("not safetensors: {e}"), MAKE_AGAIN);
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self { path, tensors: SafeTensors::deserialize(bytes).map_err(wrong)?, metadata })
    }

    /// The bytes of a tensor of exactly this type and shape.
    fn bytes(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&'a [u8]> {
        let wrong = |reason: String| Error::format(self.path, reason, MAKE_AGAIN);
        let view = self.tensors.tensor(name).map_err(|_| wrong(format!("the tensor '{name}' is missing")))?;
        if view.dtype() != dtype || view.shape() != shape {
            return Err(wrong(format!(
                "the tensor '{name}' is {:?} {:?}, not {dtype:?} {shape:?}",
                view.dtype(),
                view.shape()
            )));
        }
        Ok(view.data())
    }

    fn f32s(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let values: Vec<f32> = bytemuck::allocation::pod_collect_to_vec(self.bytes(name, Dtype::F32, shape)?);
        if values.iter().all(|x| x.is_finite()) {
            return Ok(values);
        }
        Err(Error::format(self.path, format!("the tensor '{name}' holds NaN or an infinity"), MAKE_AGAIN))
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T> {
        let value = self.metadata.get(key).and_then(|text| text.parse().ok());
        value.ok_or_else(|| Error::format(self.path, format!("the metadata lack the number '{key}'"), MAKE_AGAIN))
    }
}

fn read_member(path: &Path, network: &FusionNetwork, label_scale: f32) -> Result<Trained> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let file = TensorFile::parse(path, &bytes)?;
    let mut parameters = Vec::with_capacity(network.layout.len());
    for tensor in network.layout.tensors() {
        parameters.extend(file.f32s(&tensor.name, &[tensor.rows, tensor.cols])?);
    }
    let side = |name: &str, dim: usize| -> Result<SideScale> {
        if file.tensors.tensor(&format!("input.{name}.mean")).is_err() {
            return Ok(SideScale::default());
        }
        Ok(SideScale {
            mean: file.f32s(&format!("input.{name}.mean"), &[dim])?,
            inverse_sd: file.f32s(&format!("input.{name}.inverse_sd"), &[dim])?,
        })
    };
    let scale =
        Standardiser { rna: side("rna", network.config.d_rna)?, partner: side("partner", network.config.d_partner)? };
    Ok(Trained {
        network: network.clone(),
        parameters,
        scale,
        label_scale,
        train_loss: Vec::new(),
        watched_loss: Vec::new(),
        watched: Vec::new(),
        kept_epoch: file.number("kept_epoch")?,
    })
}

fn read_index(folder: &Path, side: &str, dim: usize) -> Result<TrainIndex> {
    let path = folder.join(format!("train_index/{side}.safetensors"));
    let digests_path = folder.join(format!("train_index/{side}.digests.txt"));
    let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
    let digests = std::fs::read_to_string(&digests_path).map_err(Error::io("read", &digests_path))?;
    let digests: Vec<String> = digests.lines().map(str::to_owned).collect();
    let file = TensorFile::parse(&path, &bytes)?;
    let units: Vec<f16> =
        bytemuck::allocation::pod_collect_to_vec(file.bytes("units", Dtype::F16, &[digests.len(), dim])?);
    let units = units.into_iter().map(f16::to_f32).collect();
    Ok(TrainIndex { dim, units, digests, quantile_5: file.number("quantile_5")? })
}
