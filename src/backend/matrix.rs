//! Row-major contiguous matrices over the memory of a backend.

use super::{Element, Memory};
use crate::error::{Error, Result};

/// A matrix that is read, `[rows, cols]`.
pub struct Matrix<'a, B: Memory, T: Element> {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// The values, row after row.
    pub view: B::View<'a, T>,
}

impl<B: Memory, T: Element> Clone for Matrix<'_, B, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B: Memory, T: Element> Copy for Matrix<'_, B, T> {}

impl<'a, B: Memory, T: Element> Matrix<'a, B, T> {
    /// The first `rows · cols` elements of `buffer` as a matrix.
    pub fn of(backend: &B, buffer: &'a B::Buffer<T>, rows: usize, cols: usize) -> Self {
        Self::at(backend, buffer, 0, rows, cols)
    }
    /// `rows · cols` elements of `buffer` from `offset` as a matrix.
    pub fn at(backend: &B, buffer: &'a B::Buffer<T>, offset: usize, rows: usize, cols: usize) -> Self {
        Self { rows, cols, view: backend.view(buffer, offset..offset + rows * cols) }
    }
    /// `[rows, cols]`, for messages.
    #[must_use]
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.cols]
    }
}

/// A matrix that is written, `[rows, cols]`.
pub struct MatrixMut<'a, B: Memory, T: Element> {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// The values, row after row.
    pub view: B::ViewMut<'a, T>,
}

impl<'a, B: Memory, T: Element> MatrixMut<'a, B, T> {
    /// The first `rows · cols` elements of `buffer` as a matrix.
    pub fn of(backend: &B, buffer: &'a mut B::Buffer<T>, rows: usize, cols: usize) -> Self {
        Self::at(backend, buffer, 0, rows, cols)
    }
    /// `rows · cols` elements of `buffer` from `offset` as a matrix.
    pub fn at(backend: &B, buffer: &'a mut B::Buffer<T>, offset: usize, rows: usize, cols: usize) -> Self {
        Self { rows, cols, view: backend.view_mut(buffer, offset..offset + rows * cols) }
    }
    /// `[rows, cols]`, for messages.
    #[must_use]
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.cols]
    }
}

/// The check at an op's door: `found` must be `expected`.
///
/// # Errors
/// [`Error::Shape`] that names the op and the operand.
pub fn expect_shape<const N: usize>(
    op: &'static str,
    operand: &str,
    expected: [usize; N],
    found: [usize; N],
) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Shape { op, expected: format!("{operand} {expected:?}"), found: format!("{found:?}") })
}
