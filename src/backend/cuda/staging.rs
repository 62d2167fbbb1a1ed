//! Uploads that do not wait for the device: numbers are copied to pinned memory, and from there when their turn comes.

use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{CudaStream, HostSlice, PinnedHostSlice, result};

use super::{DeviceInfo, fault};
use crate::error::{Error, Result};

/// Pinned buffers, used in turn: those of two batches, of which each uploads less than half as many pieces. A copy waits
/// for its buffer only where the host is more than a batch ahead.
const SLOTS: usize = 32;
/// Larger uploads (weights) go from where they are; the driver then waits for what is under way.
const LARGEST: usize = 4 << 20;

pub(super) struct Staging {
    stream: Arc<CudaStream>,
    info: DeviceInfo,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    next: usize,
    pinned: [Option<PinnedHostSlice<u8>>; SLOTS],
}

impl Staging {
    pub fn new(stream: Arc<CudaStream>, info: DeviceInfo) -> Self {
        Self { stream, info, slots: Mutex::default() }
    }

    /// Copies `bytes` to device memory at `target`, which holds as many; they may change once this returns.
    pub fn upload(&self, bytes: &[u8], target: u64) -> Result<()> {
        let fault = |error| self.fault(error);
        self.stream.context().bind_to_thread().map_err(fault)?;
        if bytes.len() > LARGEST {
            return self.copy(target, bytes);
        }
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let Slots { next, pinned } = &mut *slots;
        let slot = &mut pinned[*next];
        *next = (*next + 1) % SLOTS;
        if slot.as_ref().is_none_or(|pinned| pinned.len() < bytes.len()) {
            *slot = Some(pinned_bytes(&self.stream, bytes.len().next_power_of_two()).map_err(fault)?);
        }
        let Some(pinned) = slot else { return Ok(()) };
        pinned.as_mut_slice().map_err(fault)?[..bytes.len()].copy_from_slice(bytes);
        // SAFETY: the guard records when the copy is done, and the next use of the slot waits for that.
        #[allow(unsafe_code)]
        let (staged, _until_copied) = unsafe { pinned.stream_synced_slice(&self.stream) };
        self.copy(target, &staged[..bytes.len()])
    }

    fn copy(&self, target: u64, bytes: &[u8]) -> Result<()> {
        // SAFETY: the caller's view holds as many bytes on this device; pageable memory is read before the call returns,
        // pinned memory stays until the copy is done.
        #[allow(unsafe_code)]
        let copied = unsafe { result::memcpy_htod_async(target, bytes, self.stream.cu_stream()) };
        copied.map_err(|error| self.fault(error))
    }

    fn fault(&self, error: cudarc::driver::DriverError) -> Error {
        fault::of(&self.info, "copying to the device", error)
    }
}

/// Pinned memory that the host reads and writes through its caches.
pub(super) fn pinned_bytes(
    stream: &CudaStream,
    len: usize,
) -> Result<PinnedHostSlice<u8>, cudarc::driver::DriverError> {
    // SAFETY: bytes take any value, and are written before they are read.
    #[allow(unsafe_code)]
    unsafe {
        stream.context().alloc_pinned_with_flags(len, 0)
    }
}
