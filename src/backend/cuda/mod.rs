//! A CUDA device: its memory, its stream, and the kernels of this project on it.
//!
//! Everything runs on one stream in the order in which it was asked for, so memory is given back and used again without
//! waiting. The driver is loaded when a device is opened: the program starts on machines without one.

mod cublas;
mod fault;
mod fetch;
mod images;
mod launch;
mod memory;
mod pinned;
mod probe;
mod recordings;
mod staging;
mod tensor_cores;
mod tensor_map;
mod yardsticks;

use std::fmt;
use std::sync::Arc;

pub use cublas::Cublas;
pub use fetch::Fetch;
pub use images::{ImageKind, ImagesInfo, source_of_images};
pub(crate) use launch::{Argument, Grid};
pub use memory::{CudaBuffer, CudaView, CudaViewMut};
pub use probe::{DeviceInfo, devices};
pub use recordings::Recordings;
pub use tensor_cores::TensorCores;
pub use yardsticks::Mark;

use self::fetch::PinnedPool;
use self::launch::Functions;
use self::staging::Staging;
use crate::error::Result;

/// An open device. Clones share it.
#[derive(Clone)]
pub struct Cuda(Arc<Device>);

struct Device {
    info: DeviceInfo,
    stream: Arc<cudarc::driver::CudaStream>,
    functions: Functions,
    staging: Staging,
    pinned: Arc<PinnedPool>,
}

impl Cuda {
    /// Opens the device of this ordinal.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when there is no driver, no such device, or nothing that could run on it.
    pub fn open(ordinal: usize) -> Result<Self> {
        Self::of(probe::open(ordinal)?)
    }

    /// The same with these tensor cores: on a device of compute capability 9.0, both paths can be compared.
    ///
    /// # Errors
    /// As above, and when the device does not have them.
    pub fn open_with(ordinal: usize, tensor_cores: TensorCores) -> Result<Self> {
        let (mut info, context) = probe::open(ordinal)?;
        if tensor_cores == TensorCores::Wgmma && info.capability != TensorCores::WGMMA_CAPABILITY {
            return Err(crate::error::Error::data(
                format!("{info} has no products of warpgroups"),
                "they need compute capability 9.0: leave BIOLLMNET_TENSOR_CORES unset",
            ));
        }
        info.tensor_cores = tensor_cores;
        Self::of((info, context))
    }

    fn of((info, context): (DeviceInfo, Arc<cudarc::driver::CudaContext>)) -> Result<Self> {
        let fault = |error| fault::of(&info, "creating a stream", error);
        let stream = context.new_stream().map_err(fault)?;
        let functions = Functions::new(Arc::clone(&context), info.clone());
        let staging = Staging::new(Arc::clone(&stream), info.clone());
        let pinned = Arc::new(PinnedPool::new(Arc::clone(&stream), info.clone()));
        Ok(Self(Arc::new(Device { info, stream, functions, staging, pinned })))
    }

    /// What is known of the device.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        &self.0.info
    }

    /// Bytes of memory that are free, and that there are.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn memory(&self) -> Result<(usize, usize)> {
        self.0.stream.context().mem_get_info().map_err(|error| self.fault("asking for its memory", error))
    }

    /// Waits until all that was asked for is done.
    ///
    /// # Errors
    /// The first error of the work that was waited for.
    pub fn synchronise(&self) -> Result<()> {
        self.0.stream.synchronize().map_err(|error| self.fault("computing", error))
    }

    /// Tokens of a batch that fill the multiprocessors of this device with whole tiles of 128 rows.
    #[must_use]
    pub fn whole_wave_tokens(&self) -> usize {
        128 * self.0.info.multiprocessors
    }

    fn fault(&self, doing: &str, error: cudarc::driver::DriverError) -> crate::error::Error {
        fault::of(&self.0.info, doing, error)
    }
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.info)
    }
}
