//! A long list of numbers that is written once and then read: in memory while it is short, in a mapped temporary file
//! without a name when it is not.

use std::env::temp_dir;
use std::fs::File;
use std::io::Write;
use std::marker::PhantomData;
use std::ops::Deref;

use bytemuck::Pod;
use memmap2::Mmap;

use super::mapped::{map_open, release};
use crate::error::{Error, Result};

/// Bytes that stay in memory.
const IN_MEMORY: usize = 1 << 20;

/// A column being written.
pub struct ColumnWriter<T> {
    /// What is not in the file yet.
    rest: Vec<T>,
    file: Option<File>,
    len: usize,
}

impl<T> Default for ColumnWriter<T> {
    fn default() -> Self {
        Self { rest: Vec::new(), file: None, len: 0 }
    }
}

impl<T: Pod> ColumnWriter<T> {
    /// Numbers so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a number.
    ///
    /// # Errors
    /// [`Error::Io`] when no temporary file can be made, or it is full.
    pub fn push(&mut self, x: T) -> Result<()> {
        self.extend(std::slice::from_ref(&x))
    }

    /// Appends some numbers.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn extend(&mut self, numbers: &[T]) -> Result<()> {
        self.rest.extend_from_slice(numbers);
        self.len += numbers.len();
        if size_of_val(self.rest.as_slice()) >= IN_MEMORY { self.spill() } else { Ok(()) }
    }

    /// Ends the column.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(mut self) -> Result<Column<T>> {
        if self.file.is_some() {
            self.spill()?;
        }
        let map = self.file.as_ref().map(map_open).transpose().map_err(failed)?;
        Ok(Column { numbers: map.map_or(Numbers::Here(self.rest), |map| Numbers::Mapped(map, PhantomData)) })
    }

    /// Moves what is in memory to the file.
    fn spill(&mut self) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            slot => slot.insert(tempfile::tempfile().map_err(failed)?),
        };
        file.write_all(bytemuck::cast_slice(&self.rest)).map_err(failed)?;
        self.rest.clear();
        Ok(())
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::io("use a temporary file in", temp_dir())(error)
}

/// A finished column, a slice to its readers.
pub struct Column<T> {
    numbers: Numbers<T>,
}

enum Numbers<T> {
    Here(Vec<T>),
    /// Nobody else can reach the file: it has no name.
    Mapped(Mmap, PhantomData<T>),
}

impl<T: Pod> Column<T> {
    /// Gives back the memory of what has been looked at; it is read again when it is looked at again.
    pub fn release(&self) {
        if let Numbers::Mapped(map, _) = &self.numbers {
            release(map);
        }
    }
}

impl<T> From<Vec<T>> for Column<T> {
    fn from(numbers: Vec<T>) -> Self {
        Self { numbers: Numbers::Here(numbers) }
    }
}

impl<T: Pod> Deref for Column<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.numbers {
            Numbers::Here(numbers) => numbers,
            Numbers::Mapped(map, _) => bytemuck::cast_slice(map),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_columns_come_back() {
        for n in [0, 1, 1000, IN_MEMORY / 8, IN_MEMORY / 8 + 1, IN_MEMORY] {
            let mut writer = ColumnWriter::default();
            for i in 0..n as u64 / 2 {
                writer.push(i * i).unwrap();
            }
            let rest: Vec<u64> = (n as u64 / 2..n as u64).map(|i| i * i).collect();
            writer.extend(&rest).unwrap();
            assert_eq!((writer.len(), writer.is_empty()), (n, n == 0));
            let column = writer.finish().unwrap();
            assert_eq!(matches!(column.numbers, Numbers::Mapped(..)), n >= IN_MEMORY / 8);
            let same = |column: &Column<u64>| column.len() == n && (0..n).all(|i| column[i] == (i * i) as u64);
            assert!(same(&column));
            column.release();
            assert!(same(&column));
        }
    }
}
