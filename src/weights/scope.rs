//! Typed taking of tensors by canonical name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::checkpoint::Checkpoint;
use super::naming::{Meaning, Naming};
use super::tensor::Tensor;
use crate::error::{Error, Result};

const GET_AGAIN: &str = "get the checkpoint again, or check that it is of the model that its configuration describes";

/// A checkpoint under canonical names, or the part of it below one prefix. Each tensor is checked where it is taken.
#[derive(Clone)]
pub struct Scope {
    names: Arc<Names>,
    /// Ends with a dot unless it is empty.
    prefix: String,
}

struct Names {
    checkpoint: Checkpoint,
    /// Where each canonical tensor is.
    places: BTreeMap<String, Block>,
    /// Tensors of the file that this kind of network never needs: what they are, and how many.
    ignored: BTreeMap<&'static str, usize>,
    taken: Mutex<BTreeSet<String>>,
}

/// Block `index` of `count` equal blocks of rows of a tensor of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    source: String,
    index: usize,
    count: usize,
}

impl Scope {
    /// The tensors of a checkpoint whose names are canonical already.
    #[must_use]
    pub fn new(checkpoint: Checkpoint) -> Self {
        let whole = |name: &str| (name.to_owned(), Block { source: name.to_owned(), index: 0, count: 1 });
        let places = checkpoint.names().map(whole).collect();
        Self::of(checkpoint, places, BTreeMap::new())
    }

    /// The tensors of a foreign checkpoint.
    ///
    /// # Errors
    /// [`Error::Format`] for a tensor that the table does not know, and for two tensors of one meaning that differ.
    pub fn renamed(checkpoint: Checkpoint, naming: &Naming) -> Result<Self> {
        let mut places: BTreeMap<String, Block> = BTreeMap::new();
        let (mut ignored, mut unknown) = (BTreeMap::new(), Vec::new());
        for source in checkpoint.names() {
            match naming.meaning(source) {
                Meaning::Ignored(what) => *ignored.entry(what).or_insert(0) += 1,
                Meaning::Unknown => unknown.push(source),
                Meaning::Canonical(names) => {
                    for (index, name) in names.iter().enumerate() {
                        let block = Block { source: source.to_owned(), index, count: names.len() };
                        if let Some(other) = places.insert(name.clone(), block.clone()) {
                            same_tensor(&checkpoint, &other, &block)?;
                        }
                    }
                }
            }
        }
        if let [first, rest @ ..] = unknown.as_slice() {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            return Err(Error::format(
                checkpoint.file_of(first),
                format!("the tensor '{first}'{more} has no place in this network"),
                "the checkpoint is of another network, or of a variant that is not known here",
            ));
        }
        Ok(Self::of(checkpoint, places, ignored))
    }

    fn of(checkpoint: Checkpoint, places: BTreeMap<String, Block>, ignored: BTreeMap<&'static str, usize>) -> Self {
        let names = Names { checkpoint, places, ignored, taken: Mutex::default() };
        Self { names: Arc::new(names), prefix: String::new() }
    }

    /// The part below `prefix`: in `scope.within("layers.0")` the tensor `layers.0.beta` is `beta`.
    #[must_use]
    pub fn within(&self, prefix: &str) -> Self {
        Self { names: Arc::clone(&self.names), prefix: format!("{}{prefix}.", self.prefix) }
    }

    /// Takes the tensor `name` of this shape, f16, bf16 or f32.
    ///
    /// # Errors
    /// [`Error::Format`] that names the file, the tensor, what was expected and what was found.
    pub fn take(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        match self.take_optional(name, shape)? {
            Some(tensor) => Ok(tensor),
            None => Err(Error::format(
                self.names.checkpoint.file_of(""),
                format!("the tensor '{}{name}' {shape:?} is missing", self.prefix),
                GET_AGAIN,
            )),
        }
    }

    /// The same for a tensor that may be absent.
    ///
    /// # Errors
    /// As [`take`](Self::take) for a tensor that is there.
    pub fn take_optional(&self, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        let found = self.look(name, shape)?;
        if found.is_some() {
            let mut taken = self.names.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.insert(format!("{}{name}", self.prefix));
        }
        Ok(found)
    }

    /// The tensor of this name and shape, without taking it; `None` where it is absent.
    ///
    /// # Errors
    /// As [`take`](Self::take) for a tensor that is there.
    pub fn look(&self, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        let whole = format!("{}{name}", self.prefix);
        let Some(block) = self.names.places.get(&whole) else { return Ok(None) };
        let found = self.shape(name).unwrap_or_default();
        if found != shape {
            let stored = if block.source == whole { String::new() } else { format!(" (here '{}')", block.source) };
            return Err(Error::format(
                self.names.checkpoint.file_of(&block.source),
                format!("the tensor '{whole}'{stored}: expected the shape {shape:?}, found {found:?}"),
                GET_AGAIN,
            ));
        }
        read(&self.names.checkpoint, block).map(Some)
    }

    /// Sizes of the axes of a tensor; `None` where it is absent.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let block = self.names.places.get(&format!("{}{name}", self.prefix))?;
        let mut shape = self.names.checkpoint.shape(&block.source)?.to_vec();
        match shape.first_mut() {
            // A tensor that cannot be cut in equal blocks keeps its shape, which fits nothing.
            Some(rows) if rows.is_multiple_of(block.count) => *rows /= block.count,
            _ => {}
        }
        Some(shape)
    }

    /// Canonical names of this part, below its prefix, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.places.keys().filter_map(|name| name.strip_prefix(self.prefix.as_str()))
    }

    /// Canonical tensors of this part that nobody took.
    #[must_use]
    pub fn unused(&self) -> Vec<String> {
        let taken = self.names.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let untaken = self.names.places.keys().filter(|name| name.starts_with(&self.prefix) && !taken.contains(*name));
        untaken.cloned().collect()
    }

    /// Tensors of the file that this kind of network never needs: what they are, and how many.
    #[must_use]
    pub fn ignored(&self) -> &BTreeMap<&'static str, usize> {
        &self.names.ignored
    }

    /// The file that holds a tensor, for messages.
    #[must_use]
    pub fn file_of(&self, name: &str) -> &Path {
        let block = self.names.places.get(&format!("{}{name}", self.prefix));
        self.names.checkpoint.file_of(block.map_or("", |block| &block.source))
    }

    /// As [`Checkpoint::check_sums`].
    ///
    /// # Errors
    /// [`Error::Format`] for a damaged file.
    pub fn check_sums(&self) -> Result<()> {
        self.names.checkpoint.check_sums()
    }

    /// Integers and bools that were saved beside the weights, by dotted path.
    #[must_use]
    pub fn settings(&self) -> &BTreeMap<String, i64> {
        self.names.checkpoint.settings()
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({}, '{}')", self.names.checkpoint.path().display(), self.prefix)
    }
}

fn read(checkpoint: &Checkpoint, block: &Block) -> Result<Tensor> {
    let tensor = checkpoint.tensor(&block.source)?;
    match tensor.shape().first() {
        Some(&rows) if block.count > 1 && rows.is_multiple_of(block.count) => {
            let rows = rows / block.count;
            Ok(tensor.rows(rows * block.index..rows * (block.index + 1)))
        }
        _ => Ok(tensor),
    }
}

/// Two tensors of one meaning must be one tensor: the frequencies that every layer of some files repeats.
fn same_tensor(checkpoint: &Checkpoint, a: &Block, b: &Block) -> Result<()> {
    let (left, right) = (read(checkpoint, a)?, read(checkpoint, b)?);
    if left.element() == right.element() && left.shape() == right.shape() && left.bytes() == right.bytes() {
        return Ok(());
    }
    Err(Error::format(
        checkpoint.file_of(&b.source),
        format!("the tensors '{}' and '{}' stand for the same and differ", a.source, b.source),
        "the checkpoint is damaged, or of a variant that is not known here",
    ))
}
