//! What the kernels of this binary come as: machine code from nvcc, embedded by `build.rs`, or sources that NVRTC
//! compiles at first use, if it is installed. What was compiled is kept in a folder.

mod kept;
mod nvrtc;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};

struct Kernel {
    /// `layer_norm` of `kernels/layer_norm.cu`.
    name: &'static str,
    source: &'static str,
    /// A fatbin; empty without nvcc.
    image: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// Asynchronous copies and the tensor cores' half precision begin here.
pub(super) const OLDEST_CAPABILITY: (i32, i32) = (8, 0);

/// How a kernel reaches the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageKind {
    /// Compiled by nvcc when this binary was built.
    Embedded,
    /// Read from the folder that `BIOLLMNET_KERNELS` names.
    Replaced,
    /// Compiled by NVRTC when a kernel is first used.
    CompiledAtFirstUse,
    /// Neither: CUDA cannot be used.
    Missing,
}

/// What `doctor` tells about the kernels.
#[derive(Debug, Serialize)]
pub struct ImagesInfo {
    /// How they reach the device.
    pub kind: ImageKind,
    /// Names of the kernel files, without `.cu`.
    pub kernels: Vec<&'static str>,
    /// Architectures of the embedded images; `compute_80` is PTX, which the driver compiles for newer devices.
    pub architectures: &'static [&'static str],
    /// Version of the nvcc of the build, or `none`.
    pub nvcc: &'static str,
    /// Version of the NVRTC of this machine; looked for only where it is needed.
    pub nvrtc: Option<String>,
    /// Where compiled kernels are kept, or those that replace the embedded ones lie.
    pub folder: Option<PathBuf>,
    /// What to do where kernels are missing.
    pub advice: Option<&'static str>,
}

const ADVICE: &str = "this binary was built without nvcc, and there is no NVRTC (libnvrtc) to compile its kernels: either \
    install NVRTC (a part of the CUDA toolkit, or the Python package nvidia-cuda-nvrtc with its lib folder in \
    LD_LIBRARY_PATH), or run scripts/fetch_nvcc.sh and cargo build --release";

/// What the kernels of this binary come as.
#[must_use]
pub fn source_of_images() -> ImagesInfo {
    let (replaced, embedded) = (replacements(), KERNELS.iter().all(|kernel| !kernel.image.is_empty()));
    let nvrtc = if embedded || replaced.is_some() { None } else { nvrtc::version() };
    let mut kernels: Vec<&str> = KERNELS.iter().map(|kernel| kernel.name).collect();
    kernels.sort_unstable();
    let (kind, folder) = match (replaced, embedded, nvrtc) {
        (Some(folder), ..) => (ImageKind::Replaced, Some(folder.into())),
        (None, true, _) => (ImageKind::Embedded, None),
        (None, false, Some(_)) => (ImageKind::CompiledAtFirstUse, kept::folder()),
        (None, false, None) => (ImageKind::Missing, kept::folder()),
    };
    ImagesInfo {
        kind,
        kernels,
        architectures: ARCHITECTURES,
        nvcc: env!("BIOLLMNET_BUILD_NVCC"),
        nvrtc: nvrtc.map(|(major, minor)| format!("{major}.{minor}")),
        folder,
        advice: (kind == ImageKind::Missing).then_some(ADVICE),
    }
}

/// The image of `kernels/<name>.cu` for a device of this compute capability, ready for `cuModuleLoadData`.
///
/// # Errors
/// [`Error::Data`] when the device is too old, or when there is neither an image nor a compiler.
pub fn image(name: &str, capability: (i32, i32)) -> Result<Cow<'static, [u8]>> {
    let kernel = kernel(name, capability)?;
    if let Some(folder) = replacements() {
        let path = Path::new(&folder).join(format!("{name}.fatbin"));
        return std::fs::read(&path).map(Cow::Owned).map_err(Error::io("read", path));
    }
    if kernel.image.is_empty() { compiled(name, capability).map(Cow::Owned) } else { Ok(Cow::Borrowed(kernel.image)) }
}

/// Refuses a device for which there is no kernel.
///
/// # Errors
/// [`Error::Data`] that says what is missing and how to get it.
pub(super) fn check() -> Result<()> {
    match source_of_images() {
        ImagesInfo { kind: ImageKind::Missing, advice, .. } => {
            Err(Error::data("there are no CUDA kernels to run", advice.unwrap_or_default()))
        }
        _ => Ok(()),
    }
}

/// A folder of fatbins or cubins, `layer_norm.fatbin`, …, that are taken in place of those of this binary: for work on
/// kernels without building the program again.
fn replacements() -> Option<std::ffi::OsString> {
    std::env::var_os("BIOLLMNET_KERNELS").filter(|folder| !folder.is_empty())
}

/// The image of `kernels/<name>.cu` by NVRTC, whether there is an embedded one or not: for a driver that is older than
/// the nvcc of the build and refuses the embedded one.
///
/// # Errors
/// [`Error::Data`] when the device is too old, or when NVRTC is absent or refuses the source.
pub fn compiled(name: &str, capability: (i32, i32)) -> Result<Vec<u8>> {
    let kernel = kernel(name, capability)?;
    let missing = || Error::data(format!("the CUDA kernel '{name}' is not there to run"), ADVICE);
    let version = nvrtc::version().ok_or_else(missing)?;
    let refused = |reason: &str| {
        Error::data(
            format!("NVRTC {}.{} cannot compile the CUDA kernel '{name}': {reason}", version.0, version.1),
            "install an NVRTC as new as the device (CUDA 12.4 or later), or use the CPU with --device cpu",
        )
    };
    let target = Target::of(capability, &nvrtc::architectures())
        .ok_or_else(|| refused(&format!("it knows no compute capability {}.{}", capability.0, capability.1)))?;
    let options = [format!("--gpu-architecture={}", target.0), "--std=c++17".to_owned()];
    let headers: String = HEADERS.iter().map(|(_, text)| *text).collect();
    let key = kept::Key::new(name, &target.0, &[&headers, kernel.source, &options.concat(), &format!("{version:?}")]);
    if let Some(image) = key.read() {
        return Ok(image);
    }
    let image = nvrtc::compile(kernel.name, kernel.source, HEADERS, &options, target.is_machine_code())
        .map_err(|reason| refused(&reason))?;
    key.write(&image);
    Ok(image)
}

fn kernel(name: &str, capability: (i32, i32)) -> Result<&'static Kernel> {
    if capability < OLDEST_CAPABILITY {
        return Err(Error::data(
            format!("the device has compute capability {}.{}; the kernels need 8.0", capability.0, capability.1),
            "use a device of the Ampere generation or newer, or the CPU with --device cpu",
        ));
    }
    KERNELS.iter().find(|kernel| kernel.name == name).ok_or_else(|| {
        Error::data(
            format!("there is no CUDA kernel '{name}'"),
            "this is a defect of the program: please report the command and this line",
        )
    })
}

/// An architecture in NVRTC's words: `sm_90a` for machine code, `compute_120` for PTX.
#[derive(Debug, PartialEq, Eq)]
struct Target(String);

impl Target {
    /// Machine code where NVRTC knows the device, otherwise PTX of the newest architecture below it.
    fn of(capability: (i32, i32), known: &[i32]) -> Option<Self> {
        let wanted = 10 * capability.0 + capability.1;
        let best = known.iter().copied().filter(|&architecture| architecture <= wanted).max()?;
        let (kind, suffix) = (if best == wanted { "sm" } else { "compute" }, if wanted == 90 { "a" } else { "" });
        (best >= 10 * OLDEST_CAPABILITY.0 + OLDEST_CAPABILITY.1).then(|| Self(format!("{kind}_{best}{suffix}")))
    }

    fn is_machine_code(&self) -> bool {
        self.0.starts_with("sm_")
    }
}

#[cfg(test)]
mod tests;
