//! PyTorch files: a zip archive with a pickle, and one file of numbers per storage.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use zip::{CompressionMethod, ZipArchive};

use super::pickle::TensorView;
use crate::error::{Error, Result};

/// A file written by `torch.save` (version 1.6 or later), open for reading.
#[derive(Debug)]
pub struct TorchFile {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    /// Name of the folder inside the archive, with its slash.
    prefix: String,
    big_endian: bool,
}

impl TorchFile {
    /// Opens the archive and finds its pickle.
    ///
    /// # Errors
    /// [`Error::Format`] for everything else; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("read", path))?;
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|e| wrong(path, &e.to_string()))?;
        let prefix = archive
            .file_names()
            .find_map(|name| name.strip_suffix("data.pkl"))
            .filter(|prefix| prefix.is_empty() || prefix.ends_with('/'))
            .ok_or_else(|| wrong(path, "it has no data.pkl"))?
            .to_owned();
        let mut opened = Self { path: path.to_path_buf(), archive, prefix, big_endian: false };
        opened.big_endian = opened.archive.index_for_name(&opened.name("byteorder")).is_some()
            && opened.entry("byteorder")?.starts_with(b"big");
        Ok(opened)
    }

    /// The bytes of the pickle, for [`Pickle::read`](super::pickle::Pickle::read).
    ///
    /// # Errors
    /// [`Error::Format`], [`Error::Io`].
    pub fn pickle(&mut self) -> Result<Vec<u8>> {
        self.entry("data.pkl")
    }

    /// The numbers of a tensor, row-major.
    ///
    /// # Errors
    /// [`Error::Format`] when its storage is absent or cut short.
    pub fn read_tensor(&mut self, tensor: &TensorView) -> Result<Vec<f32>> {
        let name = format!("data/{}", tensor.key);
        let bytes = self.entry(&name)?;
        let size = tensor.element.size();
        if Some(bytes.len()) != tensor.storage_len.checked_mul(size) {
            return Err(wrong(&self.path, &format!("storage '{name}' has {} bytes, not {}", bytes.len(), size)));
        }
        // The view has checked that every index lies inside the storage.
        let n: usize = tensor.shape.iter().product();
        let mut index = vec![0; tensor.shape.len()];
        let mut values = Vec::with_capacity(n);
        for _ in 0..n {
            let steps = index.iter().zip(&tensor.strides).map(|(i, stride)| i * stride);
            let at = (tensor.offset + steps.sum::<usize>()) * size;
            values.push(tensor.element.read(bytes.get(at..).unwrap_or_default(), self.big_endian));
            for (i, &size) in index.iter_mut().zip(&tensor.shape).rev() {
                *i += 1;
                if *i < size {
                    break;
                }
                *i = 0;
            }
        }
        Ok(values)
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The whole content of one file of the archive. PyTorch stores uncompressed; anything else could be a zip bomb.
    fn entry(&mut self, name: &str) -> Result<Vec<u8>> {
        let whole = self.name(name);
        let path = &self.path;
        let entry = self.archive.by_name(&whole).map_err(|e| wrong(path, &format!("'{name}': {e}")))?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(wrong(path, &format!("'{name}' is compressed or encrypted")));
        }
        let size = entry.compressed_size();
        let mut bytes = Vec::new();
        entry.take(size).read_to_end(&mut bytes).map_err(|e| wrong(path, &format!("'{name}': {e}")))?;
        Ok(bytes)
    }
}

fn wrong(path: &Path, reason: &str) -> Error {
    Error::format(
        path,
        format!("is not a whole PyTorch file: {reason}"),
        "write it again with torch.save of PyTorch 1.6 or later",
    )
}
