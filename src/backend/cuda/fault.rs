//! What a driver reports, in words of this program.

use cudarc::driver::DriverError;
use cudarc::driver::sys::CUresult;

use super::DeviceInfo;
use crate::error::Error;

/// What the driver says, with its name for it.
pub(super) fn words(error: DriverError) -> String {
    let name = format!("{:?}", error.0);
    match error.error_string() {
        Ok(text) => format!("{} ({name})", text.to_string_lossy()),
        Err(_) => name,
    }
}

/// The error of this program for `error`, which came while `doing` something on the device.
pub(super) fn of(info: &DeviceInfo, doing: &str, error: DriverError) -> Error {
    use CUresult::{
        CUDA_ERROR_DEVICE_UNAVAILABLE, CUDA_ERROR_ECC_UNCORRECTABLE, CUDA_ERROR_HARDWARE_STACK_ERROR,
        CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_ERROR_LAUNCH_FAILED, CUDA_ERROR_LAUNCH_TIMEOUT, CUDA_ERROR_MISALIGNED_ADDRESS,
        CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_SYSTEM_NOT_READY, CUDA_ERROR_UNKNOWN,
    };
    let what = format!("{doing} failed: {}", words(error));
    match error.0 {
        CUDA_ERROR_OUT_OF_MEMORY => Error::DeviceMemory { device: info.to_string(), doing: doing.to_owned() },
        // After these the context is gone: nothing that lies on the device can be read.
        CUDA_ERROR_DEVICE_UNAVAILABLE
        | CUDA_ERROR_ECC_UNCORRECTABLE
        | CUDA_ERROR_HARDWARE_STACK_ERROR
        | CUDA_ERROR_ILLEGAL_ADDRESS
        | CUDA_ERROR_LAUNCH_FAILED
        | CUDA_ERROR_LAUNCH_TIMEOUT
        | CUDA_ERROR_MISALIGNED_ADDRESS
        | CUDA_ERROR_SYSTEM_NOT_READY
        | CUDA_ERROR_UNKNOWN => Error::DeviceLost { device: info.to_string(), what },
        _ => Error::data(
            format!("{info}: {what}"),
            "this is a defect of the program: please report the command and this line",
        ),
    }
}
