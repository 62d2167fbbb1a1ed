//! Launching kernels.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaContext, CudaFunction, CudaModule, DriverError, result};
use cudarc::nvrtc::Ptx;

use super::{Cuda, CudaView, CudaViewMut, DeviceInfo, fault, images};
use crate::error::{Error, Result};

/// Blocks, threads of each, and the dynamic shared memory of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Blocks along x and y.
    pub blocks: [usize; 2],
    /// Threads of a block.
    pub threads: u32,
    /// Bytes.
    pub shared: usize,
}

impl Grid {
    /// A thread for four of the `n` numbers of each run.
    pub fn by_fours(n: usize, runs: usize) -> Self {
        Self { blocks: [n.div_ceil(1024), runs], threads: 256, shared: 0 }
    }
}

/// Most blocks along y that a device takes.
const MOST_Y: usize = 65_535;

/// What a kernel is passed.
pub(crate) trait Argument {
    /// Where its bytes are, laid out as the kernel declares them.
    fn bytes(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }
}
impl Argument for i32 {}
impl Argument for u32 {}
impl Argument for f32 {}
// The address is the first field.
impl<T> Argument for CudaView<'_, T> {}
impl<T> Argument for CudaViewMut<'_, T> {}

/// Kernels that have been loaded.
pub(super) struct Functions {
    context: Arc<CudaContext>,
    info: DeviceInfo,
    loaded: Mutex<Loaded>,
}

#[derive(Default)]
struct Loaded {
    /// By file.
    modules: HashMap<&'static str, Arc<CudaModule>>,
    /// By kernel, with the shared memory that each may use so far.
    functions: HashMap<String, (CudaFunction, usize)>,
}

impl Functions {
    pub fn new(context: Arc<CudaContext>, info: DeviceInfo) -> Self {
        Self { context, info, loaded: Mutex::default() }
    }

    /// `kernel` of `kernels/<file>.cu`, allowed to use `shared` bytes.
    fn get(&self, file: &'static str, kernel: &str, shared: usize) -> Result<CudaFunction> {
        /// Dynamic shared memory that a kernel may use unasked.
        const UNASKED: usize = 48 << 10;
        let fault = |error| fault::of(&self.info, &format!("loading the kernel {kernel}"), error);
        if shared > self.info.shared_bytes {
            return Err(Error::data(
                format!("{kernel} needs {shared} bytes of shared memory, {} has {}", self.info, self.info.shared_bytes),
                "use a device with more, or --device cpu",
            ));
        }
        let Loaded { modules, functions } = &mut *self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((function, allowed)) = functions.get_mut(kernel) {
            if shared > *allowed {
                allow(function, shared).map_err(fault)?;
                *allowed = shared;
            }
            return Ok(function.clone());
        }
        if !modules.contains_key(file) {
            modules.insert(file, self.load(file, kernel)?);
        }
        let function = modules[file].load_function(kernel).map_err(fault)?;
        let allowed = shared.max(UNASKED);
        if allowed > UNASKED {
            allow(&function, shared).map_err(fault)?;
        }
        functions.insert(kernel.to_owned(), (function.clone(), allowed));
        Ok(function)
    }
}

impl Functions {
    /// The module of a file: of the image that the binary has, or, where the driver is too old for that one, of what the
    /// machine's own compiler makes of the source.
    fn load(&self, file: &'static str, kernel: &str) -> Result<Arc<CudaModule>> {
        let load = |image: Vec<u8>| self.context.load_module(Ptx::from_binary(image));
        match load(images::image(file, self.info.capability)?.into_owned()) {
            Err(error) if is_unreadable(error) => match images::compiled(file, self.info.capability).map(load) {
                Ok(Ok(module)) => Ok(module),
                _ => Err(Error::data(
                    format!("{}: its driver cannot load the kernel {kernel}: {}", self.info, fault::words(error)),
                    "update NVIDIA's driver, or install the NVRTC of its CUDA version",
                )),
            },
            loaded => loaded.map_err(|error| fault::of(&self.info, &format!("loading the kernel {kernel}"), error)),
        }
    }
}

fn is_unreadable(error: DriverError) -> bool {
    use CUresult::{
        CUDA_ERROR_INVALID_IMAGE, CUDA_ERROR_INVALID_PTX, CUDA_ERROR_NO_BINARY_FOR_GPU,
        CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
    };
    matches!(
        error.0,
        CUDA_ERROR_INVALID_IMAGE
            | CUDA_ERROR_INVALID_PTX
            | CUDA_ERROR_NO_BINARY_FOR_GPU
            | CUDA_ERROR_UNSUPPORTED_PTX_VERSION
    )
}

fn allow(function: &CudaFunction, shared: usize) -> Result<(), DriverError> {
    function.set_attribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared as i32)
}

impl Cuda {
    /// Launches `kernel` of `kernels/<file>.cu`; nothing where the grid has no block. The arguments are those that the
    /// kernel declares, in number, order and type: the tests run every kernel through a driver that checks it.
    pub(crate) fn launch(
        &self,
        file: &'static str,
        kernel: &str,
        grid: Grid,
        arguments: &[&dyn Argument],
    ) -> Result<()> {
        let [x, y] = grid.blocks;
        if x == 0 || y == 0 {
            return Ok(());
        }
        if x > i32::MAX as usize || y > MOST_Y {
            return Err(Error::Shape {
                op: file,
                expected: format!("at most {} by {MOST_Y} blocks", i32::MAX),
                found: format!("{x} by {y}"),
            });
        }
        let function = self.0.functions.get(file, kernel, grid.shared)?;
        let fault = |error| self.fault(&format!("launching {kernel}"), error);
        self.0.stream.context().bind_to_thread().map_err(fault)?;
        let mut arguments: Vec<*mut c_void> = arguments.iter().map(|argument| argument.bytes()).collect();
        // SAFETY: each argument outlives the call, which copies it; views are of this device's memory, as long as the op's
        // checked shapes say, and given back in the order of the stream.
        #[allow(unsafe_code)]
        unsafe {
            result::launch_kernel(
                function.cu_function(),
                (x as u32, y as u32, 1),
                (grid.threads, 1, 1),
                grid.shared as u32,
                self.0.stream.cu_stream(),
                &mut arguments,
            )
        }
        .map_err(fault)
    }
}
