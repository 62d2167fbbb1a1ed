//! Golden cases: expected values read, found values compared, the largest difference of each kind shown beside its
//! bound.

// Every test file is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;

/// Largest |Δ| of a value of one token, f32 arithmetic against f64. The references in f32 reach 4.3e-6.
pub const PER_TOKEN: f64 = 2e-5;
/// Largest |Δ| of a pooled value. The references in f32 reach 3.1e-6.
pub const POOLED: f64 = 1e-5;

/// The cases of the repository.
pub fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The larger cases: the folder that `BIOLLMNET_GOLDEN` names, or the one beside the package; `None`, said aloud,
/// where there is neither.
pub fn shared() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("BIOLLMNET_GOLDEN") {
        let folder = PathBuf::from(folder);
        assert!(folder.is_dir(), "BIOLLMNET_GOLDEN: {} is not a folder", folder.display());
        return Some(folder);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: ../shared/golden is absent");
    None
}

/// A JSON file.
#[track_caller]
pub fn json<T: DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Expected values in f64 by name.
pub struct Expected(BTreeMap<String, Vec<f64>>);

impl Expected {
    /// Reads `<case>.expected.safetensors`.
    #[track_caller]
    pub fn read(folder: &Path, case: &str) -> Self {
        let path = folder.join(format!("{case}.expected.safetensors"));
        let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let tensors = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let values = tensors.tensors().into_iter().map(|(name, view)| {
            assert_eq!(view.dtype(), Dtype::F64, "{name}");
            let numbers = view.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap()));
            (name, numbers.collect())
        });
        Self(values.collect())
    }

    /// The values `<entry>.<what>`, where the file has them.
    pub fn get(&self, entry: &str, what: &str) -> Option<&[f64]> {
        self.0.get(&format!("{entry}.{what}")).map(Vec::as_slice)
    }

    /// The kinds of values of `entry`.
    pub fn kinds(&self, entry: &str) -> Vec<&str> {
        let of_entry = |name: &str| name.strip_prefix(entry)?.strip_prefix('.').map(str::len);
        self.0.keys().filter_map(|name| Some(&name[name.len() - of_entry(name)?..])).collect()
    }
}

/// Largest differences of one case, by kind of value.
pub struct Differences {
    case: String,
    kinds: BTreeMap<String, Worst>,
}

struct Worst {
    difference: f64,
    entry: String,
    bound: f64,
    compared: usize,
    failed: usize,
}

impl Differences {
    /// Nothing compared yet.
    pub fn of(case: &str) -> Self {
        Self { case: case.to_owned(), kinds: BTreeMap::new() }
    }

    /// Compares what was found of `what` for `entry`; `bound` is on |Δ|.
    #[track_caller]
    pub fn compare(&mut self, entry: &str, what: &str, found: &[f32], expected: &[f64], bound: f64) {
        assert_eq!(found.len(), expected.len(), "{}: {entry}.{what}: numbers", self.case);
        let differences = found.iter().zip(expected).map(|(&found, expected)| (f64::from(found) - expected).abs());
        let difference = differences.fold(0.0, |worst, d| if d.is_nan() { f64::INFINITY } else { f64::max(worst, d) });
        let start = Worst { difference: 0.0, entry: entry.to_owned(), bound, compared: 0, failed: 0 };
        let worst = self.kinds.entry(what.to_owned()).or_insert(start);
        worst.compared += 1;
        worst.failed += usize::from(difference > bound);
        if difference / bound > worst.difference / worst.bound {
            (worst.difference, worst.bound, worst.entry) = (difference, bound, entry.to_owned());
        }
    }

    /// Prints one line per kind, and panics when a difference is beyond its bound or when nothing was compared.
    #[track_caller]
    pub fn report(self) {
        let mut text = format!("{}:\n", self.case);
        for (what, worst) in &self.kinds {
            let Worst { difference, entry, bound, compared, failed } = worst;
            let verdict = if *failed > 0 { format!("  {failed} BEYOND THE BOUND") } else { String::new() };
            let _ = writeln!(
                text,
                "  {what:<28} {compared:>4} compared  max |Δ| {difference:.1e}  bound {bound:.1e}  ({entry}){verdict}"
            );
        }
        assert!(self.kinds.values().all(|worst| worst.failed == 0), "{text}");
        assert!(!self.kinds.is_empty(), "{}: nothing was compared", self.case);
        print!("{text}");
    }
}
