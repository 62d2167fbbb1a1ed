use std::collections::BTreeSet;
use std::env;

use super::*;

/// True where NVRTC is installed; `REQUIRE_NVRTC=1` does not take no for an answer.
fn nvrtc_is_there() -> bool {
    let there = nvrtc::version().is_some();
    let required = env::var("REQUIRE_NVRTC").is_ok_and(|value| value == "1");
    assert!(there || !required, "REQUIRE_NVRTC=1, but there is none");
    if !there {
        eprintln!("skipped: no NVRTC");
    }
    there
}

/// What ptxas said while this binary was built; empty without nvcc.
const PTXAS: &str = include_str!(concat!(env!("OUT_DIR"), "/ptxas.txt"));

/// Entry points of the embedded image of `kernel` for `target`, as ptxas named them.
fn embedded_entries<'a>(kernel: &str, target: &str) -> BTreeSet<&'a str> {
    let title = format!("kernels/{kernel}.cu");
    let lines =
        PTXAS.lines().skip_while(|line| *line != title).skip(1).take_while(|line| !line.starts_with("kernels/"));
    let quoted = lines.filter_map(|line| line.split_once("Compiling entry function '")?.1.split_once("' for '"));
    quoted.filter(|(_, rest)| rest.trim_end_matches('\'') == target).map(|(name, _)| name).collect()
}

/// Entry points of an ELF image: the sections `.text.<name>`.
fn entries(image: &[u8]) -> BTreeSet<&str> {
    let names = image.split(|&byte| byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
    names.filter_map(|name| name.strip_prefix(".text.")).collect()
}

#[test]
fn the_target_is_the_device_or_the_ptx_below_it() {
    let known = [75, 80, 86, 89, 90, 100];
    let target = |major, minor| Target::of((major, minor), &known).map(|target| target.0);
    assert_eq!(target(8, 0).as_deref(), Some("sm_80"));
    assert_eq!(target(8, 9).as_deref(), Some("sm_89"));
    assert_eq!(target(9, 0).as_deref(), Some("sm_90a"));
    assert_eq!(target(10, 0).as_deref(), Some("sm_100"));
    assert_eq!(target(8, 7).as_deref(), Some("compute_86"));
    assert_eq!(target(10, 3).as_deref(), Some("compute_100"));
    assert_eq!(target(13, 1).as_deref(), Some("compute_100"));
    assert_eq!(Target::of((9, 0), &[75]), None);
    assert!(Target("sm_80".to_owned()).is_machine_code() && !Target("compute_80".to_owned()).is_machine_code());
}

#[test]
fn old_devices_and_unknown_kernels_are_refused() {
    let first = KERNELS[0].name;
    for (name, capability, what) in [(first, (7, 5), "7.5"), ("no_such_kernel", (9, 0), "no_such_kernel")] {
        for refusal in [image(name, capability).err(), compiled(name, capability).err()] {
            assert!(refusal.unwrap().to_string().contains(what));
        }
    }
}

#[test]
fn the_info_agrees_with_the_table() {
    let info = source_of_images();
    assert_eq!(info.kernels.len(), KERNELS.len());
    assert_eq!(info.kind == ImageKind::Missing, info.advice.is_some());
    match info.kind {
        ImageKind::Embedded => assert_ne!(info.nvcc, "none"),
        ImageKind::Replaced => assert!(info.folder.is_some()),
        ImageKind::CompiledAtFirstUse => assert!(info.nvrtc.is_some()),
        ImageKind::Missing => assert!(image(KERNELS[0].name, (9, 0)).unwrap_err().help().contains("fetch_nvcc.sh")),
    }
    if info.nvcc == "none" {
        assert!(info.architectures.is_empty() && KERNELS.iter().all(|kernel| kernel.image.is_empty()));
    }
}

/// Kernels that use what compute capability 9.0 alone has are compiled for it alone.
fn targets(kernel: &Kernel) -> &'static [&'static str] {
    if kernel.source.contains("#include \"hopper.cuh\"") { &["sm_90a"] } else { &["sm_80", "sm_90a"] }
}

#[test]
fn nvrtc_compiles_every_kernel() {
    if !nvrtc_is_there() {
        return;
    }
    for kernel in KERNELS {
        for target in targets(kernel) {
            let options = [format!("--gpu-architecture={target}"), "--std=c++17".to_owned()];
            let image = nvrtc::compile(kernel.name, kernel.source, HEADERS, &options, true).unwrap();
            assert!(image.starts_with(b"\x7fELF"));
            let found = entries(&image);
            assert!(!found.is_empty());
            if !kernel.image.is_empty() {
                assert_eq!(found, embedded_entries(kernel.name, target), "{}.cu for {target}", kernel.name);
            }
        }
    }
}

#[test]
fn nvrtc_says_what_is_wrong() {
    if !nvrtc_is_there() {
        return;
    }
    let options = ["--gpu-architecture=sm_80".to_owned()];
    let refusal = nvrtc::compile("wrong", "#include \"rt.cuh\"\nnonsense;", HEADERS, &options, true).unwrap_err();
    assert!(refusal.contains("wrong.cu(2)"), "{refusal}");
    assert!(nvrtc::compile("wrong", "", HEADERS, &["--no-such-option".to_owned()], true).is_err());
    assert!(nvrtc::compile("wrong", "a\0b", HEADERS, &options, true).is_err());
}

#[test]
fn a_device_newer_than_nvrtc_gets_ptx() {
    if !nvrtc_is_there() {
        return;
    }
    let kernel = KERNELS.iter().find(|kernel| targets(kernel).len() > 1).unwrap();
    let ptx = compiled(kernel.name, (99, 0)).unwrap();
    assert!(ptx.ends_with(b"\0") && String::from_utf8_lossy(&ptx).contains(".target sm_"));
}
