//! The CPU: buffers are vectors, views are slices.

use std::ops::Range;

use super::{Element, Isa, Memory, Stack, StackMut, same_length};
use crate::error::Result;

/// The CPU with a number of threads per op and an instruction set.
///
/// One thread where many trainings run side by side, all threads where one training runs alone.
/// Results do not depend on the number of threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpu {
    /// Threads that one op may use, at least 1.
    pub threads: usize,
    /// Instruction set of the kernels.
    pub isa: Isa,
}

impl Cpu {
    /// One thread per op.
    #[must_use]
    pub fn single() -> Self {
        Self::with_threads(1)
    }
    /// At most `threads` threads per op, on the fastest instruction set.
    #[must_use]
    pub fn with_threads(threads: usize) -> Self {
        Self { threads: threads.max(1), isa: Isa::detect() }
    }
    /// All threads of the pool for each op.
    #[must_use]
    pub fn all_threads() -> Self {
        Self::with_threads(rayon::current_num_threads())
    }
}

impl Memory for Cpu {
    type Buffer<T: Element> = Vec<T>;
    type View<'a, T: Element> = &'a [T];
    type ViewMut<'a, T: Element> = &'a mut [T];
    type Fetch<T: Element> = Vec<T>;
    type Recordings = ();

    fn zeros<T: Element>(&self, len: usize) -> Result<Vec<T>> {
        Ok(vec![T::zeroed(); len])
    }
    fn upload<T: Element>(&self, host: &[T], view: &mut [T]) -> Result<()> {
        same_length("upload", host.len(), view.len())?;
        view.copy_from_slice(host);
        Ok(())
    }
    fn download<T: Element>(&self, view: &[T], host: &mut [T]) -> Result<()> {
        same_length("download", host.len(), view.len())?;
        host.copy_from_slice(view);
        Ok(())
    }
    fn copy<T: Element>(&self, from: &[T], to: &mut [T]) -> Result<()> {
        same_length("copy", from.len(), to.len())?;
        to.copy_from_slice(from);
        Ok(())
    }
    fn fetch<T: Element>(&self, view: &[T]) -> Result<Vec<T>> {
        Ok(view.to_vec())
    }
    fn arrived<T: Element>(&self, fetch: Vec<T>) -> Result<Vec<T>> {
        Ok(fetch)
    }
    fn view<'a, T: Element>(&self, buffer: &'a Vec<T>, range: Range<usize>) -> &'a [T] {
        &buffer[range]
    }
    fn view_mut<'a, T: Element>(&self, buffer: &'a mut Vec<T>, range: Range<usize>) -> &'a mut [T] {
        &mut buffer[range]
    }
}

impl<'a, T: Element> Stack<'a, Cpu, T> {
    /// The elements of the matrix of `run`.
    pub(crate) fn matrix(&self, run: usize) -> &'a [T] {
        &self.view[run * self.stride..][..self.rows * self.cols]
    }
}

impl<T: Element> StackMut<'_, Cpu, T> {
    /// The elements of the matrix of `run`.
    pub(crate) fn matrix(&mut self, run: usize) -> &mut [T] {
        &mut self.view[run * self.stride..][..self.rows * self.cols]
    }
}
