//! Where numbers live and how ops reach them: memory, element types, matrices.
//!
//! Matrices are row-major and contiguous. There are no strides and no broadcasting: an op that needs another
//! arrangement says so in its contract.

mod cpu;
pub mod cuda;
mod e4m3;
mod element;
mod isa;
mod matrix;
mod stack;

use std::ops::Range;

pub use cpu::Cpu;
pub use cuda::Cuda;
pub use e4m3::E4m3;
pub use element::{Activation, Element, Real};
pub use isa::Isa;
pub use matrix::{Matrix, MatrixMut, expect_shape};
pub use stack::{Stack, StackMut};

use crate::error::{Error, Result};

/// Memory of one device: buffers that are allocated once, and views that ops read and write.
pub trait Memory: Sized {
    /// Owned memory of `len` elements.
    type Buffer<T: Element>: Send + Sync;
    /// Read access to a part of a buffer.
    type View<'a, T: Element>: Copy;
    /// Write access to a part of a buffer.
    type ViewMut<'a, T: Element>;
    /// Numbers on their way to the host.
    type Fetch<T: Element>: Send + Sync;
    /// Work that was recorded to be run again, see [`replay`](Self::replay).
    type Recordings: Default + Send + Sync;

    /// Numbers that a row of `width` takes on this device: `width`, or more where its accesses want whole pieces. What
    /// pads a row is zero.
    fn padded(&self, width: usize) -> usize {
        width
    }
    /// A buffer of zeros.
    ///
    /// # Errors
    /// When the device has no memory left.
    fn zeros<T: Element>(&self, len: usize) -> Result<Self::Buffer<T>>;
    /// Copies `host` into `view` of the same length.
    ///
    /// # Errors
    /// When the lengths differ or the copy fails.
    fn upload<T: Element>(&self, host: &[T], view: Self::ViewMut<'_, T>) -> Result<()>;
    /// A buffer of these numbers.
    ///
    /// # Errors
    /// When the device has no memory left or the copy fails.
    fn uploaded<T: Element>(&self, host: &[T]) -> Result<Self::Buffer<T>> {
        let mut buffer = self.zeros(host.len())?;
        self.upload(host, self.view_mut(&mut buffer, 0..host.len()))?;
        Ok(buffer)
    }
    /// Copies `view` into `host` of the same length.
    ///
    /// # Errors
    /// When the lengths differ or the copy fails.
    fn download<T: Element>(&self, view: Self::View<'_, T>, host: &mut [T]) -> Result<()>;
    /// Copies `from` into `to` of the same length.
    ///
    /// # Errors
    /// When the lengths differ or the copy fails.
    fn copy<T: Element>(&self, from: Self::View<'_, T>, to: Self::ViewMut<'_, T>) -> Result<()>;
    /// Begins to copy `view` to the host, and does not wait for it where the device can go on meanwhile.
    ///
    /// # Errors
    /// When the host has no memory left or the copy fails.
    fn fetch<T: Element>(&self, view: Self::View<'_, T>) -> Result<Self::Fetch<T>>;
    /// Waits for what [`fetch`](Self::fetch) began.
    ///
    /// # Errors
    /// When the copy, or the work that made the numbers, failed.
    fn arrived<T: Element>(&self, fetch: Self::Fetch<T>) -> Result<Vec<T>>;
    /// Runs of so many bytes each that this device trains together, at least 1. `None` where runs share nothing: each is a
    /// cohort of its own, and cohorts run side by side.
    ///
    /// # Errors
    /// What the device reports.
    fn runs_together(&self, bytes: usize) -> Result<Option<usize>> {
        let _ = bytes;
        Ok(None)
    }
    /// Whether the launches of a batch of so many rows are worth recording, see [`replay`](Self::replay).
    fn records_launches(&self, n_rows: usize) -> bool {
        let _ = n_rows;
        false
    }
    /// Does `work`, which launches the same ops on the same buffers whenever `key` is the same. A device whose launches
    /// cost time may record them and run the recording from then on. `recordings` are to be dropped when a buffer is.
    ///
    /// # Errors
    /// Those of `work`; what the device reports.
    fn replay(
        &self,
        recordings: &mut Self::Recordings,
        key: &[usize],
        work: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let _ = (recordings, key);
        work()
    }
    /// Read access to `range` of `buffer`.
    fn view<'a, T: Element>(&self, buffer: &'a Self::Buffer<T>, range: Range<usize>) -> Self::View<'a, T>;
    /// Write access to `range` of `buffer`.
    fn view_mut<'a, T: Element>(&self, buffer: &'a mut Self::Buffer<T>, range: Range<usize>) -> Self::ViewMut<'a, T>;
}

/// The check before a copy: as many elements are read as are written.
fn same_length(op: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Shape { op, expected: format!("{expected} elements"), found: format!("{found}") })
}
