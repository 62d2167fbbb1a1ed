//! Looking for devices without disturbing a machine that has none.

use std::fmt;
use std::sync::Arc;

use cudarc::driver::sys::{self, CUdevice_attribute_enum as Attribute};
use cudarc::driver::{CudaContext, DriverError};
use serde::Serialize;

use super::{TensorCores, fault, images};
use crate::error::{Error, Result};
use crate::files::foreign::quietly;

/// What is known of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// Its place among the visible devices.
    pub ordinal: usize,
    /// Its name.
    pub name: String,
    /// Compute capability, major and minor.
    pub capability: (i32, i32),
    /// What multiplies halves.
    pub tensor_cores: TensorCores,
    /// Multiprocessors.
    pub multiprocessors: usize,
    /// Most shared memory of a block, in bytes.
    pub shared_bytes: usize,
    /// Bytes of the second-level cache.
    pub l2_bytes: usize,
    /// Bytes of memory.
    pub memory: usize,
    /// The newest CUDA that its driver knows: 1000·major + 10·minor.
    pub driver: i32,
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cuda:{} ({}, {})", self.ordinal, self.name, self.tensor_cores)
    }
}

/// Every device of this machine.
///
/// # Errors
/// [`Error::Data`] that says what is missing: the driver's library, a driver that works, a device.
pub fn devices() -> Result<Vec<DeviceInfo>> {
    (0..count()?).map(|ordinal| Ok(connect(ordinal)?.0)).collect()
}

/// Opens a device that the kernels can run on.
pub(super) fn open(ordinal: usize) -> Result<(DeviceInfo, Arc<CudaContext>)> {
    let n = count()?;
    if ordinal >= n {
        return Err(Error::data(
            format!("device cuda:{ordinal} was asked for, and this machine has {n}, counted from 0"),
            "choose another ordinal, --device auto or --device cpu; CUDA_VISIBLE_DEVICES hides devices",
        ));
    }
    let (info, context) = connect(ordinal)?;
    if info.capability < images::OLDEST_CAPABILITY {
        let (major, minor) = info.capability;
        return Err(Error::data(
            format!("{info} has compute capability {major}.{minor}, and the kernels need 8.0 or later"),
            "use a device of the Ampere generation or later, or --device cpu",
        ));
    }
    images::check()?;
    TensorCores::check_environment()?;
    Ok((info, context))
}

fn count() -> Result<usize> {
    let none = |what: &str, help: &str| Err(Error::data(format!("no CUDA device can be used: {what}"), help));
    let install = "install NVIDIA's driver, or choose --device cpu; 'biollmnet doctor' tells what is here";
    // SAFETY: it only asks the system's loader whether the driver's library can be loaded.
    #[allow(unsafe_code)]
    let present = unsafe { sys::is_culib_present() };
    if !present {
        return none("the driver's library (libcuda) is not on this machine", install);
    }
    // An old driver lacks symbols that cudarc asks for, which it answers by a panic: caught, and not printed.
    match quietly(CudaContext::device_count) {
        Some(Ok(n)) if n > 0 => Ok(n as usize),
        Some(Ok(_)) => {
            none("the driver works and sees no device", "check CUDA_VISIBLE_DEVICES, or choose --device cpu")
        }
        Some(Err(DriverError(sys::CUresult::CUDA_ERROR_NO_DEVICE))) => {
            none("the driver sees no device", "check CUDA_VISIBLE_DEVICES, or choose --device cpu")
        }
        Some(Err(error)) => none(&format!("the driver says: {}", fault::words(error)), install),
        None => none("the driver is too old for this program", "update NVIDIA's driver (CUDA 12 or later)"),
    }
}

fn connect(ordinal: usize) -> Result<(DeviceInfo, Arc<CudaContext>)> {
    let failed = |what: String| Error::data(format!("device cuda:{ordinal} cannot be used: {what}"), "choose another");
    let context = match quietly(|| CudaContext::new(ordinal)) {
        Some(Ok(context)) => context,
        Some(Err(error)) => return Err(failed(fault::words(error))),
        None => return Err(failed("its driver is too old for this program".to_owned())),
    };
    let info = quietly(|| describe(ordinal, &context))
        .ok_or_else(|| failed("its driver is too old for this program".to_owned()))?
        .map_err(|error| failed(fault::words(error)))?;
    // SAFETY: everything runs on one stream, in order; nothing relies on events between streams.
    #[allow(unsafe_code)]
    unsafe {
        context.disable_event_tracking();
    }
    keep_freed_memory(&context);
    Ok((info, context))
}

/// Lets the driver keep what is given back for the next allocation: otherwise every wait returns it to the system, and
/// the small buffers of each batch are mapped anew. A driver that cannot is slower, nothing else.
fn keep_freed_memory(context: &CudaContext) {
    let set = || {
        let (mut pool, mut threshold) = (std::ptr::null_mut(), u64::MAX);
        let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        // SAFETY: the first call writes the handle that the second one reads, which also reads one u64.
        #[allow(unsafe_code)]
        unsafe {
            let found = sys::cuDeviceGetDefaultMemPool(&raw mut pool, context.cu_device());
            if found == sys::CUresult::CUDA_SUCCESS {
                let _ = sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut threshold).cast());
            }
        }
    };
    if context.has_async_alloc() {
        let _ = quietly(set);
    }
}

fn describe(ordinal: usize, context: &CudaContext) -> Result<DeviceInfo, DriverError> {
    let attribute = |attribute| context.attribute(attribute).map(|n| n as usize);
    let mut driver = 0;
    // SAFETY: writes one integer.
    #[allow(unsafe_code)]
    unsafe { sys::cuDriverGetVersion(&raw mut driver) }.result()?;
    let capability = context.compute_capability()?;
    Ok(DeviceInfo {
        ordinal,
        name: context.name()?,
        capability,
        tensor_cores: TensorCores::of(capability),
        multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        shared_bytes: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?,
        l2_bytes: attribute(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?,
        memory: context.total_mem()?,
        driver,
    })
}
