//! One part of the vectors: a safetensors file. Pooled: the tensor `emb`, `[rows, dim]`. Per residue: `values`,
//! `[ΣL, dim]`, and `offsets`, `[rows + 1]`: row `r` has the states `offsets[r]..offsets[r + 1]`.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use half::f16;
use half::slice::HalfFloatSliceExt;
use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::Metadata;

use super::{Dtype, Layout};
use crate::error::{Error, Result};
use crate::files::mapped::{map, release};

/// Tensor of a pooled part.
const POOLED: &str = "emb";
/// Tensors of a part per residue.
const VALUES: &str = "values";
const OFFSETS: &str = "offsets";
/// Bytes before the numbers: the length, and a JSON header padded with blanks, so that it can be written last.
const HEADER: usize = 256;
/// No header of ours is longer; a larger length is damage, and is never allocated.
const MOST_HEADER: u64 = 64 << 10;

/// Writes one part under its temporary name, row by row.
pub(super) struct PartWriter {
    path: PathBuf,
    file: BufWriter<File>,
    layout: Layout,
    dim: usize,
    dtype: Dtype,
    rows: usize,
    states: usize,
    /// Per residue: where each row begins among the states, and where the last one ends.
    offsets: Vec<u64>,
    halves: Vec<f16>,
}

impl PartWriter {
    pub fn create(path: PathBuf, layout: Layout, dim: usize, dtype: Dtype) -> Result<Self> {
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&[b' '; HEADER]).map_err(Error::io("write", &path))?;
        Ok(Self { path, file, layout, dim, dtype, rows: 0, states: 0, offsets: vec![0], halves: Vec::new() })
    }

    /// Vectors of width `dim` so far.
    pub fn states(&self) -> usize {
        self.states
    }

    /// Appends a row, `[dim]` or `[L, dim]`; false when it is not finite in the type of the store, and then nothing is
    /// written.
    pub fn push(&mut self, values: &[f32]) -> Result<bool> {
        let bytes: &[u8] = match self.dtype {
            Dtype::F32 if values.iter().all(|x| x.is_finite()) => bytemuck::cast_slice(values),
            Dtype::F16 => {
                self.halves.resize(values.len(), f16::ZERO);
                self.halves.convert_from_f32_slice(values);
                if !self.halves.iter().all(|x| x.is_finite()) {
                    return Ok(false);
                }
                bytemuck::cast_slice(&self.halves)
            }
            Dtype::F32 => return Ok(false),
        };
        self.file.write_all(bytes).map_err(Error::io("write", &self.path))?;
        self.rows += 1;
        self.states += values.len() / self.dim;
        if self.layout == Layout::PerResidue {
            self.offsets.push(self.states as u64);
        }
        Ok(true)
    }

    /// Writes the header; returns the number of rows.
    pub fn finish(mut self) -> Result<usize> {
        let (rows, states) = (self.rows, self.states);
        let bytes = states * self.dim * self.dtype.size();
        let mut tensors = serde_json::Map::new();
        let mut describe = |name: &str, dtype: &str, shape: &[usize], begin: usize, end: usize| {
            let tensor = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, end]});
            tensors.insert(name.to_owned(), tensor);
        };
        let dtype = self.dtype.name().to_uppercase();
        if self.layout == Layout::Pooled {
            describe(POOLED, &dtype, &[rows, self.dim], 0, bytes);
        } else {
            describe(VALUES, &dtype, &[states, self.dim], 0, bytes);
            describe(OFFSETS, "I64", &[rows + 1], bytes, bytes + 8 * (rows + 1));
            let offsets = bytemuck::cast_slice(&self.offsets);
            self.file.write_all(offsets).map_err(Error::io("write", &self.path))?;
        }
        let json = serde_json::Value::Object(tensors).to_string();
        let mut header = ((HEADER - 8) as u64).to_le_bytes().to_vec();
        header.extend(format!("{json:<width$}", width = HEADER - 8).as_bytes());
        let written = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.write_all(&header));
        written.and_then(|()| self.file.flush()).map_err(Error::io("write", &self.path))?;
        Ok(rows)
    }
}

/// One part of a store, mapped into memory.
pub trait StoredPart: Sized + Send + Sync {
    /// The layout of stores that have such parts.
    const LAYOUT: Layout;
    /// Maps the file and checks that it holds `rows` rows of states of width `dim` in `dtype`, and as many bytes.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`].
    fn open(path: &Path, rows: usize, dim: usize, dtype: Dtype) -> Result<Self>;
}

/// One vector a row.
pub struct PooledPart(States);

/// One vector for each residue of a row.
pub struct ResiduePart {
    states: States,
    /// `[rows + 1]`
    offsets: Vec<usize>,
}

/// A mapped tensor `[states, dim]`.
struct States {
    map: Mmap,
    /// Where the numbers begin.
    start: usize,
    dim: usize,
    dtype: Dtype,
}

fn damaged(path: &Path, reason: impl Into<String>) -> Error {
    Error::format(path, reason, "run 'biollmnet verify' on the store; make it again")
}

/// The header of a mapped file, and where the tensors begin.
fn read_header(path: &Path, map: &Mmap) -> Result<(usize, Metadata)> {
    let length = map.first_chunk().map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes));
    if length > MOST_HEADER {
        return Err(damaged(path, "damaged header: its length is out of range"));
    }
    let (length, metadata) =
        SafeTensors::read_metadata(map).map_err(|e| damaged(path, format!("damaged header: {e}")))?;
    Ok((8 + length, metadata))
}

impl States {
    /// The tensor `name`; `rows` of them where that is known.
    fn open(path: &Path, name: &str, rows: Option<usize>, dim: usize, dtype: Dtype) -> Result<(Self, Metadata)> {
        let map = map(path)?;
        let (begin, metadata) = read_header(path, &map)?;
        let tensor = metadata.info(name).ok_or_else(|| damaged(path, format!("it has no tensor '{name}'")))?;
        let found = (tensor.dtype.to_string().to_lowercase(), tensor.shape.as_slice());
        let states = rows.or(tensor.shape.first().copied()).unwrap_or_default();
        if found != (dtype.name().to_owned(), &[states, dim]) {
            let reason = format!(
                "tensor '{name}' is {} {:?}, the manifest says {} {:?}",
                found.0,
                found.1,
                dtype.name(),
                [states, dim]
            );
            return Err(damaged(path, reason));
        }
        let start = begin + tensor.data_offsets.0;
        if start % dtype.size() != 0 {
            return Err(damaged(path, format!("tensor '{name}' begins at byte {start}, which no number can")));
        }
        Ok((Self { map, start, dim, dtype }, metadata))
    }

    /// The numbers of states as they are stored. They exist: the callers count.
    fn bytes(&self, states: std::ops::Range<usize>) -> &[u8] {
        let width = self.dim * self.dtype.size();
        &self.map[self.start + states.start * width..][..states.len() * width]
    }

    fn copy(&self, states: std::ops::Range<usize>, out: &mut [f32]) {
        let bytes = self.bytes(states);
        match self.dtype {
            Dtype::F32 => bytemuck::cast_slice_mut(out).copy_from_slice(bytes),
            Dtype::F16 => bytemuck::cast_slice::<u8, f16>(bytes).convert_to_f32_slice(out),
        }
    }
}

impl StoredPart for PooledPart {
    const LAYOUT: Layout = Layout::Pooled;

    fn open(path: &Path, rows: usize, dim: usize, dtype: Dtype) -> Result<Self> {
        Ok(Self(States::open(path, POOLED, Some(rows), dim, dtype)?.0))
    }
}

impl PooledPart {
    /// Gives back the memory of the rows that have been looked at.
    pub(super) fn release(&self) {
        release(&self.0.map);
    }

    /// The numbers of a row as they are stored. The row exists: the callers count.
    pub(super) fn row_bytes(&self, row: usize) -> &[u8] {
        self.0.bytes(row..row + 1)
    }

    /// Copies a row as f32.
    pub(super) fn copy_row(&self, row: usize, out: &mut [f32]) {
        self.0.copy(row..row + 1, out);
    }
}

impl StoredPart for ResiduePart {
    const LAYOUT: Layout = Layout::PerResidue;

    fn open(path: &Path, rows: usize, dim: usize, dtype: Dtype) -> Result<Self> {
        let (states, metadata) = States::open(path, VALUES, None, dim, dtype)?;
        let wrong = |reason: &str| damaged(path, format!("tensor '{OFFSETS}' {reason}"));
        let tensor = metadata.info(OFFSETS).ok_or_else(|| wrong("is missing"))?;
        if tensor.dtype != safetensors::Dtype::I64 || rows.checked_add(1).is_none_or(|n| tensor.shape != [n]) {
            return Err(wrong(&format!(
                "is {} {:?}, one more than {rows} rows are expected",
                tensor.dtype, tensor.shape
            )));
        }
        let (begin, _) = read_header(path, &states.map)?;
        let bytes = &states.map[begin + tensor.data_offsets.0..begin + tensor.data_offsets.1];
        let (numbers, _) = bytes.as_chunks::<8>();
        let offsets: Vec<usize> = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes) as usize).collect();
        let n_states = metadata.info(VALUES).and_then(|tensor| tensor.shape.first().copied()).unwrap_or_default();
        let whole = offsets.first() == Some(&0) && offsets.last() == Some(&n_states);
        if !whole || !offsets.is_sorted() {
            return Err(wrong("does not rise from 0 to the number of states"));
        }
        Ok(Self { states, offsets })
    }
}

impl ResiduePart {
    /// Number of states of a row.
    pub(super) fn n_states(&self, row: usize) -> usize {
        self.offsets[row + 1] - self.offsets[row]
    }

    /// The states of a row as they are stored.
    pub(super) fn row_bytes(&self, row: usize) -> &[u8] {
        self.states.bytes(self.offsets[row]..self.offsets[row + 1])
    }

    /// Copies the states of a row as f32, `[L, dim]`.
    pub(super) fn copy_row(&self, row: usize, out: &mut [f32]) {
        self.states.copy(self.offsets[row]..self.offsets[row + 1], out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, dtype: Dtype, rows: &[[f32; 3]]) {
        let mut writer = PartWriter::create(path.to_path_buf(), Layout::Pooled, 3, dtype).unwrap();
        for row in rows {
            assert!(writer.push(row).unwrap());
        }
        assert_eq!(writer.finish().unwrap(), rows.len());
    }

    #[test]
    fn rows_come_back_in_both_types() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        let rows = [[1.0, -2.5, 0.1], [0.0, 65504.0, 3.0]];
        for dtype in [Dtype::F32, Dtype::F16] {
            write(&path, dtype, &rows);
            let part = PooledPart::open(&path, 2, 3, dtype).unwrap();
            let mut out = [0.0; 3];
            for (i, row) in rows.iter().enumerate() {
                part.copy_row(i, &mut out);
                let expected = if dtype == Dtype::F16 { row.map(|x| f16::from_f32(x).to_f32()) } else { *row };
                assert_eq!(out, expected);
            }
            // Others read the file as any safetensors file.
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(SafeTensors::deserialize(&bytes).unwrap().tensor("emb").unwrap().shape(), [2, 3]);
        }
    }

    #[test]
    fn what_is_not_finite_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        for (dtype, bad) in [(Dtype::F32, f32::NAN), (Dtype::F16, f32::INFINITY), (Dtype::F16, 70_000.0)] {
            let mut writer = PartWriter::create(folder.path().join("part"), Layout::Pooled, 3, dtype).unwrap();
            assert!(!writer.push(&[0.0, bad, 0.0]).unwrap());
            assert_eq!(writer.finish().unwrap(), 0);
        }
    }

    #[test]
    fn another_shape_and_every_cut_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        write(&path, Dtype::F32, &[[1.0; 3], [2.0; 3]]);
        for (rows, dim, dtype) in [(3, 3, Dtype::F32), (2, 2, Dtype::F32), (2, 3, Dtype::F16), (3, 2, Dtype::F32)] {
            assert!(PooledPart::open(&path, rows, dim, dtype).is_err());
        }
        let good = std::fs::read(&path).unwrap();
        for end in 0..good.len() {
            std::fs::write(&path, &good[..end]).unwrap();
            assert!(PooledPart::open(&path, 2, 3, Dtype::F32).is_err(), "cut at {end}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_it_panic(
            length in proptest::prelude::any::<u64>(),
            short in 0u64..200,
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("part");
            for length in [length, short] {
                let mut content = length.to_le_bytes().to_vec();
                content.extend(&bytes);
                std::fs::write(&path, &content).unwrap();
                proptest::prop_assert!(PooledPart::open(&path, 2, 3, Dtype::F32).is_err());
            }
        }
    }
}
