//! The tensors of a checkpoint by name, wherever they lie: safetensors or PyTorch, one file or several.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use super::elements::Element;
use super::pickle::{TensorView, View};
use super::safetensors_file;
use super::tensor::Tensor;
use super::torch_file::TorchFile;
use crate::error::{Error, Result};
use crate::files::mapped::map;
use crate::files::whole;

/// Files of a model folder, best first; an index names several files.
const MODEL_FILES: [(&str, bool); 4] = [
    ("model.safetensors", false),
    ("model.safetensors.index.json", true),
    ("pytorch_model.bin", false),
    ("pytorch_model.bin.index.json", true),
];
/// Where the weights may stand in what was saved; the first that holds a tensor is taken.
const STATE_DICTS: [&str; 4] = ["model", "state_dict", "model_state_dict", "gnn"];
/// Dicts within dicts beside the weights are read to this depth.
const DEEPEST_SETTING: usize = 4;
/// No checkpoint has more settings; a pickle that nests without end has.
const MOST_SETTINGS: usize = 10_000;
/// An index of a model has about 100 bytes for each tensor.
const MOST_INDEX: u64 = 64 << 20;

/// The tensors of a checkpoint: mapped, nothing is read before it is asked for.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    files: Vec<(PathBuf, Content)>,
    tensors: BTreeMap<String, Stored>,
    settings: BTreeMap<String, i64>,
}

#[derive(Debug)]
enum Content {
    Safetensors(Arc<Mmap>),
    Torch(TorchFile),
}

/// One tensor and its place.
#[derive(Debug)]
struct Stored {
    file: usize,
    element: Option<Element>,
    /// Type, for messages.
    dtype: String,
    shape: Vec<usize>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Range(Range<usize>),
    Storage(TensorView),
    Memory(Tensor),
}

impl Checkpoint {
    /// Opens a file, or the model of a folder. What a file is, its first bytes say.
    ///
    /// # Errors
    /// [`Error::Format`] for a damaged file, for a pickle that asks for more than tensors and containers, and for a
    /// folder without a model; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let mut checkpoint =
            Self { path: path.to_path_buf(), files: vec![], tensors: BTreeMap::new(), settings: BTreeMap::new() };
        if !std::fs::metadata(path).map_err(Error::io("read", path))?.is_dir() {
            checkpoint.add(path)?;
            return Ok(checkpoint);
        }
        let found = MODEL_FILES.iter().find(|(name, _)| path.join(name).exists());
        let (name, is_index) = found.ok_or_else(|| {
            Error::format(
                path,
                "the folder holds no model.safetensors and no pytorch_model.bin",
                "name a checkpoint file, or a folder with config.json and model.safetensors",
            )
        })?;
        if *is_index {
            for shard in shards(&path.join(name))? {
                checkpoint.add(&path.join(shard))?;
            }
        } else {
            checkpoint.add(&path.join(name))?;
        }
        Ok(checkpoint)
    }

    /// Tensors that are in memory; `name` stands for a file in messages. Of two tensors of one name the later counts.
    #[must_use]
    pub fn of_tensors(name: &str, tensors: impl IntoIterator<Item = Tensor>) -> Self {
        let stored = |tensor: Tensor| {
            let (element, shape) = (tensor.element(), tensor.shape().to_vec());
            let name = tensor.name().to_owned();
            let dtype = element.name().to_owned();
            (name, Stored { file: 0, element: Some(element), dtype, shape, place: Place::Memory(tensor) })
        };
        let tensors = tensors.into_iter().map(stored).collect();
        Self { path: PathBuf::from(name), files: vec![], tensors, settings: BTreeMap::new() }
    }

    /// Adds the tensors of one more file.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), and [`Error::Format`] for a tensor that is there already.
    pub fn add(&mut self, path: &Path) -> Result<()> {
        let bytes = map(path)?;
        let torch = bytes.starts_with(b"PK\x03\x04") || TorchFile::is_legacy(&bytes);
        let stored = if torch {
            let file = TorchFile::open(path)?;
            let stored = self.read_torch(path, &file)?;
            self.files.push((path.to_path_buf(), Content::Torch(file)));
            stored
        } else {
            let entries = safetensors_file::parse(path, &bytes)?;
            self.files.push((path.to_path_buf(), Content::Safetensors(Arc::new(bytes))));
            let file = self.files.len() - 1;
            let stored = entries.into_iter().map(|entry| {
                let element = Element::from_name(&entry.dtype);
                let place = Place::Range(entry.range);
                (entry.name, Stored { file, element, dtype: entry.dtype, shape: entry.shape, place })
            });
            stored.collect()
        };
        for (name, tensor) in stored {
            if self.tensors.contains_key(&name) {
                let reason = format!("the tensor '{name}' is in another file of this model too");
                return Err(Error::format(path, reason, "get the files of one model, and no others"));
            }
            self.tensors.insert(name, tensor);
        }
        Ok(())
    }

    fn read_torch(&mut self, path: &Path, file: &TorchFile) -> Result<Vec<(String, Stored)>> {
        let pickle = file.pickle()?;
        let root = pickle.root();
        let inner = STATE_DICTS.iter().filter_map(|key| root.get(key));
        let Some(state) = [root].into_iter().chain(inner).find(|&dict| holds_tensor(dict)) else {
            return Err(Error::format(
                path,
                format!("it holds a {} without tensors, not the weights of a model", root.kind()),
                "save the weights: torch.save(model.state_dict(), FILE)",
            ));
        };
        settings(root, "", DEEPEST_SETTING, &mut self.settings);
        let mut stored = Vec::new();
        for (key, value) in state.entries().into_iter().flatten().filter(|(_, value)| value.is_tensor()) {
            let name = key.as_str().unwrap_or_default();
            let view = value.as_tensor().ok_or_else(|| {
                let reason = format!("damaged: the tensor '{name}' reaches beyond its storage");
                Error::format(path, reason, "get the file again, or write it again with torch.save")
            })?;
            stored.push((
                name.to_owned(),
                Stored {
                    file: self.files.len(),
                    element: Some(view.element),
                    dtype: view.element.name().to_owned(),
                    shape: view.shape.clone(),
                    place: Place::Storage(view),
                },
            ));
        }
        Ok(stored)
    }

    /// Compares the checksums of PyTorch's archives, which reads every byte once; other files have none of their own.
    ///
    /// # Errors
    /// [`Error::Format`] for a damaged file.
    pub fn check_sums(&self) -> Result<()> {
        self.files.iter().enumerate().try_for_each(|(i, (_, content))| match content {
            Content::Torch(file) => file.check_sums(&|key| self.tensor_of(i, key)),
            Content::Safetensors(_) => Ok(()),
        })
    }

    /// A tensor of the storage `key` of file `i`.
    fn tensor_of(&self, i: usize, key: &str) -> Option<String> {
        let of = |stored: &Stored| stored.file == i && matches!(&stored.place, Place::Storage(view) if view.key == key);
        self.tensors.iter().find(|(_, stored)| of(stored)).map(|(name, _)| name.clone())
    }

    /// The file or folder as it was named.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Sizes of the axes of a tensor; `None` where there is no such tensor.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|stored| stored.shape.as_slice())
    }

    /// The file that holds a tensor; the checkpoint itself where there is no such tensor.
    #[must_use]
    pub fn file_of(&self, name: &str) -> &Path {
        let file = self.tensors.get(name).and_then(|stored| self.files.get(stored.file));
        match (file, self.files.as_slice()) {
            (Some((path, _)), _) | (None, [(path, _)]) => path,
            _ => &self.path,
        }
    }

    /// Integers and bools that were saved beside the weights, by dotted path: `cfg.model.encoder_layers`.
    #[must_use]
    pub fn settings(&self) -> &BTreeMap<String, i64> {
        &self.settings
    }

    /// One tensor. Nothing is copied where its numbers lie in order and aligned.
    ///
    /// # Errors
    /// [`Error::Format`] when it is not there, is of another type than f16, bf16 or f32, or its numbers are not.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let wrong = |reason: String, help: &str| Error::format(self.file_of(name), reason, help);
        let stored = self.tensors.get(name);
        let stored = stored.ok_or_else(|| {
            wrong(format!("the tensor '{name}' is missing"), "get or make the whole checkpoint again")
        })?;
        if let Place::Memory(tensor) = &stored.place {
            return Ok(tensor.clone());
        }
        let (Some(element @ (Element::F16 | Element::Bf16 | Element::F32)), Some((_, content))) =
            (stored.element, self.files.get(stored.file))
        else {
            return Err(wrong(
                format!("the tensor '{name}' has the type {}, not F16, BF16 or F32", stored.dtype),
                "convert the checkpoint to one of these types",
            ));
        };
        match (content, &stored.place) {
            (Content::Safetensors(bytes), Place::Range(range)) => {
                let mapped = Tensor::new(name, element, stored.shape.clone(), bytes.clone(), range.clone());
                // A writer that does not align: the numbers are copied to where they can be read.
                let copied = || {
                    Tensor::copied(name, element, stored.shape.clone(), bytes.get(range.clone()).unwrap_or_default())
                };
                mapped.or_else(copied).ok_or_else(|| wrong(format!("the tensor '{name}' is cut short"), ""))
            }
            (Content::Torch(file), Place::Storage(view)) => file.tensor(name, view),
            _ => Err(wrong(format!("the tensor '{name}' is missing"), "")),
        }
    }
}

fn holds_tensor(dict: View) -> bool {
    dict.entries().is_some_and(|mut entries| entries.any(|(key, value)| value.is_tensor() && key.as_str().is_some()))
}

/// Adds the integers and bools of `dict` and of the dicts within it.
fn settings(dict: View, prefix: &str, depth: usize, into: &mut BTreeMap<String, i64>) {
    for (key, value) in dict.entries().into_iter().flatten().take(MOST_SETTINGS) {
        let Some(key) = key.as_str() else { continue };
        if into.len() >= MOST_SETTINGS {
            return;
        }
        let path = format!("{prefix}{key}");
        match value.as_int().or_else(|| value.as_bool().map(i64::from)) {
            Some(number) => {
                into.insert(path, number);
            }
            None if depth > 0 => settings(value, &format!("{path}."), depth - 1, into),
            None => {}
        }
    }
}

/// The files that an index names, each once.
fn shards(index: &Path) -> Result<Vec<String>> {
    let wrong = |reason: String| Error::format(index, reason, "get the whole folder again");
    let bytes = whole::read(index, MOST_INDEX)?;
    let index: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|e| wrong(format!("not the index of a model: {e}")))?;
    let map = index.get("weight_map").and_then(serde_json::Value::as_object);
    let map = map.ok_or_else(|| wrong("it has no weight_map".to_owned()))?;
    let mut shards = Vec::with_capacity(map.len());
    for (tensor, shard) in map {
        let shard = shard.as_str().unwrap_or_default();
        // The shards lie beside the index, nowhere else.
        if shard.is_empty() || Path::new(shard).file_name().is_none_or(|name| name != shard) {
            return Err(wrong(format!("the tensor '{tensor}' is in a file outside the folder: '{shard}'")));
        }
        shards.push(shard.to_owned());
    }
    shards.sort_unstable();
    shards.dedup();
    Ok(shards)
}
