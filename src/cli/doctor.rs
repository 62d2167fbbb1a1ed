//! `biollmnet doctor`: what is installed, found and fast on this machine.

pub(super) mod machine;

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
    cuda: &'static str,
    quick_reading: Reading,
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
        cuda: "not part of this version: CPU only",
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
    let rows = [
        ("biollmnet", report.version.to_owned()),
        ("built for", format!("{}, {} profile, {}", build.target, build.profile, build.rustc)),
        ("processor", format!("{}, {} cores", cpu.model, cpu.cores)),
        ("features", if features.is_empty() { "none that matter here".to_owned() } else { features.join(", ") }),
        ("SIMD path", cpu.simd_path.clone()),
        ("threads", report.threads.to_string()),
        ("memory", sizes(report.memory)),
        ("temp folder", format!("{}: {}", report.temp_folder, sizes(report.temp_space))),
        ("CUDA", report.cuda.to_owned()),
        (
            "quick reading",
            format!(
                "f32 matrix product {:.0} GFLOP/s, memory copy {:.1} GB/s (read + written), {} threads",
                reading.gemm_gflops, reading.copy_gb_per_second, reading.threads
            ),
        ),
        ("", format!("a sample of {:.1} s, not a benchmark: for that run `biollmnet bench`", reading.seconds)),
    ];
    for (name, value) in rows {
        print(format!("{name:<14} {value}").trim_end())?;
    }
    Ok(())
}

fn sizes(space: Option<Space>) -> String {
    const GIB: f64 = (1u64 << 30) as f64;
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
