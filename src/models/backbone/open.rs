//! Opening a backbone folder, own or foreign.

use std::path::{Path, PathBuf};

use super::config::{BackboneConfig, Network, SCHEMA, SourceNote};
use super::digest::{WeightsDigest, scan};
use super::layout::{Expected, tensors};
use super::source::{Hints, Source, find};
use crate::error::{Error, Result};
use crate::weights::{Scope, Tensor};

/// A backbone that was opened: its description, and its weights, mapped.
#[derive(Debug, Clone)]
pub struct Backbone {
    /// What it is.
    pub config: BackboneConfig,
    /// Files that say what its tokens are, where they stand beside the weights.
    pub tokenizer: TokenizerFiles,
    scope: Scope,
}

/// Files of a tokenizer beside the weights.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenizerFiles {
    /// `tokenizer.json`.
    pub json: Option<PathBuf>,
    /// `vocab.txt`: one token a line, in the order of their ids.
    pub vocab: Option<PathBuf>,
}

impl TokenizerFiles {
    pub(super) fn beside(folder: &Path) -> Self {
        let file = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        Self { json: file("tokenizer.json"), vocab: file("vocab.txt") }
    }

    /// Those that are there.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.json.iter().chain(&self.vocab).map(PathBuf::as_path)
    }
}

impl Backbone {
    /// Opens a folder of this program, or in place one of Hugging Face's ESM-2 or of multimolecule's `RiNALMo`.
    ///
    /// Every tensor is found and its shape is compared; a tensor that has no place in the network is a fault. In a
    /// foreign folder the numbers are checked too (no NaN, no infinity) and digested. In an own folder `import` has done so;
    /// there every byte is compared with the digests written with it. Both read every byte once: about a second for 3 GB
    /// that are cached, else as long as the disk takes.
    ///
    /// # Errors
    /// [`Error::Format`] that names the file and the tensor or the key; [`Error::Io`]; [`Error::Interrupted`].
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_file() {
            return Err(Error::format(
                path,
                "a backbone is a folder, not a file",
                "make one of a checkpoint file: biollmnet import FILE --out DIR",
            ));
        }
        let Source { network, scope, format, tokenizer, own } = find(path, Hints::default())?;
        let found = find_tensors(&network, &scope)?;
        let config = match own {
            Some(config) => config,
            None if matches!(network, Network::MoleBert(_)) => {
                let help = "make a folder of its two files: biollmnet import DIR --out FOLDER";
                return Err(Error::format(path, "a folder of PyTorch files is not used in place", help));
            }
            None => BackboneConfig {
                schema: SCHEMA,
                name: network.name(),
                weights_digest: digest_of(&network, &scope, &found)?,
                network,
                source: SourceNote { format: format.to_owned(), name: file_name(path) },
            },
        };
        Ok(Self { config, tokenizer, scope })
    }

    /// The weights under their canonical names.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// The last part of a path, whatever dots it ends with.
pub(super) fn file_name(path: &Path) -> String {
    let whole = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    whole.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Every tensor of the network that the checkpoint has, in the order of the layout.
///
/// # Errors
/// [`Error::Format`] for a tensor that is missing or of another shape, and for one that has no place in the network.
pub(super) fn find_tensors(network: &Network, scope: &Scope) -> Result<Vec<(Expected, Tensor)>> {
    let mut found = Vec::new();
    for expected in tensors(network) {
        match scope.look(&expected.name, &expected.shape)? {
            Some(tensor) => found.push((expected, tensor)),
            None if expected.is_optional() => {}
            // Asked for again, for the words of the refusal.
            None => drop(scope.take(&expected.name, &expected.shape)?),
        }
    }
    let mut known: Vec<&str> = found.iter().map(|(expected, _)| expected.name.as_str()).collect();
    known.sort_unstable();
    match scope.names().find(|name| known.binary_search(name).is_err()) {
        None => Ok(found),
        Some(extra) => Err(Error::format(
            scope.file_of(extra),
            format!("the tensor '{extra}' has no place in a network of {} layers of this kind", network.n_layers()),
            "get the checkpoint and its configuration again: they are not of one model",
        )),
    }
}

/// Checks that all weights are whole and finite, and digests them.
fn digest_of(network: &Network, scope: &Scope, found: &[(Expected, Tensor)]) -> Result<String> {
    scope.check_sums()?;
    let named: Vec<_> = found
        .iter()
        .map(|(expected, tensor)| (scope.file_of(&expected.name), expected.name.as_str(), tensor.clone()))
        .collect();
    let mut digest = WeightsDigest::new(network)?;
    for ((expected, tensor), numbers) in found.iter().zip(scan(&named)?) {
        digest.add(&expected.name, tensor.element().name(), &expected.shape, &numbers);
    }
    Ok(digest.finish())
}
