//! PyTorch files: a pickle and one run of numbers per storage, in a zip archive or (before version 1.6) end to end.

mod archive;
mod legacy;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use rustc_hash::FxHashMap;

use super::pickle::{Pickle, TensorView};
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::files::mapped::map;

/// A file written by `torch.save`, mapped.
#[derive(Debug)]
pub struct TorchFile {
    path: PathBuf,
    bytes: Arc<Mmap>,
    contents: Contents,
}

/// Where the parts of a file lie.
#[derive(Debug, Default)]
struct Contents {
    /// The pickle of what was saved.
    object: Range<usize>,
    /// The numbers of each storage, by key.
    storages: FxHashMap<String, Range<usize>>,
    big_endian: bool,
}

impl TorchFile {
    /// True for files whose first bytes are those of `torch.save` before version 1.6.
    #[must_use]
    pub fn is_legacy(head: &[u8]) -> bool {
        head.starts_with(legacy::MAGIC)
    }

    /// Maps the file and finds its parts.
    ///
    /// # Errors
    /// [`Error::Format`] for everything else, for a file cut short, and for one whose parts are compressed; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = map(path)?;
        let contents = if Self::is_legacy(&bytes) { legacy::find(path, &bytes)? } else { archive::find(path, &bytes)? };
        Ok(Self { path: path.to_path_buf(), bytes: Arc::new(bytes), contents })
    }

    /// Compares the checksums of an archive, which reads every byte once; older files have none. `tensor_of` names the
    /// tensor of a storage, for the message.
    ///
    /// # Errors
    /// [`Error::Format`] for a damaged file.
    pub fn check_sums(&self, tensor_of: &(dyn Fn(&str) -> Option<String> + Sync)) -> Result<()> {
        if Self::is_legacy(&self.bytes) { Ok(()) } else { archive::check_sums(&self.path, &self.bytes, tensor_of) }
    }

    /// What was saved.
    ///
    /// # Errors
    /// As [`Pickle::read`].
    pub fn pickle(&self) -> Result<Pickle<'_>> {
        Pickle::read(&self.path, self.bytes.get(self.contents.object.clone()).unwrap_or_default())
    }

    /// The numbers of a tensor in f32, row-major.
    ///
    /// # Errors
    /// [`Error::Format`] when its storage is absent or of another size.
    pub fn read_tensor(&self, tensor: &TensorView) -> Result<Vec<f32>> {
        let bytes = self.gather(tensor)?;
        Ok(bytes.chunks_exact(tensor.element.size()).map(|number| tensor.element.read(number, false)).collect())
    }

    /// A tensor of floats under a name of its own: a part of the map where its numbers lie there in order, else a copy.
    ///
    /// # Errors
    /// [`Error::Format`] when its storage is absent or of another size, or when it holds no f16, bf16 or f32.
    pub fn tensor(&self, name: &str, tensor: &TensorView) -> Result<Tensor> {
        let storage = self.storage(tensor)?;
        let size = tensor.element.size();
        if tensor.is_contiguous() && !self.contents.big_endian {
            let start = storage.start + tensor.offset * size;
            let range = start..start + tensor.n_elements() * size;
            let found = Tensor::new(name, tensor.element, tensor.shape.clone(), self.bytes.clone(), range);
            if let Some(found) = found {
                return Ok(found);
            }
        }
        Tensor::copied(name, tensor.element, tensor.shape.clone(), &self.gather(tensor)?)
            .ok_or_else(|| damaged(&self.path, &format!("the tensor '{name}' holds {:?}", tensor.element)))
    }

    /// Where the storage of `tensor` lies.
    fn storage(&self, tensor: &TensorView) -> Result<Range<usize>> {
        let key = &tensor.key;
        let range = self.contents.storages.get(key);
        let range = range.ok_or_else(|| damaged(&self.path, &format!("the storage '{key}' is missing")))?;
        let expected = tensor.storage_len.checked_mul(tensor.element.size());
        if expected != Some(range.len()) || range.end > self.bytes.len() {
            let (n, size) = (tensor.storage_len, tensor.element.size());
            let found = range.len();
            return Err(damaged(&self.path, &format!("the storage '{key}' has {found} bytes, not {n} × {size}")));
        }
        Ok(range.clone())
    }

    /// The numbers of a tensor as little-endian bytes, row-major.
    fn gather(&self, tensor: &TensorView) -> Result<Vec<u8>> {
        let storage = &self.bytes[self.storage(tensor)?];
        let size = tensor.element.size();
        // The view has checked that every index lies inside the storage.
        let n = tensor.n_elements();
        let mut index = vec![0; tensor.shape.len()];
        let mut bytes = Vec::with_capacity(n * size);
        for _ in 0..n {
            let steps = index.iter().zip(&tensor.strides).map(|(i, stride)| i * stride);
            let at = (tensor.offset + steps.sum::<usize>()) * size;
            let number = storage.get(at..at + size).unwrap_or_default();
            if self.contents.big_endian {
                bytes.extend(number.iter().rev());
            } else {
                bytes.extend_from_slice(number);
            }
            for (i, &size) in index.iter_mut().zip(&tensor.shape).rev() {
                *i += 1;
                if *i < size {
                    break;
                }
                *i = 0;
            }
        }
        Ok(bytes)
    }
}

fn damaged(path: &Path, reason: &str) -> Error {
    Error::format(
        path,
        format!("is not a whole PyTorch file: {reason}"),
        "get the file again, or write it again with torch.save",
    )
}
