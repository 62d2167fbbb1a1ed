//! Device memory: buffers, views, copies.

use std::marker::PhantomData;
use std::ops::Range;

use cudarc::driver::{CudaSlice, DevicePtr, result};

use super::{Cuda, Fetch, Recordings};
use crate::backend::{Element, Memory, same_length};
use crate::error::Result;

/// Numbers of a row are rounded up to whole pieces of 16 bytes, those of the shortest type.
const ROW_STEP: usize = 8;
/// Rows from this width on are rounded up to whole lines of 128 bytes: over rows of 3 416 halves, which are not, a product
/// on an H100 ran at two thirds of its rate.
const WIDE: usize = 512;
const WIDE_STEP: usize = 64;
/// Rows below which launches take longer than the work: a graph launches them at once.
const RECORDED_ROWS: usize = 4096;

/// Owned device memory; none where it holds no element.
pub struct CudaBuffer<T> {
    pub(super) bytes: Option<CudaSlice<u8>>,
    start: u64,
    of: PhantomData<fn() -> T>,
}

/// Read access to device memory.
#[derive(Debug)]
#[repr(C)]
pub struct CudaView<'a, T> {
    pub(super) start: u64,
    pub(super) len: usize,
    of: PhantomData<&'a [T]>,
}

impl<T> Clone for CudaView<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for CudaView<'_, T> {}

impl<T> CudaViewMut<'_, T> {
    /// Read access to the same memory while this one is borrowed.
    pub(crate) fn shared(&self) -> CudaView<'_, T> {
        CudaView { start: self.start, len: self.len, of: PhantomData }
    }
    /// Elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl<'a, T: Element> CudaView<'a, T> {
    /// The same bytes as numbers of another type.
    pub(crate) fn cast<U: Element>(self) -> CudaView<'a, U> {
        CudaView { start: self.start, len: self.len * size_of::<T>() / size_of::<U>(), of: PhantomData }
    }
}

impl<T> CudaView<'_, T> {
    /// The view of nothing, which kernels take for an operand that is not there.
    pub(crate) fn null() -> Self {
        Self { start: 0, len: 0, of: PhantomData }
    }
}

/// Write access to device memory.
#[derive(Debug)]
#[repr(C)]
pub struct CudaViewMut<'a, T> {
    pub(super) start: u64,
    pub(super) len: usize,
    of: PhantomData<&'a mut [T]>,
}

impl Cuda {
    /// `len` elements that are not set: whatever reads them first must have written them.
    fn unset<T: Element>(&self, len: usize) -> Result<CudaBuffer<T>> {
        if len == 0 {
            return Ok(CudaBuffer { bytes: None, start: 0, of: PhantomData });
        }
        let n_bytes = len.saturating_mul(size_of::<T>());
        // SAFETY: every element type takes any bits, and callers write before they read.
        #[allow(unsafe_code)]
        let slice = unsafe { self.0.stream.alloc::<u8>(n_bytes) };
        let slice = slice.map_err(|error| self.fault(&format!("allocating {n_bytes} bytes"), error))?;
        let start = slice.device_ptr(&self.0.stream).0;
        Ok(CudaBuffer { bytes: Some(slice), start, of: PhantomData })
    }

    /// Writes zeros over `buffer`. What the caches held before is gone from them when it is larger than they are.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn clear<T: Element>(&self, buffer: &mut CudaBuffer<T>) -> Result<()> {
        let Some(bytes) = &mut buffer.bytes else { return Ok(()) };
        self.0.stream.memset_zeros(bytes).map_err(|error| self.fault("clearing memory", error))
    }
}

impl Memory for Cuda {
    type Buffer<T: Element> = CudaBuffer<T>;
    type View<'a, T: Element> = CudaView<'a, T>;
    type ViewMut<'a, T: Element> = CudaViewMut<'a, T>;
    type Fetch<T: Element> = Fetch<T>;
    type Recordings = Recordings;

    fn padded(&self, width: usize) -> usize {
        width.next_multiple_of(if width < WIDE { ROW_STEP } else { WIDE_STEP })
    }

    fn zeros<T: Element>(&self, len: usize) -> Result<CudaBuffer<T>> {
        let mut buffer = self.unset(len)?;
        self.clear(&mut buffer)?;
        Ok(buffer)
    }

    fn uploaded<T: Element>(&self, host: &[T]) -> Result<CudaBuffer<T>> {
        let mut buffer = self.unset(host.len())?;
        self.upload(host, self.view_mut(&mut buffer, 0..host.len()))?;
        Ok(buffer)
    }

    fn upload<T: Element>(&self, host: &[T], view: CudaViewMut<'_, T>) -> Result<()> {
        same_length("upload", host.len(), view.len)?;
        if host.is_empty() {
            return Ok(());
        }
        self.0.staging.upload(bytemuck::cast_slice(host), view.start)
    }

    fn download<T: Element>(&self, view: CudaView<'_, T>, host: &mut [T]) -> Result<()> {
        same_length("download", host.len(), view.len)?;
        if host.is_empty() {
            return Ok(());
        }
        let fault = |error| self.fault("copying to the host", error);
        self.0.stream.context().bind_to_thread().map_err(fault)?;
        // SAFETY: the view holds as many elements as `host` on this device, and the stream is waited for below, before
        // the borrow of `host` ends.
        #[allow(unsafe_code)]
        let copied = unsafe { result::memcpy_dtoh_async(host, view.start, self.0.stream.cu_stream()) };
        copied.and_then(|()| self.0.stream.synchronize()).map_err(fault)
    }

    fn copy<T: Element>(&self, from: CudaView<'_, T>, to: CudaViewMut<'_, T>) -> Result<()> {
        same_length("copy", from.len, to.len)?;
        if from.len == 0 {
            return Ok(());
        }
        let fault = |error| self.fault("copying on the device", error);
        self.0.stream.context().bind_to_thread().map_err(fault)?;
        let n_bytes = from.len * size_of::<T>();
        // SAFETY: both views hold as many bytes of this device's memory; the borrows keep their buffers until the copy is
        // on the stream, on which they are freed too.
        #[allow(unsafe_code)]
        let copied = unsafe { result::memcpy_dtod_async(to.start, from.start, n_bytes, self.0.stream.cu_stream()) };
        copied.map_err(fault)
    }

    fn fetch<T: Element>(&self, view: CudaView<'_, T>) -> Result<Fetch<T>> {
        self.0.pinned.fetch(view)
    }

    fn arrived<T: Element>(&self, fetch: Fetch<T>) -> Result<Vec<T>> {
        fetch.wait()
    }

    fn runs_together(&self, bytes: usize) -> Result<Option<usize>> {
        // A quarter is left to data, scoring and what else the device does.
        Ok(Some((self.memory()?.0 / 4 * 3 / bytes.max(1)).max(1)))
    }

    fn records_launches(&self, n_rows: usize) -> bool {
        n_rows <= RECORDED_ROWS
    }

    fn replay(&self, recordings: &mut Recordings, key: &[usize], work: impl FnOnce() -> Result<()>) -> Result<()> {
        if self.records_launches(key[0]) { recordings.replay(self, key, work) } else { work() }
    }

    fn view<'a, T: Element>(&self, buffer: &'a CudaBuffer<T>, range: Range<usize>) -> CudaView<'a, T> {
        let (start, len) = buffer.part(range);
        CudaView { start, len, of: PhantomData }
    }

    fn view_mut<'a, T: Element>(&self, buffer: &'a mut CudaBuffer<T>, range: Range<usize>) -> CudaViewMut<'a, T> {
        let (start, len) = buffer.part(range);
        CudaViewMut { start, len, of: PhantomData }
    }
}

impl<T: Element> CudaBuffer<T> {
    /// Address and length of a part.
    ///
    /// # Panics
    /// When the buffer does not hold it, as a slice does.
    fn part(&self, range: Range<usize>) -> (u64, usize) {
        let len = self.bytes.as_ref().map_or(0, CudaSlice::len) / size_of::<T>();
        assert!(range.start <= range.end && range.end <= len, "elements {range:?} of a buffer of {len}");
        (self.start + (range.start * size_of::<T>()) as u64, range.len())
    }
}
