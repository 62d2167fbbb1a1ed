//! The kernels compiled for the CPU: a stand-in for the CUDA driver (`libcuda.so`) and programs over the host shim.
//!
//! Everything is compiled once into the target folder, each source under the digest of what it depends on. The
//! stand-in obeys, besides [`Standin`], variables named `BIOLLMNET_STANDIN_…`: `DEVICES`, `MEMORY` (bytes),
//! `CAPABILITY` (9.0), `THREADS`, `COPY` (early, late), `SEED` (of the order of warps), `STREAM` (early, late),
//! `FAIL_ALLOC` (`3`: the third allocation fails; `3+`: and all after it) and `FAIL_LAUNCH` (`3`: the device is lost at the
//! third kernel that runs).

#![allow(dead_code)] // each test uses a part
#![allow(unsafe_code)] // loads a library and calls it

use std::env;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_long, c_void};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;

/// The folder that holds a `libcuda.so` made of all kernels, compiled with `defines`; none where it cannot be made.
/// Beside it lie images for `BIOLLMNET_KERNELS`: the stand-in takes any.
pub fn library(defines: &[&str]) -> Option<PathBuf> {
    let kernels = files("kernels", "cu");
    let sources = [kernels.clone(), files("kernels/host", "cc"), files("kernels/host/driver", "cc")].concat();
    let folder = Builder::new(defines)?.link("libcuda.so", &sources, &["-shared", "-Wl,-soname,libcuda.so"]);
    for name in kernels.iter().filter_map(|kernel| kernel.file_stem()) {
        let image = folder.join(name).with_extension("fatbin");
        if !image.exists() {
            fs::write(image, "for the stand-in driver").expect("a folder that can be written");
        }
    }
    Some(folder)
}

/// The program of the C++ source `main` with the kernels and other sources of its folder, over shim and driver.
pub fn program(main: &str, kernels: &str) -> Option<PathBuf> {
    let mut sources = [files("kernels/host", "cc"), files("kernels/host/driver", "cc")].concat();
    sources.extend([root().join(main), root().join(kernels)]);
    Some(Builder::new(&[])?.link("program", &sources, &[]).join("program"))
}

/// A command that finds the stand-in as its `libcuda.so`, and images for it.
pub fn command(program: impl AsRef<OsStr>) -> Option<Command> {
    let folder = library(&[])?;
    let mut path = folder.clone().into_os_string();
    if let Some(others) = env::var_os("LD_LIBRARY_PATH") {
        path.push(":");
        path.push(others);
    }
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", path).env("BIOLLMNET_KERNELS", folder);
    Some(command)
}

/// Loads the stand-in into this process for good: whoever asks for `libcuda.so` later gets it by its soname. Also names
/// its images; call it before anything else reads the environment.
pub fn load() -> Option<&'static Standin> {
    static LOADED: OnceLock<Option<Standin>> = OnceLock::new();
    let load = || {
        let folder = library(&[])?;
        // SAFETY: the standard library locks the environment, and nothing else reads it while tests begin.
        unsafe { env::set_var("BIOLLMNET_KERNELS", &folder) };
        Some(Standin::open(&folder.join("libcuda.so")))
    };
    LOADED.get_or_init(load).as_ref()
}

/// The stand-in in this process, beyond the driver's interface.
pub struct Standin {
    counters: unsafe extern "C" fn(*mut u64),
    fail_alloc_at: unsafe extern "C" fn(c_long, c_int),
    configure: unsafe extern "C" fn(c_int, u32, c_int),
    reset: unsafe extern "C" fn(),
}

/// What the stand-in has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    pub launches: u64,
    pub blocks: u64,
    pub mmas: u64,
    pub allocations: u64,
    pub live_allocations: u64,
    pub live_bytes: u64,
    pub peak_bytes: u64,
    pub graph_launches: u64,
}

// SAFETY: the signatures of POSIX.
unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

impl Standin {
    fn open(path: &Path) -> Self {
        const NOW_AND_GLOBAL: c_int = 0x102;
        let path = CString::new(path.as_os_str().as_bytes()).expect("a path without NUL");
        // SAFETY: the library is the stand-in just built; its initialisers only list kernels. It is never closed.
        let library = unsafe { dlopen(path.as_ptr(), NOW_AND_GLOBAL) };
        assert!(!library.is_null(), "{} does not load", path.to_string_lossy());
        let find = |name: &CStr| {
            // SAFETY: the library is loaded and the name ends with NUL.
            let symbol = unsafe { dlsym(library, name.as_ptr()) };
            assert!(!symbol.is_null(), "the stand-in lacks {}", name.to_string_lossy());
            symbol
        };
        // SAFETY: kernels/host/driver/control.cc defines the four functions with these signatures.
        unsafe {
            Self {
                counters: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut u64)>(find(c"standin_counters")),
                fail_alloc_at: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(c_long, c_int)>(find(
                    c"standin_fail_alloc_at",
                )),
                configure: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(c_int, u32, c_int)>(find(
                    c"standin_configure",
                )),
                reset: std::mem::transmute::<*mut c_void, unsafe extern "C" fn()>(find(c"standin_reset")),
            }
        }
    }

    pub fn counters(&self) -> Counters {
        let mut values = [0; 8];
        // SAFETY: the function writes eight numbers.
        unsafe { (self.counters)(values.as_mut_ptr()) };
        let [launches, blocks, mmas, allocations, live_allocations, live_bytes, peak_bytes, graph_launches] = values;
        Counters { launches, blocks, mmas, allocations, live_allocations, live_bytes, peak_bytes, graph_launches }
    }

    /// Makes the `n`-th allocation from now on fail, and those after it if `onwards`; 0 ends that.
    pub fn fail_alloc_at(&self, n: u32, onwards: bool) {
        // SAFETY: the function takes plain numbers and locks the driver.
        unsafe { (self.fail_alloc_at)(c_long::from(n), c_int::from(onwards)) };
    }

    /// Asynchronous copies of kernels early or late, the order of warps, streams that run early or when waited for.
    pub fn configure(&self, late_copies: bool, seed: u32, late_streams: bool) {
        // SAFETY: the function takes plain numbers and locks the driver.
        unsafe { (self.configure)(c_int::from(late_copies), seed, c_int::from(late_streams)) };
    }

    /// Forgets the error of an earlier kernel.
    pub fn reset(&self) {
        // SAFETY: the function takes nothing and locks the driver.
        unsafe { (self.reset)() };
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder with an ending, in order.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = root().join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<_> = entries.map(|entry| entry.expect("a folder that can be listed").path()).collect();
    found.retain(|path| path.extension().is_some_and(|own| own == ending));
    found.sort();
    found
}

/// A compiler with its flags and the digest of all headers.
struct Builder {
    compiler: String,
    flags: Vec<String>,
    headers: blake3::Hash,
    folder: PathBuf,
    defines: Vec<String>,
}

impl Builder {
    fn new(defines: &[&str]) -> Option<Self> {
        let Some(compiler) = compiler() else {
            assert!(env::var_os("REQUIRE_CUDA").is_none(), "no stand-in: {NEEDED}");
            eprintln!("skipped: {NEEDED}");
            return None;
        };
        let mut headers = blake3::Hasher::new();
        let folders =
            [("kernels", "cuh"), ("kernels/host", "h"), ("kernels/host/driver", "h"), ("kernels/host/selfcheck", "h")];
        for file in folders.iter().flat_map(|(folder, ending)| files(folder, ending)) {
            headers.update(&fs::read(file).expect("a header that can be read"));
        }
        let target = option_env!("CARGO_TARGET_TMPDIR").map_or_else(|| root().join("target/tmp"), PathBuf::from);
        let folder = target.join("standin");
        fs::create_dir_all(&folder).expect("a target folder that can be written");
        let defines = defines.iter().map(|&define| define.to_owned()).collect();
        Some(Self { compiler, flags: flags(), headers: headers.finalize(), folder, defines })
    }

    /// The folder with the output of linking `sources`.
    fn link(&self, name: &str, sources: &[PathBuf], flags: &[&str]) -> PathBuf {
        // One process builds at a time; the others then find everything done.
        let lock = File::create(self.folder.join("lock")).expect("a lock file");
        lock.lock().expect("a lock");
        let objects = self.compile_all(sources);
        let mut digest = blake3::Hasher::new();
        digest.update(name.as_bytes());
        for object in &objects {
            digest.update(object.as_os_str().as_bytes());
        }
        let folder = self.folder.join(&digest.finalize().to_hex()[..16]);
        let output = folder.join(name);
        if !output.exists() {
            fs::create_dir_all(&folder).expect("a folder that can be written");
            let unfinished = folder.join(format!("{name}.part"));
            run(Command::new(&self.compiler).args(&objects).args(flags).arg("-pthread").arg("-o").arg(&unfinished));
            fs::rename(unfinished, output).expect("a rename within a folder");
        }
        folder
    }

    /// Compiles what has no object yet, two at a time.
    fn compile_all(&self, sources: &[PathBuf]) -> Vec<PathBuf> {
        let next = AtomicUsize::new(0);
        let objects = Mutex::new(vec![PathBuf::new(); sources.len()]);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        let Some(source) = sources.get(i) else { break };
                        let object = self.compile(source);
                        objects.lock().expect("a whole list")[i] = object;
                    }
                });
            }
        });
        objects.into_inner().expect("a whole list")
    }

    fn compile(&self, source: &Path) -> PathBuf {
        let text = fs::read_to_string(source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        let all = with_headers(&text);
        let defines = self.defines.iter().filter(|define| mentions(&all, define));
        let flags: Vec<String> =
            self.flags.iter().cloned().chain(defines.map(|define| format!("-D{define}"))).collect();
        let mut digest = blake3::Hasher::new();
        for part in [self.compiler.as_str(), &flags.join(" "), &self.headers.to_hex(), &text] {
            digest.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        let stem = source.file_stem().expect("a source has a name").to_string_lossy();
        let object = self.folder.join(format!("{stem}-{}.o", &digest.finalize().to_hex()[..16]));
        if !object.exists() {
            let unfinished = object.with_extension("part");
            let mut command = Command::new(&self.compiler);
            command.args(&flags).arg("-I").arg(root().join("kernels"));
            run(command.args(["-x", "c++", "-c"]).arg(source).arg("-o").arg(&unfinished));
            fs::rename(unfinished, &object).expect("a rename within a folder");
        }
        object
    }
}

const NEEDED: &str = "the host shim needs an x86-64 processor, Linux and a C++17 compiler (CXX, g++ or c++)";

fn compiler() -> Option<String> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return None;
    }
    let works =
        |name: &String| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    env::var("CXX").ok().into_iter().chain(["g++".to_owned(), "c++".to_owned()]).find(works)
}

/// Wide instructions only where this processor has them; undefined behaviour of kernels traps and is reported.
fn flags() -> Vec<String> {
    let common = "-std=c++17 -O2 -g1 -fPIC -fvisibility=hidden -pthread -fsanitize=alignment,bounds \
                  -fsanitize-undefined-trap-on-error";
    let mut flags: Vec<String> = common.split_whitespace().map(str::to_owned).collect();
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
        flags.extend(["-mavx2", "-mfma", "-mf16c"].map(str::to_owned));
    }
    flags
}

/// A kernel file followed by the headers that it includes, and by those that they include.
pub fn with_headers(source: &str) -> String {
    let mut all = source.to_owned();
    let mut seen: Vec<String> = Vec::new();
    while let Some(name) = all.lines().filter_map(header).find(|name| seen.iter().all(|seen| seen != name)) {
        let path = root().join("kernels").join(name).with_extension("cuh");
        let text = fs::read_to_string(path).expect("a header that can be read");
        seen.push(name.to_owned());
        all = format!("{all}\n{text}");
    }
    all
}

/// The header of kernels that a line includes, without its ending.
fn header(line: &str) -> Option<&str> {
    line.trim().strip_prefix("#include \"")?.strip_suffix(".cuh\"")
}

/// Whether a source looks at a macro (`NAME` or `NAME=value`): others need not be compiled again for it.
fn mentions(text: &str, define: &str) -> bool {
    text.contains(define.split('=').next().unwrap_or(define))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}
