//! Matrices of one shape that lie at equal distances: one for each run of a cohort, the trainings that advance together.

use std::ops::Range;

use super::{Element, Matrix, MatrixMut, Memory};

/// Matrices that are read, `[runs, rows, cols]`; each is row-major and contiguous.
pub struct Stack<'a, B: Memory, T: Element> {
    /// Matrices, at least one.
    pub runs: usize,
    /// Rows of each.
    pub rows: usize,
    /// Columns of each.
    pub cols: usize,
    /// Elements from the first of a matrix to the first of the next.
    pub stride: usize,
    /// From the first element of the first matrix to the last element of the last.
    pub view: B::View<'a, T>,
}

impl<B: Memory, T: Element> Clone for Stack<'_, B, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B: Memory, T: Element> Copy for Stack<'_, B, T> {}

impl<'a, B: Memory, T: Element> Stack<'a, B, T> {
    /// The matrices `[runs, rows, cols]` that begin at `offset`, `offset + stride`, … of `buffer`.
    pub fn at(backend: &B, buffer: &'a B::Buffer<T>, offset: usize, stride: usize, shape: [usize; 3]) -> Self {
        let [runs, rows, cols] = shape;
        Self { runs, rows, cols, stride, view: backend.view(buffer, span(offset, stride, shape)) }
    }
    /// `[runs, rows, cols]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        [self.runs, self.rows, self.cols]
    }
}

impl<'a, B: Memory, T: Element> From<Matrix<'a, B, T>> for Stack<'a, B, T> {
    fn from(matrix: Matrix<'a, B, T>) -> Self {
        let Matrix { rows, cols, view } = matrix;
        Self { runs: 1, rows, cols, stride: rows * cols, view }
    }
}

/// Matrices that are written, `[runs, rows, cols]`; each is row-major and contiguous.
pub struct StackMut<'a, B: Memory, T: Element> {
    /// Matrices, at least one.
    pub runs: usize,
    /// Rows of each.
    pub rows: usize,
    /// Columns of each.
    pub cols: usize,
    /// Elements from the first of a matrix to the first of the next.
    pub stride: usize,
    /// From the first element of the first matrix to the last element of the last.
    pub view: B::ViewMut<'a, T>,
}

impl<'a, B: Memory, T: Element> StackMut<'a, B, T> {
    /// The matrices `[runs, rows, cols]` that begin at `offset`, `offset + stride`, … of `buffer`.
    pub fn at(backend: &B, buffer: &'a mut B::Buffer<T>, offset: usize, stride: usize, shape: [usize; 3]) -> Self {
        let [runs, rows, cols] = shape;
        Self { runs, rows, cols, stride, view: backend.view_mut(buffer, span(offset, stride, shape)) }
    }
    /// `[runs, rows, cols]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        [self.runs, self.rows, self.cols]
    }
}

impl<'a, B: Memory, T: Element> From<MatrixMut<'a, B, T>> for StackMut<'a, B, T> {
    fn from(matrix: MatrixMut<'a, B, T>) -> Self {
        let MatrixMut { rows, cols, view } = matrix;
        Self { runs: 1, rows, cols, stride: rows * cols, view }
    }
}

/// The elements from the first of the first matrix to the last of the last.
fn span(offset: usize, stride: usize, [runs, rows, cols]: [usize; 3]) -> Range<usize> {
    offset..offset + runs.saturating_sub(1) * stride + rows * cols
}
