//! Uploads that do not wait for the device: numbers are copied to pinned memory, and from there when their turn comes.

use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{CudaStream, DriverError, result};

use super::pinned::Pinned;
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
    pinned: [Option<Pinned>; SLOTS],
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
            // SAFETY: the caller's view holds as many bytes on this device; the driver reads pageable memory before it
            // returns.
            #[allow(unsafe_code)]
            let copied = unsafe { result::memcpy_htod_async(target, bytes, self.stream.cu_stream()) };
            return copied.map_err(fault);
        }
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let Slots { next, pinned } = &mut *slots;
        let slot = &mut pinned[*next];
        *next = (*next + 1) % SLOTS;
        match slot {
            Some(pinned) if pinned.len() >= bytes.len() => pinned.send(bytes, target),
            _ => {
                let len = bytes.len().next_power_of_two();
                slot.insert(Pinned::new(&self.stream, len).map_err(fault)?).send(bytes, target)
            }
        }
        .map_err(fault)
    }

    fn fault(&self, error: DriverError) -> Error {
        fault::of(&self.info, "copying to the device", error)
    }
}
