//! NVRTC, the compiler that works at run time, loaded if it is installed.

#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int};
use std::ptr;
use std::sync::OnceLock;

use cudarc::nvrtc::{result, sys};

/// Version of the library; `None` where there is none that serves.
pub(super) fn version() -> Option<(i32, i32)> {
    static VERSION: OnceLock<Option<(i32, i32)>> = OnceLock::new();
    *VERSION.get_or_init(|| {
        if !is_present() {
            return None;
        }
        let (mut major, mut minor) = (0, 0);
        // SAFETY: the library is there, and both places outlive the call.
        unsafe { sys::nvrtcVersion(&raw mut major, &raw mut minor) }.result().ok()?;
        Some((major, minor))
    })
}

/// cudarc panics on an absent library and on an absent symbol, so both are looked for first.
fn is_present() -> bool {
    // SAFETY: loading a library runs its initialisers; NVRTC's do nothing that matters here.
    if !unsafe { sys::is_culib_present() } {
        return false;
    }
    // SAFETY: as above; the symbols are looked for, not used.
    ["nvrtcGetCUBIN", "nvrtcGetSupportedArchs"]
        .iter()
        .all(|name| unsafe { sys::culib().get::<*const ()>(*name) }.is_ok())
}

/// Architectures that the library compiles for, as ten times the compute capability. Needs [`version`].
pub(super) fn architectures() -> Vec<i32> {
    let mut count = 0;
    // SAFETY: `version` found the library; the place outlives the call.
    if unsafe { sys::nvrtcGetNumSupportedArchs(&raw mut count) }.result().is_err() {
        return Vec::new();
    }
    let mut known = vec![0; count as usize];
    // SAFETY: the library writes as many numbers as it has just announced.
    let listed = unsafe { sys::nvrtcGetSupportedArchs(known.as_mut_ptr()) }.result();
    if listed.is_ok() { known } else { Vec::new() }
}

/// A program of the library, destroyed with this value.
struct Program(sys::nvrtcProgram);

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: the program was created by `compile` and is destroyed here only.
        let _ = unsafe { result::destroy_program(self.0) };
    }
}

/// Compiles one kernel file, with the headers that it may include by name, to machine code or to PTX (with its final
/// zero). Needs [`version`].
///
/// # Errors
/// What the compiler says.
pub(super) fn compile(
    name: &str,
    source: &str,
    headers: &[(&str, &str)],
    options: &[String],
    machine_code: bool,
) -> Result<Vec<u8>, String> {
    let c_string = |text: &str| CString::new(text).map_err(|e| e.to_string());
    let (name, source) = (c_string(&format!("{name}.cu"))?, c_string(source)?);
    let names = headers.iter().map(|(name, _)| c_string(name)).collect::<Result<Vec<_>, _>>()?;
    let texts = headers.iter().map(|(_, text)| c_string(text)).collect::<Result<Vec<_>, _>>()?;
    let mut program = Program(ptr::null_mut());
    let places = |all: &[CString]| all.iter().map(|text| text.as_ptr()).collect::<Vec<_>>();
    let (count, places_of_names, places_of_texts) = (headers.len() as c_int, places(&names), places(&texts));
    let (names, texts) = (places_of_names.as_ptr(), places_of_texts.as_ptr());
    // SAFETY: every string ends with a zero and outlives the program, and there are `count` names and texts.
    unsafe { sys::nvrtcCreateProgram(&raw mut program.0, source.as_ptr(), name.as_ptr(), count, texts, names) }
        .result()
        .map_err(|e| e.to_string())?;
    // SAFETY: the program was created above and lives.
    unsafe { result::compile_program(program.0, options) }.map_err(|e| {
        // SAFETY: as above.
        let log = unsafe { result::get_program_log(program.0) }.unwrap_or_default();
        format!("{e}\n{}", text_of(&log))
    })?;
    product(&program, machine_code).map_err(|e| e.to_string())
}

fn product(program: &Program, machine_code: bool) -> Result<Vec<u8>, result::NvrtcError> {
    if !machine_code {
        // SAFETY: the program was compiled and lives.
        let ptx = unsafe { result::get_ptx(program.0) }?;
        return Ok(ptx.into_iter().map(|c| c as u8).collect());
    }
    let mut bytes = 0;
    // SAFETY: the program was compiled and lives; the place outlives the call.
    unsafe { sys::nvrtcGetCUBINSize(program.0, &raw mut bytes) }.result()?;
    let mut image = vec![0u8; bytes];
    // SAFETY: the library writes as many bytes as it has just announced.
    unsafe { sys::nvrtcGetCUBIN(program.0, image.as_mut_ptr().cast::<c_char>()) }.result()?;
    Ok(image)
}

/// The log without its final zero.
fn text_of(log: &[c_char]) -> String {
    let bytes: Vec<u8> = log.iter().map(|&c| c as u8).take_while(|&c| c != 0).collect();
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}
