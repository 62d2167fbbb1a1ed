//! The library that makes calls of the file system fail; `inject.c` says how.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What befalls a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Kill,
    Io,
    Full,
    Short,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Io => "eio",
            Self::Full => "full",
            Self::Short => "short",
        }
    }
}

/// Makes the `nth` call of `command` that changes something below `folder` meet `fault`.
pub fn plant(command: &mut Command, folder: &Path, fault: Fault, nth: usize) {
    let Some(library) = library() else { return };
    command.env("LD_PRELOAD", library).env("FAULT_UNDER", folder);
    command.env("FAULT_KIND", fault.name()).env("FAULT_AT", nth.to_string());
}

/// Lists the calls of `command` that change something below `folder` in the file `log`.
pub fn watch(command: &mut Command, folder: &Path, log: &Path) {
    let Some(library) = library() else { return };
    command.env("LD_PRELOAD", library).env("FAULT_UNDER", folder).env("FAULT_LOG", log);
}

/// False, said aloud, where there is no C compiler.
pub fn is_possible() -> bool {
    library().is_some()
}

/// The library, compiled once for each state of its source.
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    LIBRARY.get_or_init(compile).as_deref()
}

fn compile() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/inject.c");
    let digest = blake3::hash(&fs::read(&source).unwrap()).to_hex();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = folder.join(format!("inject-{}.so", &digest[..16]));
    if library.exists() {
        return Some(library);
    }
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let unfinished = folder.join(format!("inject-{}.part", std::process::id()));
    let mut command = Command::new(compiler);
    command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&unfinished).arg(&source).arg("-ldl");
    match command.output() {
        Ok(made) if made.status.success() => fs::rename(unfinished, &library).unwrap(),
        Ok(made) => panic!("{command:?}: {}", String::from_utf8_lossy(&made.stderr)),
        Err(_) => {
            eprintln!("skipped: faults of the file system need a C compiler (CC or cc)");
            return None;
        }
    }
    Some(library)
}
