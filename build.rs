//! Tells the binary how it was built, for `biollmnet doctor`, and puts the kernels into it.
//!
//! Where nvcc is found, each `kernels/*.cu` becomes one fatbin; the sources are embedded always, for NVRTC at run time.
//! CUDA is never needed for a build. These variables steer it:
//! `BIOLLMNET_NVCC` the compiler, or `none`; without it `CUDA_HOME/bin`, `.cuda/bin` and the search path are looked at;
//! `BIOLLMNET_REQUIRE_NVCC=1` makes a build without nvcc, or with a kernel that does not compile, fail.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

/// Below it there is no `--compress-mode`.
const OLDEST_NVCC: (u32, u32) = (12, 4);
/// PTX and the machine code that is made of it, where nvcc knows them. Code for 10.0 and 12.0 saves Blackwell the seconds
/// in which the driver would compile the PTX of 8.0.
const TARGETS: [(&str, &[&str]); 4] = [
    ("compute_80", &["sm_80", "sm_86", "sm_89", "compute_80"]),
    ("compute_90a", &["sm_90a"]),
    ("compute_100", &["sm_100"]),
    ("compute_120", &["sm_120"]),
];
/// The target of kernels that include `hopper.cuh`.
const HOPPER: &str = "compute_90a";
const FLAGS: [&str; 6] =
    ["-std=c++17", "-O3", "-fatbin", "-Xptxas=-v", "--compress-mode=size", "-allow-unsupported-compiler"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for (name, source) in [("BIOLLMNET_BUILD_TARGET", "TARGET"), ("BIOLLMNET_BUILD_PROFILE", "PROFILE")] {
        println!("cargo::rustc-env={name}={}", env::var(source).unwrap_or_else(|_| "unknown".to_owned()));
    }
    println!("cargo::rustc-env=BIOLLMNET_BUILD_RUSTC={}", rustc_version().unwrap_or_else(|| "unknown".to_owned()));

    let nvcc = Nvcc::find();
    let version = nvcc.as_ref().map_or("none", |nvcc| nvcc.version.as_str());
    println!("cargo::rustc-env=BIOLLMNET_BUILD_NVCC={version}");
    embed_kernels(nvcc.as_ref());
}

/// The first line of `rustc --version`; a build does not fail for want of it.
fn rustc_version() -> Option<String> {
    let output = Command::new(env::var_os("RUSTC")?).arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.lines().next()?.to_owned())
}

// ---- The compiler ----

struct Nvcc {
    path: PathBuf,
    /// Such as `13.0.88`.
    version: String,
    /// Those of [`TARGETS`] that it knows.
    targets: Vec<(&'static str, &'static [&'static str])>,
}

impl Nvcc {
    fn find() -> Option<Self> {
        for variable in ["BIOLLMNET_NVCC", "BIOLLMNET_REQUIRE_NVCC", "CUDA_HOME"] {
            println!("cargo::rerun-if-env-changed={variable}");
        }
        let named = env::var("BIOLLMNET_NVCC").ok().filter(|named| !named.is_empty());
        let found = match &named {
            Some(named) if named == "none" => {
                if required() {
                    complain("BIOLLMNET_NVCC=none");
                }
                return None;
            }
            Some(named) => Self::at(Path::new(named)),
            None => {
                let cuda_home = env::var_os("CUDA_HOME").map(|home| Path::new(&home).join("bin/nvcc"));
                let fetched = package().join(".cuda/bin/nvcc");
                [cuda_home, Some(fetched), Some("nvcc".into())].into_iter().flatten().find_map(|path| Self::at(&path))
            }
        };
        match &found {
            Some(nvcc) if nvcc.is_too_old() => {
                complain(&format!("nvcc {} is too old: {OLDEST_NVCC:?} is the oldest that serves", nvcc.version));
                return None;
            }
            None if named.is_some() => complain("BIOLLMNET_NVCC names no nvcc that runs"),
            None if required() => complain("no nvcc was found: scripts/fetch_nvcc.sh fetches one"),
            _ => {}
        }
        found
    }

    fn at(path: &Path) -> Option<Self> {
        let output = Command::new(path).arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let version = text.split(", V").nth(1)?.split_whitespace().next()?.to_owned();
        if path.is_absolute() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
        let output = Command::new(path).arg("--list-gpu-arch").output().ok()?;
        let listed = String::from_utf8(output.stdout).ok()?;
        let is_known = |ptx: &str| listed.lines().any(|line| line.trim() == ptx.trim_end_matches('a'));
        let targets = TARGETS.into_iter().filter(|(ptx, _)| is_known(ptx)).collect();
        Some(Self { path: path.to_path_buf(), version, targets })
    }

    fn is_too_old(&self) -> bool {
        let mut numbers = self.version.split('.').map(|number| number.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < OLDEST_NVCC
    }

    /// Compiles `kernel` unless `out` holds the result from the same text; returns what ptxas said of its registers.
    fn compile(&self, kernel: &Kernel, headers: &str, threads: usize, out: &Path) -> Result<String, String> {
        let at = |extension: &str| out.join(&kernel.name).with_extension(extension);
        let (image, log, key) = (at("fatbin"), at("ptxas"), at("key"));
        let wanted = format!("{} {FLAGS:?} {:?}\n{headers}\n{}", self.version, self.targets, kernel.text);
        if fs::read_to_string(&key).is_ok_and(|made_of| made_of == wanted)
            && image.exists()
            && let Ok(log) = fs::read_to_string(&log)
        {
            return Ok(log);
        }
        let _ = fs::remove_file(&key);
        let targets = self.targets.iter().filter(|(ptx, _)| !kernel.is_for_hopper() || *ptx == HOPPER);
        let output = Command::new(&self.path)
            .args(FLAGS)
            .args(targets.map(|(ptx, code)| format!("-gencode=arch={ptx},code=[{}]", code.join(","))))
            .args(["--threads", &threads.to_string(), "-o"])
            .args([&image, &kernel.path])
            .output()
            .map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stdout).into_owned() + &said);
        }
        fs::write(&log, &said).and_then(|()| fs::write(&key, wanted)).map_err(|e| e.to_string())?;
        Ok(said)
    }
}

/// A warning, or the end of the build where nvcc is required.
fn complain(what: &str) {
    what.lines().take(40).for_each(|line| println!("cargo::warning={line}"));
    if required() {
        println!("cargo::error=BIOLLMNET_REQUIRE_NVCC=1, but not every kernel was compiled by nvcc");
    }
}

fn required() -> bool {
    env::var("BIOLLMNET_REQUIRE_NVCC").is_ok_and(|value| value == "1")
}

// ---- The kernels ----

/// A kernel file, or a header of them.
struct Kernel {
    /// `layer_norm` of `kernels/layer_norm.cu`.
    name: String,
    path: PathBuf,
    text: String,
}

impl Kernel {
    /// Whether it uses what compute capability 9.0 alone has.
    fn is_for_hopper(&self) -> bool {
        self.text.contains("#include \"hopper.cuh\"")
    }
}

fn package() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it").into()
}

/// Every file of `folder` with this ending, the longest first: they take longest to compile.
fn kernels(folder: &Path, ending: &str) -> Vec<Kernel> {
    let paths = fs::read_dir(folder).expect("kernels/ is readable").map(|entry| entry.expect("readable").path());
    let mut kernels: Vec<Kernel> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .map(|path| Kernel {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            text: fs::read_to_string(&path).expect("kernels are UTF-8"),
            path,
        })
        .collect();
    kernels.sort_by(|a, b| (b.text.len(), &a.name).cmp(&(a.text.len(), &b.name)));
    kernels
}

/// Writes `OUT_DIR/kernels.rs`, the tables of headers, and of sources and images, and `OUT_DIR/ptxas.txt`, what ptxas said of each.
// Paths become string literals of Rust.
#[allow(clippy::unnecessary_debug_formatting)]
fn embed_kernels(nvcc: Option<&Nvcc>) {
    let folder = package().join("kernels");
    println!("cargo::rerun-if-changed=kernels");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let headers = kernels(&folder, "cuh");
    let kernels = kernels(&folder, "cu");
    let header_texts: String = headers.iter().map(|header| header.text.as_str()).collect();
    let compiled = match nvcc {
        Some(nvcc) => compile_all(nvcc, &kernels, &header_texts, &out),
        None => vec![None; kernels.len()],
    };

    let architectures = nvcc.iter().flat_map(|nvcc| &nvcc.targets).flat_map(|(_, code)| *code).collect::<Vec<_>>();
    let (mut table, mut said) = ("static HEADERS: &[(&str, &str)] = &[\n".to_owned(), String::new());
    for Kernel { name, path, .. } in &headers {
        let _ = writeln!(table, "    ({:?}, include_str!({path:?})),", format!("{name}.cuh"));
    }
    let _ = writeln!(table, "];\nstatic ARCHITECTURES: &[&str] = &{architectures:?};");
    table += "static KERNELS: &[Kernel] = &[\n";
    for (Kernel { name, path, .. }, log) in kernels.iter().zip(&compiled) {
        let image = log
            .as_ref()
            .map_or("&[]".to_owned(), |_| format!("include_bytes!({:?})", out.join(name).with_extension("fatbin")));
        let _ = writeln!(table, "    Kernel {{ name: {name:?}, source: include_str!({path:?}), image: {image} }},");
        if let Some(log) = log {
            let _ = writeln!(said, "kernels/{name}.cu\n{log}");
        }
    }
    table += "];\n";
    fs::write(out.join("kernels.rs"), table).expect("OUT_DIR is writable");
    fs::write(out.join("ptxas.txt"), said).expect("OUT_DIR is writable");
}

/// The log of each kernel; `None` where nvcc refused it.
fn compile_all(nvcc: &Nvcc, kernels: &[Kernel], headers: &str, out: &Path) -> Vec<Option<String>> {
    let jobs: usize = env::var("NUM_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(1);
    let threads = jobs.div_ceil(kernels.len().max(1));
    let (queue, logs) = (Mutex::new(0..kernels.len()), Mutex::new(vec![None; kernels.len()]));
    thread::scope(|scope| {
        for _ in 0..jobs.min(kernels.len()) {
            scope.spawn(|| {
                while let Some(i) = { queue.lock().expect("no job panics").next() } {
                    match nvcc.compile(&kernels[i], headers, threads, out) {
                        Ok(log) => logs.lock().expect("no job panics")[i] = Some(log),
                        Err(said) => complain(&format!("nvcc refuses {}:\n{said}", kernels[i].path.display())),
                    }
                }
            });
        }
    });
    logs.into_inner().expect("no job panics")
}
