//! Which layout a source has, and the network that it describes.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::config::{BackboneConfig, Network, SCHEMA};
use super::hugging_face::ForeignConfig;
use super::open::TokenizerFiles;
use super::{CONFIG, KIND, WEIGHTS, names, state_dict};
use crate::error::{Error, Result};
use crate::files::{Manifest, whole};
use crate::weights::naming::Naming;
use crate::weights::{Checkpoint, Scope};

/// Configurations of published models have about 1 kB, with a table of letters some 100 kB.
const MOST_CONFIG: u64 = 16 << 20;

/// What kind of network a source is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ESM-2.
    Esm2,
    /// `RiNALMo`.
    Rinalmo,
    /// Mole-BERT or the encoder of its tokenizer.
    MoleBert,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Esm2 => "esm2",
            Self::Rinalmo => "rinalmo",
            Self::MoleBert => "mole-bert",
        }
    }
}

/// What a user says about a source, where it does not say it itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hints<'a> {
    pub kind: Option<Kind>,
    pub heads: Option<usize>,
    pub codebook: Option<&'a Path>,
}

/// A source that was understood; its tensors are not read yet.
pub(super) struct Source {
    pub network: Network,
    pub scope: Scope,
    /// Name of the layout.
    pub format: &'static str,
    pub tokenizer: TokenizerFiles,
    /// What a folder of this program says about itself.
    pub own: Option<BackboneConfig>,
}

/// True for the weights of a fusion network of the published code.
#[must_use]
pub fn looks_like_fusion(checkpoint: &Checkpoint) -> bool {
    checkpoint.names().any(|name| name.starts_with("fusion.gate") || name == "combined_fc1.weight")
}

/// Understands a source: a folder of this program, a foreign folder, or a file.
///
/// # Errors
/// [`Error::Format`] for what it cannot be, [`Error::Usage`] for hints that contradict it.
pub(super) fn find(path: &Path, hints: Hints) -> Result<Source> {
    let folder = model_folder(path);
    let source = match &folder {
        Some(folder) if folder.join(CONFIG).exists() => in_folder(folder, hints)?,
        Some(folder) if !folder.join(WEIGHTS).exists() => tokenizer_folder(folder, hints)?,
        _ => in_file(path, hints)?,
    };
    if let Some(fault) = source.network.fault() {
        let help = "get the checkpoint again, or correct --heads";
        return Err(Error::format(path, format!("no such network can be: {fault}"), help));
    }
    Ok(source)
}

/// The folder of a model, also where a file of it is named that says nothing without its configuration.
fn model_folder(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        return Some(path.to_path_buf());
    }
    let named = path.file_name()?.to_str()?;
    let parent = path.parent()?;
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let part = named.starts_with("model.safetensors") || named.starts_with("pytorch_model.bin") || named == CONFIG;
    (part && parent.join(CONFIG).exists()).then(|| parent.to_path_buf())
}

fn in_folder(folder: &Path, hints: Hints) -> Result<Source> {
    let path = folder.join(CONFIG);
    let bytes = whole::read(&path, MOST_CONFIG)?;
    let values: Value = serde_json::from_slice(&bytes)
        .map_err(|e| Error::format(&path, format!("not valid JSON: {e}"), "get the whole folder again"))?;
    if values.get("schema").is_some() && values.get("network").is_some() {
        return own_folder(folder, &path, values, hints);
    }
    let config = ForeignConfig { path: &path, values: &values };
    let open = |naming: &Naming| Scope::renamed(Checkpoint::open(folder)?, naming);
    let (network, scope, kind, format) = match config.model_type() {
        "esm" => {
            let network = config.esm2()?;
            (network, open(&names::HUGGING_FACE_ESM)?, Kind::Esm2, "hugging-face")
        }
        "rinalmo" => {
            let scope = open(&names::MULTIMOLECULE)?;
            (config.rinalmo(&scope)?, scope, Kind::Rinalmo, "multimolecule")
        }
        other => {
            return Err(Error::format(
                &path,
                format!("model_type is '{other}', not esm or rinalmo"),
                "name the folder of an ESM-2 or RiNALMo model",
            ));
        }
    };
    agree(folder, kind, hints)?;
    check_heads(&network, hints, folder)?;
    Ok(Source { network, scope, format, tokenizer: TokenizerFiles::beside(folder), own: None })
}

fn own_folder(folder: &Path, path: &Path, values: Value, hints: Hints) -> Result<Source> {
    let make_again = "make the folder again with 'biollmnet import' or 'biollmnet init'";
    let manifest = Manifest::read_kind(folder, KIND)?;
    manifest.check_files(folder, make_again)?;
    if values.get("schema").and_then(Value::as_u64) != Some(u64::from(SCHEMA)) {
        let reason = format!("its layout is of another version than {SCHEMA} ({})", manifest.tool);
        return Err(Error::format(path, reason, make_again));
    }
    let config: BackboneConfig = serde_json::from_value(values)
        .map_err(|e| Error::format(path, format!("not the configuration of a backbone: {e}"), make_again))?;
    let kind = match config.network {
        Network::Esm2(_) => Kind::Esm2,
        Network::Rinalmo(_) => Kind::Rinalmo,
        Network::MoleBert(_) => Kind::MoleBert,
    };
    agree(folder, kind, hints)?;
    check_heads(&config.network, hints, folder)?;
    let scope = Scope::new(Checkpoint::open(&folder.join(WEIGHTS))?);
    let tokenizer = TokenizerFiles::beside(folder);
    Ok(Source { network: config.network.clone(), scope, format: "biollmnet", tokenizer, own: Some(config) })
}

/// A folder with Mole-BERT's tokenizer as it is published: two files, the encoder and the codebook.
fn tokenizer_folder(folder: &Path, hints: Hints) -> Result<Source> {
    let mut found = [None, None];
    for entry in std::fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (slot, part) in found.iter_mut().zip(["vqencoder", "vqquantizer"]) {
            if name.ends_with(&format!("{part}.pth")) {
                *slot = Some(path.clone());
            }
        }
    }
    match found {
        [Some(encoder), Some(codebook)] => in_file(&encoder, Hints { codebook: Some(&codebook), ..hints }),
        _ => Err(Error::format(
            folder,
            "the folder holds no config.json with model.safetensors, and no vqencoder.pth with vqquantizer.pth",
            "name a checkpoint file, or a folder of an ESM-2, RiNALMo or Mole-BERT tokenizer model",
        )),
    }
}

fn in_file(path: &Path, hints: Hints) -> Result<Source> {
    let mut checkpoint = Checkpoint::open(path)?;
    let has = |part: &str| checkpoint.names().any(|name| name.contains(part));
    let (kind, format, naming) = if has("x_embedding1") {
        (Kind::MoleBert, "mole-bert", &names::MOLE_BERT)
    } else if has("self_attn_layer_norm") {
        (Kind::Esm2, "fair-esm", &names::FAIR_ESM)
    } else if has("transformer.blocks.") {
        (Kind::Rinalmo, "rinalmo", &names::RINALMO)
    } else {
        return Err(unknown(path, &checkpoint));
    };
    agree(path, kind, hints)?;
    if let Some(codebook) = hints.codebook {
        if kind != Kind::MoleBert {
            return Err(Error::usage("--codebook goes with the encoder of Mole-BERT's tokenizer", "leave it out"));
        }
        checkpoint.add(codebook)?;
    }
    let scope = Scope::renamed(checkpoint, naming)?;
    let network = match kind {
        Kind::Esm2 => state_dict::fair_esm(&scope, hints.heads)?,
        Kind::Rinalmo => state_dict::rinalmo(&scope, hints.heads)?,
        Kind::MoleBert => state_dict::mole_bert(&scope)?,
    };
    Ok(Source { network, scope, format, tokenizer: TokenizerFiles::default(), own: None })
}

fn unknown(path: &Path, checkpoint: &Checkpoint) -> Error {
    let first = checkpoint.names().next().unwrap_or("none");
    let (reason, help) = if checkpoint.names().any(|name| name.contains("attention.self.query")) {
        ("its configuration is missing: no config.json stands beside it", "name the whole folder of the model")
    } else if checkpoint.names().all(|name| name == "embeddings.weight") {
        ("it is a codebook alone", "name the encoder, and this file with --codebook")
    } else {
        let help = "name a checkpoint of ESM-2 (fair-esm or Hugging Face), RiNALMo (its own or multimolecule's), \
                    Mole-BERT or BioLLMNet";
        return Error::format(path, format!("its tensors are of no known network (the first is '{first}')"), help);
    };
    Error::format(path, reason, help)
}

fn agree(path: &Path, found: Kind, hints: Hints) -> Result<()> {
    match hints.kind {
        Some(said) if said != found => Err(Error::usage(
            format!("{} holds a model of the kind {}, not {}", path.display(), found.name(), said.name()),
            "leave --kind out",
        )),
        _ => Ok(()),
    }
}

fn check_heads(network: &Network, hints: Hints, path: &Path) -> Result<()> {
    let known = network.sequence().map(|sequence| sequence.encoder.n_heads);
    match (hints.heads, known) {
        (Some(given), Some(known)) if given != known => {
            Err(Error::usage(format!("--heads {given}, but {} says {known}", path.display()), "leave --heads out"))
        }
        _ => Ok(()),
    }
}
