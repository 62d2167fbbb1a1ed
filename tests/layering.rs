//! The house rules, held by a test: modules use each other in one direction only, files stay short and well named,
//! `unsafe` stays where it is meant to be, and nothing of one machine is left in the text.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Top-level modules from the top of the house to its ground. A module may use those after it, never those before it.
const ORDER: [&str; 21] = [
    "cli", "selftest", "report", "scale", "screen", "eval", "train", "embed", "models", "features", "data", "metrics",
    "ops", "weights", "tokens", "mol", "backend", "seq", "files", "progress", "error",
];
const UNSAFE_FILES: [&str; 14] = [
    "src/backend/cuda/cublas.rs",
    "src/backend/cuda/images/nvrtc.rs",
    "src/backend/cuda/launch.rs",
    "src/backend/cuda/memory.rs",
    "src/backend/cuda/pinned.rs",
    "src/backend/cuda/probe.rs",
    "src/backend/cuda/recordings.rs",
    "src/backend/cuda/staging.rs",
    "src/backend/cuda/tensor_map.rs",
    "src/cli/bench/peak.rs",
    "src/files/mapped.rs",
    "src/ops/linear/finish.rs",
    "src/ops/linear/int8/dots.rs",
    "src/ops/linear/turn.rs",
];
/// What is written by hand and read by people.
const CODE: [&str; 7] = ["rs", "py", "cu", "cuh", "cc", "c", "h"];
const FORBIDDEN_NAMES: [&str; 7] = ["util", "utils", "helper", "helpers", "common", "misc", "prelude"];
const LONGEST_FILE: usize = 500;
const LONGEST_MEDIAN: usize = 150;

// The needles are put together here, so that this file does not hold what it looks for.
const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
const HOSTS: [&str; 5] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".com"),
    concat!("anaconda", ".org"),
];
const MACHINE_FOLDERS: [&str; 6] = [
    concat!("/", "home/"),
    concat!("/", "root/"),
    concat!("/", "work/"),
    concat!("/", "Users/"),
    concat!("/", "mnt/"),
    concat!("/", "opt/"),
];

// ---- Reading Rust ----

/// `source` with comments, strings and character literals blanked; line breaks stay.
fn code_only(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut i = 0;
    while i < chars.len() {
        let end = skip_literal(&chars, i).unwrap_or(i);
        if end > i {
            code.extend(chars[i..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            i = end;
        } else {
            code.push(chars[i]);
            i += 1;
        }
    }
    code
}

/// Where the comment, string or character literal that begins at `i` ends; `None` when none begins there.
fn skip_literal(chars: &[char], i: usize) -> Option<usize> {
    let at = |k: usize| chars.get(k).copied().unwrap_or('\0');
    match (at(i), at(i + 1)) {
        ('/', '/') => Some((i..chars.len()).find(|&k| chars[k] == '\n').unwrap_or(chars.len())),
        ('/', '*') => {
            let (mut depth, mut k) = (1, i + 2);
            while k < chars.len() && depth > 0 {
                match (at(k), at(k + 1)) {
                    ('/', '*') => (depth, k) = (depth + 1, k + 2),
                    ('*', '/') => (depth, k) = (depth - 1, k + 2),
                    _ => k += 1,
                }
            }
            Some(k)
        }
        ('"', _) => {
            let mut k = i + 1;
            while k < chars.len() && chars[k] != '"' {
                k += if chars[k] == '\\' { 2 } else { 1 };
            }
            Some((k + 1).min(chars.len()))
        }
        // A raw string, unless the r is the end of a word.
        ('r', '"' | '#') if i == 0 || !is_word(chars[i - 1]) || chars[i - 1] == 'b' => {
            let hashes = (i + 1..chars.len()).take_while(|&k| at(k) == '#').count();
            if at(i + 1 + hashes) != '"' {
                return None;
            }
            let closes = |k: usize| chars[k] == '"' && (1..=hashes).all(|h| at(k + h) == '#');
            Some((i + 2 + hashes..chars.len()).find(|&k| closes(k)).map_or(chars.len(), |k| k + 1 + hashes))
        }
        ('\'', '\\') => Some((i + 3..chars.len()).find(|&k| chars[k] == '\'').map_or(chars.len(), |k| k + 1)),
        ('\'', _) if at(i + 2) == '\'' => Some(i + 3),
        _ => None,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A word, `::`, or one other character, with its 1-based line.
fn tokens(code: &str) -> Vec<(String, usize)> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                c => c.len_utf8(),
            };
            tokens.push((rest[..length].to_owned(), number + 1));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

// ---- Layers ----

/// Modules between the root and the contents of `path`, which is relative to `src`: `a/b.rs` and `a/b/mod.rs` are `[a, b]`.
fn module_path(path: &Path) -> Vec<String> {
    let mut parts: Vec<String> = path.with_extension("").iter().map(|p| p.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// Every top-level name that `source` reaches through `crate::`, `biollmnet::` or enough `super::`, with its line.
fn references(source: &str, path: &Path) -> Vec<(String, usize)> {
    let tokens = tokens(&code_only(source));
    let word = |k: usize| tokens.get(k).map_or("", |t| t.0.as_str());
    let depth = module_path(path).len();
    let (mut braces, mut inline, mut found) = (0usize, Vec::<usize>::new(), Vec::new());
    for k in 0..tokens.len() {
        match word(k) {
            "{" => {
                braces += 1;
                if k >= 2 && word(k - 2) == "mod" {
                    inline.push(braces);
                }
            }
            "}" => {
                if inline.last() == Some(&braces) {
                    inline.pop();
                }
                braces = braces.saturating_sub(1);
            }
            "crate" | "biollmnet" if word(k + 1) == "::" => found.extend(heads(&tokens, k + 2)),
            "super" if word(k + 1) == "::" && (k < 2 || word(k - 2) != "super") => {
                let mut end = k;
                let mut levels = 0;
                while word(end) == "super" && word(end + 1) == "::" {
                    (end, levels) = (end + 2, levels + 1);
                }
                if levels >= depth + inline.len() && depth > 0 {
                    found.extend(heads(&tokens, end));
                }
            }
            _ => {}
        }
    }
    found
}

/// First names of the path or of the group `{a::x, b}` that begins at token `start`.
fn heads(tokens: &[(String, usize)], start: usize) -> Vec<(String, usize)> {
    if tokens.get(start).is_none_or(|t| t.0 != "{") {
        return tokens.get(start).cloned().into_iter().collect();
    }
    let (mut depth, mut expect, mut found) = (0, false, Vec::new());
    for token in &tokens[start..] {
        match token.0.as_str() {
            "{" => (depth, expect) = (depth + 1, depth == 0),
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            "," => expect = depth == 1,
            _ if expect => {
                found.push(token.clone());
                expect = false;
            }
            _ => {}
        }
    }
    found
}

/// References of one file against the direction of [`ORDER`], or to no known module.
fn upward(source: &str, path: &Path) -> Vec<String> {
    let Some(own) = module_path(path).into_iter().next() else { return Vec::new() };
    let place = |name: &str| ORDER.iter().position(|&module| module == name);
    let Some(own_place) = place(&own) else {
        return vec![format!("src/{}: module '{own}' has no place in ORDER", path.display())];
    };
    let mut faults = Vec::new();
    for (name, line) in references(source, path) {
        let fault = match place(&name) {
            None => format!("'{name}' is not a module of ORDER"),
            Some(other) if other < own_place => format!("{own} uses {name}, which stands above it"),
            Some(_) => continue,
        };
        faults.push(format!("src/{}:{line}: {fault}", path.display()));
    }
    faults
}

/// Files of `sources` that no other file declares as its module: nothing compiles them.
fn orphans(sources: &[(String, String)]) -> Vec<String> {
    let declared: Vec<Vec<String>> = sources
        .iter()
        .flat_map(|(name, text)| {
            let (above, words) = (module_path(Path::new(name)), tokens(&code_only(text)));
            let inner = words.windows(2).filter(|pair| pair[0].0 == "mod").map(|pair| pair[1].0.clone());
            inner.map(|name| [above.clone(), vec![name]].concat()).collect::<Vec<_>>()
        })
        .collect();
    let is_orphan = |name: &&String| {
        let path = module_path(Path::new(name));
        path.len() > 1 && path[1] != "bin" && !declared.contains(&path)
    };
    sources.iter().map(|(name, _)| name).filter(is_orphan).map(|name| format!("{name} is no module")).collect()
}

// ---- House rules ----

/// `unsafe` outside `allowed` files, or without a line that says why it is sound.
fn unsafe_faults(source: &str, name: &str, allowed: &[&str]) -> Vec<String> {
    let lines: Vec<&str> = source.lines().collect();
    let mut faults = Vec::new();
    for (word, line) in tokens(&code_only(source)) {
        if word != "unsafe" {
            continue;
        }
        // The reason stands above, over attributes, other comments and the beginning of the same statement.
        let reason = lines[..line].iter().rev().enumerate().map_while(|(back, text)| {
            let text = text.trim();
            let above =
                back == 0 || text.starts_with("//") || text.starts_with('#') || !text.ends_with([';', '{', '}']);
            (above && !text.is_empty()).then_some(text)
        });
        if !allowed.contains(&name) {
            faults.push(format!("{name}:{line}: `unsafe` in a file that is not in UNSAFE_FILES"));
        } else if !reason.into_iter().any(|text| text.contains("SAFETY:")) {
            faults.push(format!("{name}:{line}: `unsafe` without a SAFETY: line"));
        }
    }
    faults
}

/// Files that the table of `page` (a line `| `FILE` | what | why | tested by |` each) lacks or has too many, and cells left empty.
fn page_faults(page: &str, files: &[&str]) -> Vec<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let rows: Vec<(&str, &str)> = rows.collect();
    let mut faults: Vec<String> = Vec::new();
    for (name, rest) in &rows {
        let cells: Vec<&str> = rest.trim().trim_end_matches('|').split('|').map(str::trim).collect();
        if cells.len() != 3 || cells.contains(&"") {
            faults.push(format!("{name}: says not what it does, why it is sound and what tests it"));
        }
        if !files.contains(name) {
            faults.push(format!("{name}: in docs/SAFETY.md, not in UNSAFE_FILES"));
        }
    }
    let missing = files.iter().filter(|file| !rows.iter().any(|(name, _)| name == *file));
    faults.extend(missing.map(|file| format!("{file}: in UNSAFE_FILES, not in docs/SAFETY.md")));
    faults
}

/// Marks of unfinished work, hosts of package registries and absolute folders of one machine.
fn text_faults(text: &str, name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", number + 1);
        faults.extend(UNFINISHED.iter().filter(|n| line.contains(*n)).map(|n| format!("{place}: unfinished: {n}")));
        faults.extend(HOSTS.iter().filter(|n| line.contains(*n)).map(|n| format!("{place}: registry host: {n}")));
        for folder in MACHINE_FOLDERS {
            let absolute = line.match_indices(folder).any(|(at, _)| {
                !line[..at].ends_with(|c: char| is_word(c) || matches!(c, '.' | '-' | '}' | '/' | '*' | '$'))
            });
            if absolute {
                faults.push(format!("{place}: absolute path of a machine: {folder}"));
            }
        }
    }
    faults
}

/// Folders and files whose name says nothing.
fn name_faults(name: &str) -> Option<String> {
    let mut parts = Path::new(name).iter().map(|part| part.to_string_lossy().to_lowercase());
    let vague = parts.any(|part| FORBIDDEN_NAMES.contains(&part.split('.').next().unwrap_or_default()));
    vague.then(|| format!("{name}: a name that says nothing"))
}

/// Files longer than the limit, and a median that is.
fn length_faults(lengths: &[(String, usize)]) -> Vec<String> {
    let too_long = |(name, lines): &(String, usize)| {
        (*lines > LONGEST_FILE).then(|| format!("{name}: {lines} lines, the limit is {LONGEST_FILE}"))
    };
    let mut faults: Vec<String> = lengths.iter().filter_map(too_long).collect();
    let mut sorted: Vec<usize> = lengths.iter().map(|l| l.1).collect();
    sorted.sort_unstable();
    if let Some(&median) = sorted.get(sorted.len() / 2)
        && median > LONGEST_MEDIAN
    {
        faults.push(format!("the median length is {median} lines, the limit is {LONGEST_MEDIAN}"));
    }
    faults
}

// ---- The house itself ----

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Text files below `folder` (relative to the package), names with `/`.
fn files(folder: &str, extensions: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        for path in paths {
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                open.push(path);
            } else if extensions.contains(&extension.as_str()) {
                let name = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn assert_clean(mut faults: Vec<String>) {
    faults.sort();
    let mut list = String::new();
    for fault in &faults {
        let _ = writeln!(list, "  {fault}");
    }
    assert!(faults.is_empty(), "{} faults:\n{list}", faults.len());
}

#[test]
fn modules_use_each_other_downward_only() {
    let sources = files("src", &["rs"]);
    assert!(sources.len() > 10, "the sources were not found");
    assert_clean(sources.iter().flat_map(|(name, text)| upward(text, Path::new(&name[4..]))).collect());
}

#[test]
fn every_file_is_a_module() {
    assert_clean(orphans(&files("src", &["rs"])));
    let of = |text: &str| orphans(&[("src/a/mod.rs".into(), text.into()), ("src/a/b.rs".into(), String::new())]);
    assert_eq!((of("pub mod b;").len(), of("// mod b;").len()), (1, 2), "and that of `a` itself");
}

#[test]
fn files_are_short_and_well_named() {
    let sources = files("src", &["rs"]);
    let rust: Vec<(String, String)> =
        ["src", "tests", "benches", "kernels", "scripts"].iter().flat_map(|folder| files(folder, &CODE)).collect();
    let lengths = |files: &[(String, String)]| -> Vec<(String, usize)> {
        files.iter().map(|(name, text)| (name.clone(), text.lines().count())).collect()
    };
    let mut faults = length_faults(&lengths(&sources));
    let long_elsewhere = lengths(&rust).into_iter().filter(|l| l.1 > LONGEST_FILE && !l.0.starts_with("src/"));
    faults.extend(long_elsewhere.map(|(name, lines)| format!("{name}: {lines} lines")));
    faults.extend(rust.iter().filter_map(|(name, _)| name_faults(name)));
    assert_clean(faults);
}

#[test]
fn unsafe_stays_where_it_is_meant_to_be() {
    let sources = files("src", &["rs"]);
    let mut faults: Vec<String> =
        sources.iter().flat_map(|(name, text)| unsafe_faults(text, name, &UNSAFE_FILES)).collect();
    let with: BTreeSet<&str> = sources
        .iter()
        .filter(|(_, text)| tokens(&code_only(text)).iter().any(|t| t.0 == "unsafe"))
        .map(|(name, _)| name.as_str())
        .collect();
    faults.extend(
        UNSAFE_FILES.iter().filter(|f| !with.contains(*f)).map(|f| format!("{f}: in UNSAFE_FILES without need")),
    );
    assert_clean(faults);
}

#[test]
fn the_page_on_unsafe_code_names_its_files() {
    let page = fs::read_to_string(root().join("docs/SAFETY.md")).unwrap();
    assert_clean(page_faults(&page, &UNSAFE_FILES));
}

#[test]
fn nothing_is_unfinished_and_nothing_names_a_machine() {
    let kinds = [&CODE[..], &["sh", "md", "toml", "html", "css", "tsv", ""]].concat();
    let folders = ["src", "tests", "benches", "kernels", "scripts", "docs", ".ci"];
    let mut texts: Vec<(String, String)> = folders.iter().flat_map(|folder| files(folder, &kinds)).collect();
    for name in ["README.md", "CHANGELOG.md", "Cargo.toml", "build.rs", "deny.toml"] {
        texts.extend(fs::read_to_string(root().join(name)).map(|text| (name.to_owned(), text)));
    }
    assert_clean(texts.iter().flat_map(|(name, text)| text_faults(text, name)).collect());
}

// ---- The checker can fail ----

#[test]
fn code_only_blanks_what_is_not_code() {
    assert_eq!(code_only("a // unsafe\nb"), "a          \nb");
    assert_eq!(code_only("a /* x /* y */ z */ b"), format!("a {} b", " ".repeat(17)));
    assert_eq!(code_only(r#"f("a\"crate::x", 'b')"#), format!("f({}, {})", " ".repeat(13), " ".repeat(3)));
    assert_eq!(code_only("r#\"cr\"ate\"# + r\"x\""), format!("{} + {}", " ".repeat(11), " ".repeat(4)));
    assert_eq!(code_only("fn f<'a>(x: &'a str) { '\\'' }"), "fn f<'a>(x: &'a str) {      }");
}

#[test]
fn references_are_found_in_every_form() {
    let names = |source: &str, path: &str| -> Vec<String> {
        references(source, Path::new(path)).into_iter().map(|r| r.0).collect()
    };
    assert_eq!(names("use crate::error::{Error, Result};", "eval/mod.rs"), ["error"]);
    assert_eq!(names("use crate::{data::{Pair, Task}, seq, ops::gemm};", "eval/x.rs"), ["data", "seq", "ops"]);
    assert_eq!(names("fn f() -> crate\n  ::train::X {}", "eval/x.rs"), ["train"]);
    assert_eq!(names("// crate::train\nconst X: &str = \"crate::train\";", "eval/x.rs"), [""; 0]);
    assert_eq!(names("use super::super::train::X;", "eval/x.rs"), ["train"]);
    assert_eq!(names("use super::{train, seq};", "eval/mod.rs"), ["train", "seq"]);
    assert_eq!(names("use super::x;", "eval/y.rs"), [""; 0]);
    assert_eq!(
        names("mod tests { use super::*; use super::super::train; } use super::seq;", "eval.rs"),
        ["train", "seq"]
    );
    assert_eq!(names("use biollmnet::eval::X;", "cli/x.rs"), ["eval"]);
}

#[test]
fn upward_and_unknown_references_are_faults() {
    let faults = |source: &str, path: &str| upward(source, Path::new(path)).len();
    assert_eq!(faults("use crate::eval::X;", "report/mod.rs"), 0);
    assert_eq!(faults("use crate::report::X;", "report/page.rs"), 0);
    assert_eq!(faults("use crate::report::X;", "eval/mod.rs"), 1);
    assert_eq!(faults("use crate::{error, train::X};", "data/pairs.rs"), 1);
    assert_eq!(faults("use crate::cli::X;", "seq/fasta.rs"), 1);
    assert_eq!(faults("use crate::newcomer::X;", "eval/mod.rs"), 1);
    assert_eq!(faults("", "newcomer/mod.rs"), 1);
    assert_eq!(faults("pub mod eval;", "lib.rs"), 0);
}

#[test]
fn house_rules_can_be_broken() {
    let (allowed, reasoned) = (["src/a.rs"], "// SAFETY: it is\n#[allow(unsafe_code)]\nlet x =\n    unsafe { f() };");
    assert_eq!(unsafe_faults(reasoned, "src/a.rs", &allowed).len(), 0);
    assert_eq!(unsafe_faults(reasoned, "src/b.rs", &allowed).len(), 1);
    assert_eq!(unsafe_faults("// SAFETY: other\nf();\nunsafe { f() }", "src/a.rs", &allowed).len(), 1);
    assert_eq!(unsafe_faults("// unsafe\nlet unsafe_code = \"unsafe\";", "src/b.rs", &allowed).len(), 0);

    let page = "| file | a | b | c |\n| `src/a.rs` | calls | as checked | a test |";
    assert_eq!(page_faults(page, &allowed).len(), 0);
    assert_eq!(page_faults(page, &["src/b.rs"]).len(), 2);
    assert_eq!(page_faults("| `src/a.rs` | calls | | a test |", &allowed).len(), 1);

    for needle in UNFINISHED.iter().chain(&HOSTS) {
        assert_eq!(text_faults(&format!("x {needle}"), "a").len(), 1, "{needle}");
    }
    assert_eq!(text_faults(&format!("see {}someone/x", MACHINE_FOLDERS[0]), "a").len(), 1);
    assert_eq!(text_faults("a/work/b, $DATA/opt/x, to do", "a").len(), 0);

    assert!(name_faults("src/seq/utils.rs").is_some() && name_faults("tests/common/mod.rs").is_some());
    assert!(name_faults("src/seq/fasta.rs").is_none());

    let of = |lines: &[usize]| -> Vec<(String, usize)> { lines.iter().map(|&l| ("x".to_owned(), l)).collect() };
    assert_eq!(length_faults(&of(&[100, 150, 500])).len(), 0);
    assert_eq!(length_faults(&of(&[100, 150, 501])).len(), 1);
    assert_eq!(length_faults(&of(&[100, 151, 500])).len(), 1);
}
