//! `biollmnet doctor`: what is installed, found and fast on this machine.

pub(super) mod machine;

use std::path::Path;

use biollmnet::backend::cuda::{self, DeviceInfo, ImageKind, ImagesInfo};
use biollmnet::error::Result;
use biollmnet::files::space::{Space, space_of};
use clap::Args;
use serde::Serialize;

use self::machine::Processor;
use super::output::{print, print_json};
use super::reading::Reading;
use super::{Context, Outcome};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {}

/// How this binary was built; `build.rs` fills it in.
#[derive(Debug, Serialize)]
struct Build {
    target: &'static str,
    profile: &'static str,
    rustc: &'static str,
}

const BUILD: Build = Build {
    target: env!("BIOLLMNET_BUILD_TARGET"),
    profile: env!("BIOLLMNET_BUILD_PROFILE"),
    rustc: env!("BIOLLMNET_BUILD_RUSTC"),
};

/// Everything that `doctor` tells. Sizes are bytes; what the system does not tell is absent.
#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    build: Build,
    cpu: Processor,
    threads: usize,
    memory: Option<Space>,
    temp_folder: String,
    temp_space: Option<Space>,
    cuda: Cuda,
    quick_reading: Reading,
}

/// What there is of CUDA.
#[derive(Debug, Serialize)]
struct Cuda {
    devices: Vec<DeviceInfo>,
    /// Why there is none, and what to do.
    missing: Option<String>,
    kernels: ImagesInfo,
}

impl Cuda {
    fn of_this_machine() -> Self {
        let (devices, missing) = match cuda::devices() {
            Ok(devices) => (devices, None),
            Err(reason) => (Vec::new(), Some(format!("{reason}: {}", reason.help()))),
        };
        Self { devices, missing, kernels: cuda::source_of_images() }
    }

    /// A line for each device and one for the kernels.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let device = |device: &DeviceInfo| {
            let (major, minor) = device.capability;
            format!(
                "{device}: compute capability {major}.{minor}, {} multiprocessors, {:.1} GiB, driver for CUDA {}.{}",
                device.multiprocessors,
                device.memory as f64 / GIB,
                device.driver / 1000,
                device.driver % 1000 / 10
            )
        };
        let devices = self.devices.iter().map(|info| ("CUDA device", device(info)));
        let missing = self.missing.iter().map(|reason| ("CUDA device", reason.clone()));
        let kernels = match self.kernels.kind {
            ImageKind::Embedded => {
                let images = self.kernels.architectures.join(", ");
                format!("{} files by nvcc {} for {images}", self.kernels.kernels.len(), self.kernels.nvcc)
            }
            ImageKind::Replaced => {
                let folder = self.kernels.folder.as_deref().unwrap_or_else(|| Path::new("")).display();
                format!("{} files of {folder} (BIOLLMNET_KERNELS)", self.kernels.kernels.len())
            }
            ImageKind::CompiledAtFirstUse => format!(
                "{} files, compiled at first use by NVRTC {}",
                self.kernels.kernels.len(),
                self.kernels.nvrtc.as_deref().unwrap_or("of this machine")
            ),
            ImageKind::Missing => format!("missing: {}", self.kernels.advice.unwrap_or_default()),
        };
        devices.chain(missing).chain([("CUDA kernels", kernels)]).collect()
    }
}

/// Looks around, measures for half a second, prints.
pub fn run(_args: &DoctorArgs, context: &Context) -> Result<Outcome> {
    let temp = std::env::temp_dir();
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        build: BUILD,
        cpu: Processor::of_this_machine(),
        threads: context.threads,
        memory: machine::memory(),
        temp_folder: temp.display().to_string(),
        temp_space: space_of(&temp),
        cuda: Cuda::of_this_machine(),
        quick_reading: Reading::take()?,
    };
    if context.json {
        print_json(&report)?;
    } else {
        print_table(&report)?;
    }
    Ok(Outcome::Done)
}

fn print_table(report: &Report) -> Result<()> {
    let Report { build, cpu, quick_reading: reading, .. } = report;
    let features: Vec<String> =
        cpu.features.iter().map(|(name, found)| format!("{name} {}", if *found { "yes" } else { "no" })).collect();
    let rows = vec![
        ("biollmnet", report.version.to_owned()),
        ("built for", format!("{}, {} profile, {}", build.target, build.profile, build.rustc)),
        ("processor", format!("{}, {} cores", cpu.model, cpu.cores)),
        ("features", if features.is_empty() { "none that matter here".to_owned() } else { features.join(", ") }),
        ("SIMD path", cpu.simd_path.clone()),
        ("threads", report.threads.to_string()),
        ("memory", sizes(report.memory)),
        ("temp folder", format!("{}: {}", report.temp_folder, sizes(report.temp_space))),
    ];
    let reading_rows = [
        (
            "quick reading",
            format!(
                "f32 matrix product {:.0} GFLOP/s, memory copy {:.1} GB/s (read + written), {} threads",
                reading.gemm_gflops, reading.copy_gb_per_second, reading.threads
            ),
        ),
        ("", format!("a sample of {:.1} s, not a benchmark: for that run `biollmnet bench`", reading.seconds)),
    ];
    for (name, value) in rows.into_iter().chain(report.cuda.rows()).chain(reading_rows) {
        print(format!("{name:<14} {value}").trim_end())?;
    }
    Ok(())
}

const GIB: f64 = (1u64 << 30) as f64;

fn sizes(space: Option<Space>) -> String {
    space.map_or_else(
        || "unknown".to_owned(),
        |s| format!("{:.1} GiB free of {:.1} GiB", s.free as f64 / GIB, s.total as f64 / GIB),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_is_known() {
        assert_ne!(BUILD.target, "unknown");
        assert!(BUILD.rustc.starts_with("rustc "), "{}", BUILD.rustc);
    }

    #[test]
    fn sizes_are_in_gibibytes() {
        assert_eq!(sizes(Some(Space { total: 8 << 30, free: 3 << 29 })), "1.5 GiB free of 8.0 GiB");
        assert_eq!(sizes(None), "unknown");
    }
}
