//! Downloads that do not stop the device: into pinned memory, read when they have arrived.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{CudaStream, DriverError};

use super::pinned::Pinned;
use super::{CudaView, DeviceInfo, fault};
use crate::backend::Element;
use crate::error::{Error, Result};

/// Pinned buffers that wait to be used again: the driver takes longer to make one than a batch takes to compute.
pub(super) struct PinnedPool {
    stream: Arc<CudaStream>,
    info: DeviceInfo,
    idle: Mutex<Vec<Pinned>>,
}

/// Numbers on their way to the host.
pub struct Fetch<T> {
    pool: Arc<PinnedPool>,
    pinned: Option<Pinned>,
    len: usize,
    of: PhantomData<fn() -> T>,
}

impl PinnedPool {
    pub fn new(stream: Arc<CudaStream>, info: DeviceInfo) -> Self {
        Self { stream, info, idle: Mutex::default() }
    }

    pub fn fetch<T: Element>(self: &Arc<Self>, view: CudaView<'_, T>) -> Result<Fetch<T>> {
        let n_bytes = view.len * size_of::<T>();
        let mut fetch = Fetch { pool: Arc::clone(self), pinned: None, len: view.len, of: PhantomData };
        if n_bytes == 0 {
            return Ok(fetch);
        }
        let mut pinned = self.take(n_bytes)?;
        pinned.receive(view.start, n_bytes).map_err(|error| self.fault(error))?;
        fetch.pinned = Some(pinned);
        Ok(fetch)
    }

    /// An idle buffer of `n_bytes` or more, else a new one.
    fn take(&self, n_bytes: usize) -> Result<Pinned> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fit) = idle.iter().position(|pinned| pinned.len() >= n_bytes) {
            return Ok(idle.swap_remove(fit));
        }
        // Smaller ones are of smaller batches: the new one takes the place of one of them.
        idle.pop();
        self.stream.context().bind_to_thread().map_err(|error| self.fault(error))?;
        Pinned::new(&self.stream, n_bytes.next_power_of_two()).map_err(|error| self.fault(error))
    }

    fn fault(&self, error: DriverError) -> Error {
        fault::of(&self.info, "copying to the host", error)
    }
}

impl<T: Element> Fetch<T> {
    /// The numbers, once they are there.
    pub(super) fn wait(mut self) -> Result<Vec<T>> {
        let Some(pinned) = self.pinned.take() else { return Ok(Vec::new()) };
        let bytes = pinned.received().map_err(|error| self.pool.fault(error))?;
        let numbers = bytemuck::pod_collect_to_vec(&bytes[..self.len * size_of::<T>()]);
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(pinned);
        Ok(numbers)
    }
}
