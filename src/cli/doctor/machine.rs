//! What the system tells about the machine.

use std::collections::BTreeMap;
use std::fs;
use std::thread::available_parallelism;

use biollmnet::files::space::Space;
use serde::Serialize;

/// The processor.
#[derive(Debug, Serialize)]
pub struct Processor {
    /// Its name, `unknown` where the system does not tell.
    pub model: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Instruction sets found at run time.
    pub features: BTreeMap<&'static str, bool>,
    /// The instruction set that the engine picks.
    pub simd_path: String,
}

impl Processor {
    /// Asks the system and the processor.
    pub fn of_this_machine() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            model: value_of(&cpuinfo, "model name").unwrap_or("unknown").to_owned(),
            cores: available_parallelism().map_or(1, usize::from),
            features: features(),
            simd_path: simd_path(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn features() -> BTreeMap<&'static str, bool> {
    BTreeMap::from([
        ("AVX2", is_x86_feature_detected!("avx2")),
        ("FMA", is_x86_feature_detected!("fma")),
        ("AVX-512F", is_x86_feature_detected!("avx512f")),
        ("AVX-512 VNNI", is_x86_feature_detected!("avx512vnni")),
        ("AVX-VNNI", is_x86_feature_detected!("avxvnni")),
    ])
}

#[cfg(target_arch = "aarch64")]
fn features() -> BTreeMap<&'static str, bool> {
    BTreeMap::from([("NEON", std::arch::is_aarch64_feature_detected!("neon"))])
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> BTreeMap<&'static str, bool> {
    BTreeMap::new()
}

/// Asks the dispatcher that the engine's own loops go through.
fn simd_path() -> String {
    struct Name;
    impl pulp::WithSimd for Name {
        type Output = &'static str;
        fn with_simd<S: pulp::Simd>(self, _: S) -> &'static str {
            std::any::type_name::<S>()
        }
    }
    let name = pulp::Arch::new().dispatch(Name);
    match name.rsplit("::").next().unwrap_or(name) {
        "V4" => "AVX-512 (x86-64-v4)".to_owned(),
        "V3" => "AVX2 and FMA (x86-64-v3)".to_owned(),
        other => other.to_lowercase(),
    }
}

/// Memory of the machine; `free` counts what the system would give up from its caches.
pub fn memory() -> Option<Space> {
    memory_from(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn memory_from(meminfo: &str) -> Option<Space> {
    let bytes = |key| -> Option<u64> {
        let kib: u64 = value_of(meminfo, key)?.strip_suffix("kB")?.trim_end().parse().ok()?;
        kib.checked_mul(1024)
    };
    Some(Space { total: bytes("MemTotal")?, free: bytes("MemAvailable")? })
}

/// The value of the first line `key : value`.
fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().filter_map(|line| line.split_once(':')).find(|(k, _)| k.trim_end() == key).map(|(_, v)| v.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_in_kibibytes() {
        let text = "MemTotal:       2000 kB\nMemFree:         10 kB\nMemAvailable:    500 kB\n";
        assert_eq!(memory_from(text), Some(Space { total: 2_048_000, free: 512_000 }));
        assert_eq!(memory_from("MemTotal: many kB\nMemAvailable: 1 kB"), None);
        assert_eq!(memory_from(""), None);
    }

    #[test]
    fn the_first_processor_gives_the_name() {
        let text = "processor\t: 0\nmodel name\t: Some CPU: fast\nmodel name\t: Other\n";
        assert_eq!(value_of(text, "model name"), Some("Some CPU: fast"));
        assert_eq!(value_of(text, "model"), None);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_path_fits_the_features() {
        let processor = Processor::of_this_machine();
        let path = processor.simd_path.as_str();
        assert!(["AVX-512 (x86-64-v4)", "AVX2 and FMA (x86-64-v3)", "scalar"].contains(&path), "{path}");
        assert!(processor.features["AVX-512F"] || !path.starts_with("AVX-512"));
        assert!(processor.features["AVX2"] || path == "scalar");
    }
}
