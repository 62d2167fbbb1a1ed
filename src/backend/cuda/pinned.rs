//! Host memory that the device copies from and to by itself, while the host goes on.

use std::sync::Arc;

use cudarc::driver::{CudaEvent, CudaStream, DriverError, PinnedHostSlice, result};

/// Pinned memory, and the moment at which the copy that uses it is done.
///
/// cudarc's own guards record that moment only where it tracks events, which is off here: this event is ours.
pub(super) struct Pinned {
    memory: PinnedHostSlice<u8>,
    copied: CudaEvent,
    stream: Arc<CudaStream>,
}

impl Pinned {
    /// `len` bytes, read and written through the caches of the host.
    pub fn new(stream: &Arc<CudaStream>, len: usize) -> Result<Self, DriverError> {
        let context = stream.context();
        // SAFETY: bytes take any value, and are written before they are read.
        #[allow(unsafe_code)]
        let memory = unsafe { context.alloc_pinned_with_flags(len, 0) }?;
        Ok(Self { memory, copied: context.new_event(None)?, stream: Arc::clone(stream) })
    }

    /// Bytes that it holds.
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Sends `bytes`, at most [`len`](Self::len), to device memory at `target`, which holds as many.
    pub fn send(&mut self, bytes: &[u8], target: u64) -> Result<(), DriverError> {
        self.copied.synchronize()?;
        let staged = &mut self.memory.as_mut_slice()?[..bytes.len()];
        staged.copy_from_slice(bytes);
        // SAFETY: the caller's view of the device holds as many bytes; this memory stays as it is until `copied`.
        #[allow(unsafe_code)]
        unsafe { result::memcpy_htod_async(target, &*staged, self.stream.cu_stream()) }?;
        self.copied.record(&self.stream)
    }

    /// Begins to copy `n_bytes`, at most [`len`](Self::len), from device memory at `source`, which holds as many.
    pub fn receive(&mut self, source: u64, n_bytes: usize) -> Result<(), DriverError> {
        self.copied.synchronize()?;
        let target = &mut self.memory.as_mut_slice()?[..n_bytes];
        // SAFETY: the caller's view of the device holds as many bytes; nobody reads this memory until `copied`.
        #[allow(unsafe_code)]
        unsafe { result::memcpy_dtoh_async(target, source, self.stream.cu_stream()) }?;
        self.copied.record(&self.stream)
    }

    /// What has been received, once it is there.
    pub fn received(&self) -> Result<&[u8], DriverError> {
        self.copied.synchronize()?;
        self.memory.as_slice()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // The memory must not go while the device copies; an error has been or will be reported by the next call.
        let _ = self.copied.synchronize();
    }
}
