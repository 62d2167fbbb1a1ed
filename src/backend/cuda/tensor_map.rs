//! Matrices as the copying unit of compute capability 9.0 takes them: `CUtensorMap`, passed to kernels by value.

use std::ffi::c_void;

use cudarc::driver::sys::{
    self, CUtensorMapDataType, CUtensorMapFloatOOBfill, CUtensorMapInterleave, CUtensorMapL2promotion,
    CUtensorMapSwizzle,
};

use super::{Argument, Cuda, CudaView};
use crate::backend::Element;
use crate::error::{Error, Result};
use crate::files::foreign::quietly;

/// A matrix in device memory, and the boxes in which it is copied to and from shared memory.
#[repr(transparent)]
pub(crate) struct TensorMap(sys::CUtensorMap);

impl Argument for TensorMap {}

impl Cuda {
    /// The row-major matrix `[rows, cols]` at the start of `view`, in boxes of `box_rows` rows of 128 bytes each, swizzled
    /// over these 128 bytes. Outside of the matrix a box is 0, and is not stored.
    ///
    /// # Errors
    /// When the view is shorter than the matrix, or the driver refuses it: rows are whole pieces of 16 bytes.
    pub(crate) fn tensor_map<T: Element>(
        &self,
        view: CudaView<'_, T>,
        [rows, cols]: [usize; 2],
        box_rows: usize,
    ) -> Result<TensorMap> {
        if view.len < rows * cols {
            return Err(Error::Shape {
                op: "tensor_map",
                expected: format!("{rows} rows of {cols}"),
                found: format!("{} numbers", view.len),
            });
        }
        let kind = match size_of::<T>() {
            1 => CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_UINT8,
            _ => CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
        };
        let (size, pitch) = ([cols as u64, rows as u64], [(cols * size_of::<T>()) as u64]);
        let (boxes, steps) = ([(128 / size_of::<T>()) as u32, box_rows as u32], [1, 1]);
        let mut map = TensorMap(sys::CUtensorMap { opaque: [0; 16] });
        // SAFETY: the call reads two sizes, a pitch, two sides of a box and two steps, writes the map, and keeps none of
        // them; it does not touch the matrix.
        #[allow(unsafe_code)]
        let encode = || unsafe {
            sys::cuTensorMapEncodeTiled(
                &raw mut map.0,
                kind,
                2,
                view.start as *mut c_void,
                size.as_ptr(),
                pitch.as_ptr(),
                boxes.as_ptr(),
                steps.as_ptr(),
                CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
                CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
                CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
            )
        };
        let encoded = quietly(encode).ok_or_else(|| {
            Error::data(
                format!("{}: its driver is too old for kernels of compute capability 9.0", self.info()),
                "update NVIDIA's driver (CUDA 12 or later), or set BIOLLMNET_TENSOR_CORES=mma",
            )
        })?;
        encoded.result().map_err(|error| self.fault(&format!("describing a matrix [{rows}, {cols}]"), error))?;
        Ok(map)
    }
}
