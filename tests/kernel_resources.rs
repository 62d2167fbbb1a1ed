//! What the kernels take of a multiprocessor: no spill to local memory, and no more registers and shared memory than
//! `kernels/resources.tsv` allows. nvcc says so while the package is built; without nvcc there is nothing to check.
//!
//! `UPDATE_KERNEL_RESOURCES=1 cargo test --test kernel_resources` writes the table anew; look at the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

/// What ptxas said of all kernels; empty without nvcc.
const SAID: &str = include_str!(concat!(env!("OUT_DIR"), "/ptxas.txt"));
/// A multiprocessor hands out registers in steps of eight per thread: up to the step, more cost nothing.
const REGISTER_STEP: u32 = 8;

/// A kernel of one architecture.
type Entry = (String, String);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Use {
    registers: u32,
    shared: u32,
    /// Stack frame, spill stores and spill loads.
    local: u32,
}

/// The number before `unit` in a comma-separated list such as `Used 40 registers, 4096 bytes smem`.
fn number_before(line: &str, unit: &str) -> Option<u32> {
    line.split(',').find_map(|part| part.trim().strip_suffix(unit)?.trim().rsplit(' ').next()?.parse().ok())
}

/// Reads what ptxas said with `-v`.
fn uses(said: &str) -> Result<BTreeMap<Entry, Use>, String> {
    let mut uses = BTreeMap::new();
    let (mut entry, mut of_function, mut local): (Option<Entry>, Option<&str>, u32) = (None, None, 0);
    for line in said.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function ") {
            let mut quoted = rest.split('\'').skip(1).step_by(2).map(str::to_owned);
            let pair = quoted.next().zip(quoted.next()).ok_or_else(|| format!("no kernel and architecture: {line}"))?;
            if let Some((kernel, architecture)) = entry.replace(pair) {
                return Err(format!("no registers of {kernel} for {architecture}"));
            }
            (of_function, local) = (None, 0);
        } else if let Some((_, function)) = line.split_once("Function properties for ") {
            of_function = Some(function.trim());
        } else if line.contains("bytes stack frame") {
            let numbers =
                ["bytes stack frame", "bytes spill stores", "bytes spill loads"].map(|u| number_before(line, u));
            let numbers: Option<Vec<u32>> = numbers.into_iter().collect();
            local += numbers.ok_or_else(|| format!("no three numbers: {line}"))?.iter().sum::<u32>();
        } else if let Some((_, rest)) = line.split_once("Used ") {
            let (kernel, architecture) = entry.take().ok_or_else(|| format!("of which kernel? {line}"))?;
            if of_function.is_none_or(|function| function != kernel) {
                return Err(format!("{kernel}: the lines of several kernels are mixed: {line}"));
            }
            let registers = number_before(rest, "registers").ok_or_else(|| format!("no registers: {line}"))?;
            let shared = number_before(rest, "bytes smem").unwrap_or(0);
            if uses.insert((kernel.clone(), architecture), Use { registers, shared, local }).is_some() {
                return Err(format!("{kernel} is there twice"));
            }
        }
    }
    entry.map_or(Ok(uses), |(kernel, architecture)| Err(format!("no registers of {kernel} for {architecture}")))
}

/// Reads `kernels/resources.tsv`.
fn limits(table: &str) -> Result<BTreeMap<Entry, Use>, String> {
    let mut limits = BTreeMap::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let limit = match fields[..] {
            [kernel, architecture, registers, shared] => {
                registers.parse().ok().zip(shared.parse().ok()).map(|numbers| {
                    let (registers, shared) = numbers;
                    ((kernel.to_owned(), architecture.to_owned()), Use { registers, shared, local: 0 })
                })
            }
            _ => None,
        };
        let (entry, limit) = limit.ok_or_else(|| format!("not a row of the table: {line}"))?;
        if limits.insert(entry, limit).is_some() {
            return Err(format!("a row is there twice: {line}"));
        }
    }
    Ok(limits)
}

fn table_of(uses: &BTreeMap<Entry, Use>) -> String {
    let mut table = "kernel\tarchitecture\tmost registers\tmost static shared bytes\n".to_owned();
    for ((kernel, architecture), used) in uses {
        let registers = used.registers.next_multiple_of(REGISTER_STEP);
        let _ = writeln!(table, "{kernel}\t{architecture}\t{registers}\t{}", used.shared);
    }
    table
}

/// Everything that is against the rules, in words. An older nvcc does not know every architecture of the table.
fn faults(uses: &BTreeMap<Entry, Use>, limits: &BTreeMap<Entry, Use>) -> Vec<String> {
    let mut faults = Vec::new();
    let compiled: BTreeSet<&str> = uses.keys().map(|entry| entry.1.as_str()).chain(["sm_80", "sm_90a"]).collect();
    let rows = limits.keys().filter(|entry| compiled.contains(entry.1.as_str()));
    let entries: BTreeSet<&Entry> = uses.keys().chain(rows).collect();
    for entry in entries {
        let name = format!("{} for {}", entry.0, entry.1);
        match (uses.get(entry), limits.get(entry)) {
            (Some(_), None) => faults.push(format!("{name}: not in the table")),
            (None, Some(_)) => faults.push(format!("{name}: in the table, but there is no such kernel")),
            (Some(used), Some(limit)) => {
                let pairs =
                    [("registers", used.registers, limit.registers), ("bytes shared", used.shared, limit.shared)];
                let over = pairs.into_iter().filter(|(_, used, most)| used > most);
                faults.extend(over.map(|(unit, used, most)| format!("{name}: {used} {unit}, the table allows {most}")));
            }
            (None, None) => unreachable!("an entry comes from one of them"),
        }
        if let Some(used) = uses.get(entry).filter(|used| used.local > 0) {
            faults.push(format!("{name}: {} bytes of local memory: registers are spilled", used.local));
        }
    }
    faults
}

#[test]
fn kernels_stay_within_the_table() {
    if SAID.is_empty() {
        let required = env::var("REQUIRE_NVCC").is_ok_and(|value| value == "1");
        assert!(!required, "REQUIRE_NVCC=1, but this was built without nvcc");
        eprintln!("skipped: built without nvcc (scripts/fetch_nvcc.sh fetches it)");
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/resources.tsv");
    let serialised: Vec<&str> = SAID.lines().filter(|line| line.contains("(C75")).collect();
    assert!(serialised.is_empty(), "products of warpgroups do not overlap:\n{}", serialised.join("\n"));
    let uses = uses(SAID).unwrap();
    if env::var("UPDATE_KERNEL_RESOURCES").is_ok_and(|value| value == "1") {
        fs::write(&path, table_of(&uses)).unwrap();
    }
    let faults = faults(&uses, &limits(&fs::read_to_string(&path).unwrap()).unwrap());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

// ---- The checker can fail ----

const SAMPLE: &str = "\
kernels/gemm.cu
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'gemm_f16' for 'sm_80'
ptxas info    : Function properties for gemm_f16
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 123 registers, used 1 barriers, 4096 bytes smem, 376 bytes cmem[0]
ptxas info    : Compile time = 8.239 ms
ptxas info    : Compiling entry function 'gemm_f16' for 'sm_90a'
ptxas info    : Function properties for gemm_f16
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 96 registers, used 1 barriers
";
const TABLE: &str = "kernel\tarchitecture\tmost registers\tmost static shared bytes\n\
    gemm_f16\tsm_80\t128\t4096\ngemm_f16\tsm_90a\t96\t0\n";

fn faults_of(said: &str, table: &str) -> Vec<String> {
    faults(&uses(said).unwrap(), &limits(table).unwrap())
}

#[test]
fn a_table_of_what_is_used_is_kept() {
    assert_eq!(table_of(&uses(SAMPLE).unwrap()), TABLE);
    assert_eq!(faults_of(SAMPLE, TABLE), [""; 0]);
}

#[test]
fn spills_and_excess_are_faults() {
    let cases = [
        ("0 bytes spill stores", "8 bytes spill stores", "local memory"),
        ("0 bytes spill loads", "8 bytes spill loads", "local memory"),
        ("0 bytes stack frame", "16 bytes stack frame", "local memory"),
        ("Used 123 registers", "Used 129 registers", "129 registers, the table allows 128"),
        ("4096 bytes smem", "4100 bytes smem", "4100 bytes shared, the table allows 4096"),
    ];
    for (healthy, sick, what) in cases {
        let faults = faults_of(&SAMPLE.replacen(healthy, sick, 1), TABLE);
        assert!(faults.len() == 1 && faults[0].contains(what) && faults[0].contains("sm_80"), "{faults:?}");
    }
}

#[test]
fn table_and_kernels_must_be_the_same_set() {
    let row = "gemm_f16\tsm_80\t128\t4096\n";
    assert_eq!(faults_of(SAMPLE, &TABLE.replace(row, "")), ["gemm_f16 for sm_80: not in the table"]);
    let extra = faults_of(SAMPLE, &format!("{TABLE}gone_f16\tsm_80\t128\t0\n"));
    assert_eq!(extra, ["gone_f16 for sm_80: in the table, but there is no such kernel"]);
    assert_eq!(faults_of(SAMPLE, &format!("{TABLE}gemm_f16\tsm_120\t96\t0\n")), [""; 0]);
    assert_eq!(faults_of("", TABLE).len(), 2);
}

#[test]
fn text_that_cannot_be_understood_is_refused() {
    let without = |part: &str| SAMPLE.replacen(part, "", 1);
    for said in [
        without("ptxas info    : Compiling entry function 'gemm_f16' for 'sm_80'\n"),
        without("ptxas info    : Used 123 registers, used 1 barriers, 4096 bytes smem, 376 bytes cmem[0]\n"),
        without("ptxas info    : Function properties for gemm_f16\n"),
        without(" for 'sm_80'"),
        without("0 bytes spill stores, "),
        without("123 registers, "),
        SAMPLE.replacen("properties for gemm_f16", "properties for other", 1),
        SAMPLE.replace("sm_90a", "sm_80"),
        SAMPLE.lines().take(8).collect::<Vec<_>>().join("\n"),
    ] {
        assert!(uses(&said).is_err(), "{said}");
    }
    for row in ["gemm_f16\tsm_80\t128", "gemm_f16\tsm_80\tmany\t0", "gemm_f16\tsm_80\t128\t4096"] {
        assert!(limits(&format!("{TABLE}{row}\n")).is_err(), "{row}");
    }
}
