//! One part of the vectors: a safetensors file with the tensor `emb`, `[rows, dim]`.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use half::f16;
use half::slice::HalfFloatSliceExt;
use memmap2::Mmap;
use safetensors::SafeTensors;

use super::Dtype;
use crate::error::{Error, Result};
use crate::files::mapped::map;

/// Name of the tensor.
const TENSOR: &str = "emb";
/// Bytes before the numbers: the length, and a JSON header padded with blanks, so that it can be written last.
const HEADER: usize = 256;
/// No header of ours is longer; a larger length is damage, and is never allocated.
const MOST_HEADER: u64 = 64 << 10;

/// Writes one part under its temporary name, row by row.
pub(super) struct PartWriter {
    path: PathBuf,
    file: BufWriter<File>,
    dim: usize,
    dtype: Dtype,
    rows: usize,
    halves: Vec<f16>,
}

impl PartWriter {
    pub fn create(path: PathBuf, dim: usize, dtype: Dtype) -> Result<Self> {
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&[b' '; HEADER]).map_err(Error::io("write", &path))?;
        Ok(Self { path, file, dim, dtype, rows: 0, halves: vec![f16::ZERO; dim] })
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Appends a vector, `[dim]`; false when it is not finite in the type of the store, and then nothing is written.
    pub fn push(&mut self, vector: &[f32]) -> Result<bool> {
        let bytes: &[u8] = match self.dtype {
            Dtype::F32 if vector.iter().all(|x| x.is_finite()) => bytemuck::cast_slice(vector),
            Dtype::F16 => {
                self.halves.convert_from_f32_slice(vector);
                if !self.halves.iter().all(|x| x.is_finite()) {
                    return Ok(false);
                }
                bytemuck::cast_slice(&self.halves)
            }
            Dtype::F32 => return Ok(false),
        };
        self.file.write_all(bytes).map_err(Error::io("write", &self.path))?;
        self.rows += 1;
        Ok(true)
    }

    /// Writes the header; returns the number of rows.
    pub fn finish(mut self) -> Result<usize> {
        let bytes = self.rows * self.dim * self.dtype.size();
        let dtype = self.dtype.name().to_uppercase();
        let json = format!(
            "{{\"{TENSOR}\":{{\"dtype\":\"{dtype}\",\"shape\":[{},{}],\"data_offsets\":[0,{bytes}]}}}}",
            self.rows, self.dim
        );
        let mut header = ((HEADER - 8) as u64).to_le_bytes().to_vec();
        header.extend(format!("{json:<width$}", width = HEADER - 8).as_bytes());
        let written = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.write_all(&header));
        written.and_then(|()| self.file.flush()).map_err(Error::io("write", &self.path))?;
        Ok(self.rows)
    }
}

/// One part, mapped into memory.
pub(super) struct MappedPart {
    map: Mmap,
    /// Where the numbers begin.
    start: usize,
    dim: usize,
    dtype: Dtype,
}

impl MappedPart {
    /// Maps the file and checks that its header says `[rows, dim]` of `dtype`, and that the file has as many bytes.
    pub fn open(path: &Path, rows: usize, dim: usize, dtype: Dtype) -> Result<Self> {
        let wrong = |reason: String| Error::format(path, reason, "run 'biollmnet verify' on the store; make it again");
        let map = map(path)?;
        let length = map.first_chunk().map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes));
        if length > MOST_HEADER {
            return Err(wrong("damaged header: its length is out of range".into()));
        }
        let (length, metadata) = SafeTensors::read_metadata(&map).map_err(|e| wrong(format!("damaged header: {e}")))?;
        let tensor = metadata.info(TENSOR).ok_or_else(|| wrong(format!("it has no tensor '{TENSOR}'")))?;
        let found = (tensor.dtype.to_string().to_lowercase(), tensor.shape.as_slice());
        if found != (dtype.name().to_owned(), &[rows, dim]) {
            return Err(wrong(format!(
                "tensor '{TENSOR}' is {} {:?}, the manifest says {} {:?}",
                found.0,
                found.1,
                dtype.name(),
                [rows, dim]
            )));
        }
        let start = 8 + length + tensor.data_offsets.0;
        if start % dtype.size() != 0 {
            return Err(wrong(format!("tensor '{TENSOR}' begins at byte {start}, which no number can")));
        }
        Ok(Self { map, start, dim, dtype })
    }

    /// The numbers of a row as they are stored. The row exists: the callers count.
    pub fn row_bytes(&self, row: usize) -> &[u8] {
        let width = self.dim * self.dtype.size();
        &self.map[self.start + row * width..][..width]
    }

    /// Copies a row as f32.
    pub fn copy_row(&self, row: usize, out: &mut [f32]) {
        let bytes = self.row_bytes(row);
        match self.dtype {
            Dtype::F32 => bytemuck::cast_slice_mut(out).copy_from_slice(bytes),
            Dtype::F16 => bytemuck::cast_slice::<u8, f16>(bytes).convert_to_f32_slice(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, dtype: Dtype, rows: &[[f32; 3]]) {
        let mut writer = PartWriter::create(path.to_path_buf(), 3, dtype).unwrap();
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
            let part = MappedPart::open(&path, 2, 3, dtype).unwrap();
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
            let mut writer = PartWriter::create(folder.path().join("part"), 3, dtype).unwrap();
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
            assert!(MappedPart::open(&path, rows, dim, dtype).is_err());
        }
        let good = std::fs::read(&path).unwrap();
        for end in 0..good.len() {
            std::fs::write(&path, &good[..end]).unwrap();
            assert!(MappedPart::open(&path, 2, 3, Dtype::F32).is_err(), "cut at {end}");
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
                proptest::prop_assert!(MappedPart::open(&path, 2, 3, Dtype::F32).is_err());
            }
        }
    }
}
