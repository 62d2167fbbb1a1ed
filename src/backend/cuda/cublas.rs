//! The half-precision matrix product of NVIDIA's library where it is installed: a yardstick, which nothing here computes
//! with.

use cudarc::cublas::{result, sys};
use half::f16;

use super::{Cuda, CudaView, CudaViewMut};
use crate::error::{Error, Result};
use crate::files::foreign::quietly;

/// The library, opened for a device.
pub struct Cublas {
    cuda: Cuda,
    handle: sys::cublasHandle_t,
}

impl Cublas {
    /// `None` where the library is not on this machine, or does not work with this device.
    #[must_use]
    pub fn open(cuda: &Cuda) -> Option<Self> {
        // SAFETY: it only asks the system's loader whether the library can be loaded.
        #[allow(unsafe_code)]
        let present = unsafe { sys::is_culib_present() };
        // A library that lacks a symbol is answered by a panic.
        if present { quietly(|| Self::connect(cuda)).flatten() } else { None }
    }

    fn connect(cuda: &Cuda) -> Option<Self> {
        cuda.0.stream.context().bind_to_thread().ok()?;
        let cublas = Self { cuda: cuda.clone(), handle: result::create_handle().ok()? };
        // SAFETY: the handle has just been made, and the stream lives as long as the device that is held beside it.
        #[allow(unsafe_code)]
        let set = unsafe { result::set_stream(cublas.handle, cuda.0.stream.cu_stream().cast()) };
        set.ok().map(|()| cublas)
    }

    /// `c = a·bᵀ` of square matrices `[n, n]`, products summed in f32; as in a linear layer both are read along their
    /// rows.
    ///
    /// # Errors
    /// When a view does not hold `n²` numbers; what the library reports.
    pub fn product(
        &self,
        n: usize,
        a: CudaView<'_, f16>,
        b: CudaView<'_, f16>,
        c: &CudaViewMut<'_, f16>,
    ) -> Result<()> {
        if [a.len, b.len, c.len] != [n * n; 3] {
            return Err(Error::Shape {
                op: "cublas",
                expected: format!("three matrices of {n} by {n}"),
                found: format!("{} and {} and {} numbers", a.len, b.len, c.len),
            });
        }
        let (one, zero, size, half) = (1f32, 0f32, n as i32, sys::cudaDataType::CUDA_R_16F);
        let fault = |error| self.cuda.fault("a product of cuBLAS", error);
        self.cuda.0.stream.context().bind_to_thread().map_err(fault)?;
        // SAFETY: the views hold n² halves each on this device; the factors are read before the call returns. The library
        // counts columns first, in which the product of rows is that of a transposed first matrix.
        #[allow(unsafe_code)]
        let done = unsafe {
            result::gemm_ex(
                self.handle,
                sys::cublasOperation_t::CUBLAS_OP_T,
                sys::cublasOperation_t::CUBLAS_OP_N,
                size,
                size,
                size,
                (&raw const one).cast(),
                b.start as *const _,
                half,
                size,
                a.start as *const _,
                half,
                size,
                (&raw const zero).cast(),
                c.start as *mut _,
                half,
                size,
                sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
                sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        };
        done.map_err(|error| {
            Error::data(format!("{}: cuBLAS says {error}", self.cuda.info()), "take its library out of the search path")
        })
    }
}

impl Drop for Cublas {
    fn drop(&mut self) {
        // SAFETY: the handle was made once and is not used any more.
        #[allow(unsafe_code)]
        let _ = unsafe { result::destroy_handle(self.handle) };
    }
}
