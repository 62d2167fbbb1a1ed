//! Parameters of every run of a cohort in the memory of a device, and what Adam remembers of each.

use std::ops::Range;

use crate::backend::{Memory, Real, Stack, StackMut};
use crate::error::Result;

/// Elements to a multiple of which each run begins: a line of 128 bytes in f32.
const STEP: usize = 32;

/// One number per parameter and run, `[runs, stride]`, each run in the layout of the network.
pub struct Parameters<B: Memory, T: Real> {
    pub(super) runs: usize,
    pub(super) stride: usize,
    pub(super) values: B::Buffer<T>,
}

impl<B: Memory, T: Real> Parameters<B, T> {
    /// Zeros for networks of `len` parameters.
    ///
    /// # Errors
    /// When the device has no memory left.
    pub fn zeros(backend: &B, runs: usize, len: usize) -> Result<Self> {
        let stride = len.next_multiple_of(STEP);
        Ok(Self { runs, stride, values: backend.zeros(runs * stride)? })
    }

    /// Parameters of one run.
    ///
    /// # Errors
    /// When the device has no memory left or the copy fails.
    pub fn uploaded(backend: &B, values: &[T]) -> Result<Self> {
        let mut parameters = Self::zeros(backend, 1, values.len())?;
        parameters.upload(backend, 0, values)?;
        Ok(parameters)
    }

    /// Sets the parameters of `run`.
    ///
    /// # Errors
    /// When the copy fails.
    pub fn upload(&mut self, backend: &B, run: usize, values: &[T]) -> Result<()> {
        let start = run * self.stride;
        backend.upload(values, backend.view_mut(&mut self.values, start..start + values.len()))
    }

    /// The `len` parameters of `run`.
    ///
    /// # Errors
    /// When the copy fails.
    pub fn download(&self, backend: &B, run: usize, len: usize) -> Result<Vec<T>> {
        let mut host = vec![T::ZERO; len];
        let start = run * self.stride;
        backend.download(backend.view(&self.values, start..start + len), &mut host)?;
        Ok(host)
    }

    /// The parameters of all runs, with what lies between them.
    ///
    /// # Errors
    /// When the copy fails.
    pub fn download_all(&self, backend: &B) -> Result<Vec<T>> {
        let mut host = vec![T::ZERO; self.runs * self.stride];
        backend.download(backend.view(&self.values, 0..self.runs * self.stride), &mut host)?;
        Ok(host)
    }

    /// Sets what [`download_all`](Self::download_all) gave; false where it was of another shape.
    ///
    /// # Errors
    /// When the copy fails.
    pub fn upload_all(&mut self, backend: &B, values: &[T]) -> Result<bool> {
        let fits = values.len() == self.runs * self.stride;
        if fits {
            backend.upload(values, backend.view_mut(&mut self.values, 0..values.len()))?;
        }
        Ok(fits)
    }

    /// Takes over the parameters of `run` from another cohort of the same shape.
    ///
    /// # Errors
    /// When the copy fails.
    pub fn copy_run(&mut self, backend: &B, from: &Self, run: usize) -> Result<()> {
        let range = run * self.stride..(run + 1) * self.stride;
        backend.copy(backend.view(&from.values, range.clone()), backend.view_mut(&mut self.values, range))
    }

    /// The matrices `[runs, rows, cols]` from `offset` of each run on.
    pub(super) fn stack(&self, backend: &B, offset: usize, rows: usize, cols: usize) -> Stack<'_, B, T> {
        Stack::at(backend, &self.values, offset, self.stride, [self.runs, rows, cols])
    }

    /// The vectors `range` of each run, to be changed.
    pub(super) fn part(&mut self, backend: &B, range: Range<usize>) -> StackMut<'_, B, T> {
        StackMut::at(backend, &mut self.values, range.start, self.stride, [self.runs, 1, range.len()])
    }
}

/// First and second moment of every parameter, zeros before the first step.
pub struct Moments<B: Memory, T: Real> {
    pub(super) first: Parameters<B, T>,
    pub(super) second: Parameters<B, T>,
}

impl<B: Memory, T: Real> Moments<B, T> {
    /// Zeros for networks of `len` parameters.
    ///
    /// # Errors
    /// When the device has no memory left.
    pub fn zeros(backend: &B, runs: usize, len: usize) -> Result<Self> {
        Ok(Self { first: Parameters::zeros(backend, runs, len)?, second: Parameters::zeros(backend, runs, len)? })
    }

    /// First and second moments, as [`Parameters::download_all`] gives them.
    ///
    /// # Errors
    /// When the copy fails.
    pub fn download_all(&self, backend: &B) -> Result<[Vec<T>; 2]> {
        Ok([self.first.download_all(backend)?, self.second.download_all(backend)?])
    }

    /// Sets what [`download_all`](Self::download_all) gave; false where it was of another shape.
    ///
    /// # Errors
    /// When the copy fails.
    pub fn upload_all(&mut self, backend: &B, [first, second]: &[Vec<T>; 2]) -> Result<bool> {
        Ok(self.first.upload_all(backend, first)? && self.second.upload_all(backend, second)?)
    }
}
