//! What a device is measured with: copies within it, and its own clock.

use cudarc::driver::{CudaEvent, sys};

use super::{Cuda, CudaBuffer};
use crate::backend::{Element, same_length};
use crate::error::Result;

/// A point in the order of the work, at which the device notes the time.
pub struct Mark(CudaEvent);

impl Cuda {
    /// Copies `from` over `to` within the device.
    ///
    /// # Errors
    /// When the lengths differ; what the driver reports.
    pub fn copy<T: Element>(&self, from: &CudaBuffer<T>, to: &mut CudaBuffer<T>) -> Result<()> {
        let (Some(from), Some(to)) = (&from.bytes, &mut to.bytes) else { return Ok(()) };
        same_length("copy", from.len() / size_of::<T>(), to.len() / size_of::<T>())?;
        self.0.stream.memcpy_dtod(from, to).map_err(|error| self.fault("copying within the device", error))
    }

    /// Notes the time when all that was asked for so far is done.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn mark(&self) -> Result<Mark> {
        let flags = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
        self.0.stream.record_event(flags).map(Mark).map_err(|error| self.fault("recording an event", error))
    }

    /// Seconds between two marks, once the device has come by both.
    ///
    /// # Errors
    /// The first error of the work that was waited for.
    pub fn seconds_between(&self, from: &Mark, to: &Mark) -> Result<f64> {
        let milliseconds = from.0.elapsed_ms(&to.0).map_err(|error| self.fault("computing", error))?;
        Ok(f64::from(milliseconds) / 1e3)
    }
}
